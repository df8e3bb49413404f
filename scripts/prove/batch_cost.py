#!/usr/bin/env python3
"""What a batch costs beside the work itself, and whether its memory grows.

    scripts/prove/batch_cost.py [--items 1000] [--rounds 5] [--many 10000]

`translate` gets so many short texts, in turn as a list to stdout, where no journal is kept and no file is written, into
a folder one at a time, and into a folder as it does by itself, several at a time. Then many more go into a folder, and the peak memory of either is compared. Binaries are those in
target/release (or $CARGO_TARGET_DIR/release, or $BINARIES).
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from killed import BINARIES, translate


def run(command, folder):
    """Seconds, and peak memory in megabytes."""
    began = time.monotonic()
    process = subprocess.Popen([str(BINARIES / command[0]), *command[1:], "-q"], cwd=folder, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return time.monotonic() - began, used.ru_maxrss / 1024


def into_folder(command, folder):
    shutil.rmtree(folder / "out", ignore_errors=True)
    return run([*command, "-o", "out/"], folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--many", type=int, default=10_000)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cost-"))
    try:
        command = translate(folder, args.items)
        pairs = []
        for number in range(args.rounds):
            bare, _ = run([*command, "-o", "-"], folder)
            alone, _ = into_folder([*command, "--jobs-in-flight", "1"], folder)
            batch, memory = into_folder(command, folder)
            pairs.append((bare, alone, batch))
            print(f"round {number + 1}: to stdout {bare:.2f} s, into a folder one at a time {alone:.2f} s, several at a "
                  f"time {batch:.2f} s", flush=True)
        for place, what in [(1, "one at a time"), (2, "several at a time")]:
            ratios = sorted(times[place] / times[0] for times in pairs)
            print(f"into a folder, {what} / to stdout: {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})")
        usual = statistics.median(times[2] / times[0] for times in pairs)
        assert usual < 1.02, f"files and journal cost {usual - 1:.1%}"
        shutil.rmtree(folder / "in")
        command = translate(folder, args.many)
        _, most = into_folder(command, folder)
        print(f"peak memory: {memory:.0f} MB of {args.items} items, {most:.0f} MB of {args.many}")
        # words that the tokenizer has not met yet take some
        assert most < 1.3 * memory, "memory grows with the items"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
