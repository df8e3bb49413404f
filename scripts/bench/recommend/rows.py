"""Rows of made-up people, as CSV on stdout: `python rows.py COUNT`.

200,000 people and 20,000 items; each person has a taste, a run of a tenth of the items, and items of a taste are had by a
law of powers. Rows come in no order, with a time each.
"""

import random
import sys

PEOPLE, ITEMS, TASTES = 200_000, 20_000, 10


def main():
    rng = random.Random(0)
    count, out, rows = int(sys.argv[1]), sys.stdout, []
    out.write("user,item,rating,time\n")
    for n in range(count):
        person = int(PEOPLE * rng.random() ** 1.5)
        taste = person % TASTES if rng.random() < 0.8 else rng.randrange(TASTES)
        item = int(ITEMS / TASTES * rng.random() ** 2) * TASTES + taste
        rows.append(f"u{person},i{item},{rng.randint(1, 5)},{1_600_000_000 + rng.randrange(100_000_000)}\n")
        if len(rows) == 100_000 or n + 1 == count:
            out.write("".join(rows))
            rows = []


if __name__ == "__main__":
    main()
