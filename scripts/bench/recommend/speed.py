"""How fast recommend learns and ranks, beside the same nets on torch and beside implicit, in turn, on the same threads.

    cargo build --release -p recommend
    python3 scripts/bench/recommend/speed.py VIDEO.txt [--threads 2] [--rounds 3] [--people 20000]

VIDEO.txt  the SASRec paper's table of Amazon's video games, `user item` a line in the order of time

Times an epoch of SASRec (two blocks of width 50, 50 items, batches of 128, one item drawn against each that came), then how many people a second get their first ten of all items: by SASRec, and by iALS whose people
were never met, beside torch and implicit. Our times are of whole commands, a long one less a short one, so that reading the
table is left out and writing the lists is not; theirs are of the calls alone. Needs torch and implicit. Prints lines for
BENCHMARKS.md.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import references

ROOT = pathlib.Path(__file__).resolve().parents[3]
NET = ["--width", "50", "--blocks", "2", "--heads", "1", "--longest", "50", "--dropout", "0.5", "--seed", "0"]


class Ours:
    def __init__(self, args, folder):
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        self.program, self.args, self.folder = target / "release" / "recommend", args, folder

    def run(self, *words):
        began = time.time()
        words = [str(word) for word in (self.program, *words, "--threads", self.args.threads, "--quiet")]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        return time.time() - began

    def train(self, method, out, *more):
        return self.run("train", "--data", self.args.data, "--out", self.folder / out, "--force", "--method", method,
                        "--held-out", 0, "--checkpoint", 3600, *more)

    def epoch(self, method):
        one, three = (self.train(method, "net", *NET, "--epochs", epochs) for epochs in (1, 3))
        return (three - one) / 2

    def ranked(self, model, few, many):
        """Seconds for the people of `many` beyond those of `few`."""
        return -self.run("--model", self.folder / model, "--users", few, "-o", self.folder / "lists.csv", "--force") + self.run(
            "--model", self.folder / model, "--users", many, "-o", self.folder / "lists.csv", "--force")


def torch_epoch(train, count):
    options = argparse.Namespace(width=50, longest=50, dropout=0.5, epochs=1, epoch_seconds=None)
    scores = references.sasrec(train, count, options)
    return options.epoch_seconds, scores


def torch_ranked(scores, people):
    import torch

    began = time.time()
    for first in range(0, len(people), 256):
        part = people[first:first + 256]
        found = torch.from_numpy(scores(part))
        for row, history in zip(found, part):
            row[history] = -torch.inf
        found.topk(10)
    return time.time() - began


def implicit_model(train, count, args):
    import scipy.sparse
    from implicit.als import AlternatingLeastSquares

    rows = scipy.sparse.csr_matrix(references.ones(train, count))
    model = AlternatingLeastSquares(64, regularization=10.0, alpha=5.0, iterations=15, num_threads=args.threads)
    began = time.time()
    model.fit(rows, show_progress=False)
    return model, time.time() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--people", type=int, default=20_000)
    args = parser.parse_args()
    # what reads it looks before it is loaded
    os.environ.update(OMP_NUM_THREADS=str(args.threads), OPENBLAS_NUM_THREADS="1")
    import scipy.sparse
    import torch

    torch.set_num_threads(args.threads)
    histories, count = references.read(str(args.data), False)
    people = histories[:args.people]
    seconds = {}

    def note(what, whose, value):
        seconds.setdefault(what, {}).setdefault(whose, []).append(value)
        print(json.dumps(dict(what=what, by=whose, seconds=value)), file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        ours = Ours(args, folder)
        few, many = folder / "few.txt", folder / "many.txt"
        names = {}
        for line in args.data.read_text().split("\n"):
            if line:
                names.setdefault(line.split()[1], len(names))
        back = list(names)
        for path, part in [(few, people[:256]), (many, people[:256] + people)]:
            path.write_text("user item\n" + "".join(f"n{user} {back[item]}\n" for user, own in enumerate(part) for item in own))
        for round in range(args.rounds):
            note("sasrec, an epoch", "ours", ours.epoch("sasrec"))
            value, ranker = torch_epoch(histories, count)
            note("sasrec, an epoch", "torch", value)
            if round == 0:
                ours.train("sasrec", "net", *NET, "--epochs", 1)
            note("sasrec, first ten", "ours", ours.ranked("net", few, many))
            note("sasrec, first ten", "torch", torch_ranked(ranker, people))
            note("ials, learning", "ours", ours.train("ials", "factors", "--factors", 64, "--iterations", 15))
            model, value = implicit_model(histories, count, args)
            note("ials, learning", "implicit", value)
            note("ials, first ten of new people", "ours", ours.ranked("factors", few, many))
            rows = scipy.sparse.csr_matrix(references.ones(people, count))
            began = time.time()
            model.recommend(range(len(people)), rows, N=10, recalculate_user=True)
            note("ials, first ten of new people", "implicit", time.time() - began)
    for what, sides in seconds.items():
        ours, (peer, theirs) = sides.pop("ours"), next(iter(sides.items()))
        ratios = sorted(b / a for a, b in zip(ours, theirs))
        rate = f", {len(people) / statistics.median(ours):,.0f} people a second" if "ten" in what else ""
        print(f"| {what}, beside {peer} | {statistics.median(theirs):.2f} | {statistics.median(ours):.2f}{rate} | "
              f"{statistics.median(ratios):.1f} | {ratios[0]:.1f} to {ratios[-1]:.1f} |")


if __name__ == "__main__":
    main()
