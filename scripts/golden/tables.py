"""One table of people and items as CSV and as Parquet, as pandas' users have it.

    python scripts/golden/tables.py

writes shared/golden/tables/: rows.csv, and the same rows as CODEC.parquet by each codec, in groups of 40 rows: whole numbers,
strings (one with a comma and quotes, one that is missing), ratings, moments of milliseconds, and a column of lists that no
table of people and items has a use for. Rows are not in the order of time. Made with pyarrow 26.
"""

import csv
import datetime
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "tables"
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    rows = []
    for person in range(16):
        for step in range(6):
            item = (person * 5 + step) % 12
            title = None if item == 3 else f'The {item}th, "of them"'
            moment = START + datetime.timedelta(hours=person, minutes=step)
            rows.append((100 + person, f"t{item}", title, 3.5 if step % 2 else 5.0, moment))
    random.Random(0).shuffle(rows)
    with open(OUT / "rows.csv", "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["user_id", "item_id", "title", "rating", "timestamp"])
        out.writerows((user, item, title or "", rating, int(when.timestamp())) for user, item, title, rating, when in rows)
    users, items, titles, ratings, times = zip(*rows)
    table = pa.table({
        "user_id": pa.array(users, pa.int64()),
        "item_id": items,
        "title": titles,
        "tags": [["a", "b"]] * len(rows),
        "rating": ratings,
        "timestamp": pa.array([when.replace(tzinfo=None) for when in times], pa.timestamp("ms")),
    })
    for codec in ["snappy", "zstd", "gzip", "lz4"]:
        pq.write_table(table, OUT / f"{codec}.parquet", compression=codec, row_group_size=40)


if __name__ == "__main__":
    main()
