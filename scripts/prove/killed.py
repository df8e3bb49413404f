#!/usr/bin/env python3
"""Kills a batch again and again, and looks at what is left.

    scripts/prove/killed.py [--kills 200] [--items 1000] [--jobs N] [--seed 1] [APP...]

Of each APP (translate, which writes text, and music-gen, which writes MIDI, sound and pictures, unless others are named) a
batch of short items is run, and killed (kill -9) at random moments, until it has been killed that often; then it runs to its
end. It must have what an undisturbed run has: as many outputs, each the same to the byte, no half-written file, and no more
items begun again than were in flight at the kills. Binaries are those in target/release (or $CARGO_TARGET_DIR/release, or $BINARIES).
"""

import argparse
import collections
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BINARIES = Path(os.environ.get("BINARIES") or Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release").resolve()
WORDS = "cat dog house river bread winter friend letter garden music window sister".split()


def translate(folder, items):
    texts = folder / "in"
    texts.mkdir()
    for i in range(items):
        (texts / f"{i:04}.txt").write_text(f"The {WORDS[i % 12]} and the {WORDS[i // 12 % 12]} are old. It is {i}.\n")
    return ["translate", str(texts), "--from", "en", "--to", "fr", "--seed", "1"]


def music_gen(folder, items):
    return ["music-gen", "--style", "chorale", "--bars", "1", "--count", str(items), "--seed", "1"]


APPS = {"translate": translate, "music-gen": music_gen}


def start(command, out):
    command = [str(BINARIES / command[0]), *command[1:], "-o", f"{out}/", "-q"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(command, out):
    process = start(command, out)
    told = process.communicate()[1].decode()
    assert process.returncode == 0, f"exit {process.returncode}: {told}"


def outputs(folder):
    """Every file but the journal, with its bytes."""
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != "journal.jsonl"]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def prove(app, items, kills, jobs, rng):
    folder = Path(tempfile.mkdtemp(prefix="killed-"))
    try:
        command = [*APPS[app](folder, items), "--jobs-in-flight", str(jobs)]
        began = time.monotonic()
        finish(command, folder / "whole")
        seconds = time.monotonic() - began
        cut, killed, since, runs = folder / "cut", 0, 0, 0
        # each try gets as far as to leave work for the next
        longest = 2 * seconds / kills + 0.3
        while killed < kills:
            process = start(command, cut)
            runs += 1
            time.sleep(rng.uniform(0, longest))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                killed, since = killed + 1, since + 1
            else:
                # done before its time: begin anew, and kill sooner
                shutil.rmtree(cut)
                since = 0
                longest *= 0.9
            process.communicate()
        finish(command, cut)
        expected, found = outputs(folder / "whole"), outputs(cut)
        assert sorted(found) == sorted(expected), sorted(set(found) ^ set(expected))[:5]
        different = [name for name in expected if expected[name] != found[name]]
        assert not different, f"{len(different)} differ, {different[0]} first"
        begun, done = collections.Counter(), collections.Counter()
        for line in (cut / "journal.jsonl").read_text().splitlines()[1:]:
            line = json.loads(line)
            if "item" in line:
                (done if line.get("outputs") is not None else begun)[line["item"]] += 1
        assert set(done.values()) == {1}, "an item was done twice"
        again = sum(begun.values()) - len(done)
        assert again <= since * jobs, f"{again} items begun again after {since} kills"
        print(f"{app}: {killed} kills over {len(done)} items ({seconds:.0f} s undisturbed): {len(found)} files, all as they "
              f"should be; {again} items were begun more than once")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("apps", nargs="*", metavar="APP", default=list(APPS))
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=1, help="items in flight at a time")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    for app in args.apps:
        if app not in APPS:
            sys.exit(f"{app}: only {', '.join(APPS)} are known here")
        prove(app, args.items, args.kills, args.jobs, random.Random(args.seed))


if __name__ == "__main__":
    main()
