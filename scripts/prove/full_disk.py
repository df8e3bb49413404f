#!/usr/bin/env python3
"""Runs a batch on disks that fill up, and looks at what is left.

    sudo scripts/prove/full_disk.py

A batch of texts (translate), one of music (music-gen: MIDI, sound, picture) and one of speech (speech-synth: sound, subtitles) write into a tmpfs of 64 KB, then of more and
more. While there is too little room each must end with a message and an exit code other than 0, and leave no half-written
file; with room again it must go on to the end, where all is as on a disk that never was full. Needs the right to mount.
Binaries are those in target/release (or $CARGO_TARGET_DIR/release, or $BINARIES).
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from killed import APPS, finish, outputs, start

ITEMS = 40


def speech_synth(folder, items):
    _, texts, *_ = APPS["translate"](folder, items)
    return ["speech-synth", texts, "--subtitles", ".srt", "--seed", "1"]


def mount(place, kilobytes, again=False):
    options = f"{'remount,' if again else ''}size={kilobytes}k"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)


def prove(app, words):
    folder = Path(tempfile.mkdtemp(prefix="full-"))
    disk = folder / "disk"
    disk.mkdir()
    try:
        command = words(folder, ITEMS)
        finish(command, folder / "whole")
        expected = outputs(folder / "whole")
        size, full = 64, 0
        mount(disk, size)
        while True:
            process = start(command, disk / "out")
            told = process.communicate()[1].decode()
            found = {name: data for name, data in outputs(disk / "out").items() if name != "failed.jsonl"} \
                if (disk / "out").exists() else {}
            wrong = [name for name, data in found.items() if expected.get(name) != data]
            assert not wrong, f"{size} KB: {wrong[0]} is not what it should be"
            if process.returncode == 0:
                break
            full += 1
            assert told.strip() and "panicked" not in told, f"{size} KB: {told!r}"
            assert size < 1 << 20, told
            size = size * 5 // 4
            mount(disk, size, again=True)
        assert found == expected, f"{len(found)} of {len(expected)} files"
        print(f"{app}: {full} times the disk was full, up to {size} KB: no file was wrong, and at last all {len(found)} were there")
    finally:
        subprocess.run(["umount", disk], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def main():
    if len(sys.argv) > 1:
        sys.exit(__doc__.strip())
    for app, words in {**APPS, "speech-synth": speech_synth}.items():
        prove(app, words)


if __name__ == "__main__":
    main()
