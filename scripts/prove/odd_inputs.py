#!/usr/bin/env python3
"""Gives a batch what no batch likes, and looks at what comes.

    scripts/prove/odd_inputs.py [--empty 100000]

`translate` gets a folder with names of newlines, emoji, 255 bytes and bytes that are no text, the same name in two folders,
an empty file, one that is not UTF-8, one that may not be read (unless this is root), links that lead in a circle or nowhere,
and a pipe; then a file is changed, one is removed and one is added. Last, so many empty files. Each time every output must be
there under a name of its own, each failure be told in a line, and nothing else be done again. Binaries are those in
target/release (or $CARGO_TARGET_DIR/release, or $BINARIES).
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from killed import BINARIES


def translate(folder, *words):
    command = [BINARIES / "translate", "in", "--recursive", "-o", "out/", "--from", "en", "--to", "fr", *words]
    began = time.monotonic()
    done = subprocess.run([str(word) for word in command], cwd=folder, capture_output=True)
    return done.returncode, done.stderr.decode().splitlines(), time.monotonic() - began


def counts(lines):
    """How many were done, were done before, and failed, of the last line."""
    return [int(word) for word in lines[-1].replace(",", "").split() if word.isdigit()]


def journal(folder):
    lines = [json.loads(line) for line in (folder / "out/journal.jsonl").read_text().splitlines()]
    return [line["item"] for line in lines if line.get("outputs")]


def odd(folder):
    inputs = folder / "in"
    (inputs / "a").mkdir(parents=True)
    (inputs / "b").mkdir()
    text = "The cat is old.\n"
    good = [b"two\nlines.txt", "a cat \N{CAT FACE} \N{FAMILY}.txt".encode(), b"n" * 251 + b".txt", b"not \xff text.txt",
            b"a/same.txt", b"b/same.txt", b"-o.txt", b" .txt", b"quote'\".txt", b"con.txt", b"to change.txt", b"to remove.txt"]
    for name in good:
        Path(os.fsdecode(os.fsencode(inputs) + b"/" + name)).write_text(text)
    (inputs / "empty.txt").write_bytes(b"")
    (inputs / "bytes.txt").write_bytes(b"caf\xe9 \xff\xfe")
    (inputs / "loop").symlink_to("../in")
    (inputs / "self").symlink_to("self")
    (inputs / "nowhere.txt").symlink_to("not there")
    os.mkfifo(inputs / "pipe.txt")
    closed = inputs / "closed.txt"
    if os.geteuid() != 0:
        closed.write_text(text)
        closed.chmod(0)
    code, lines, _ = translate(folder, "-v")
    assert len(counts(lines)) == 3, lines
    done, before, failed = counts(lines)
    print(f"odd names: exit {code}, {lines[-1]}")
    for line in (line for line in lines if "error" in line or "cannot" in line):
        print(f"  {line}")
    assert code == 3 and before == 0 and done >= len(good), lines
    items = journal(folder)
    assert len(set(items)) == len(items) == done, "two items of one name"
    (inputs / "to change.txt").write_text("The dog is old.\n")
    (inputs / "to remove.txt").unlink()
    (inputs / "new.txt").write_text(text)
    code, lines, _ = translate(folder)
    again, before, _ = counts(lines)
    print(f"one changed, one removed, one new: exit {code}, {lines[-1]}")
    assert (again, before) == (2, done - 2), lines[-1]


def empty(folder, count):
    inputs = folder / "in"
    inputs.mkdir()
    for i in range(count):
        (inputs / f"{i:06}.txt").touch()
    for time_of in ("first", "again"):
        code, lines, seconds = translate(folder, "-q")
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        outputs = sum(1 for _ in (folder / "out").glob("*.txt"))
        print(f"{count} empty files, {time_of}: exit {code}, {outputs} outputs, {seconds:.1f} s, {memory:.0f} MB")
        assert outputs in (0, count) and code == (0 if outputs else 3), lines[-1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--empty", type=int, default=100_000)
    args = parser.parse_args()
    for part in (odd, lambda folder: empty(folder, args.empty)):
        folder = Path(tempfile.mkdtemp(prefix="odd-"))
        try:
            part(folder)
        finally:
            subprocess.run(["chmod", "-R", "u+rw", folder], check=False, capture_output=True)
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
