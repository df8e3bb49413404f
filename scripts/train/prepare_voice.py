#!/usr/bin/env python3
"""Has a free synthesiser read sentences aloud, for a voice to be learned from.

    scripts/train/prepare_voice.py TEXTS/ OUT/ [COUNT]

TEXTS/  English books as .txt files
OUT/    gets metadata.csv, wavs/ID.wav (16 kHz) and wavs/ID.lab (flite's phones and when they end) of COUNT sentences
        (3000 unless told otherwise), and unseen.txt: 200 other sentences, to measure on. What is there is not made again.

Needs Debian's flite, whose voice slt reads. The same texts give the same sentences.
"""

import random
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

UNSEEN = 200
GOOD = re.compile(r"[A-Z][A-Za-z ,;:'-]+[.?!]")


def sentences(folder):
    """Sentences of 4 to 18 words, without figures, abbreviations and quotes, each once."""
    found = set()
    for file in sorted(folder.rglob("*.txt")):
        text = re.sub(r"\s+", " ", file.read_text(encoding="utf-8", errors="replace").replace("’", "'"))
        for sentence in re.split(r"(?<=[.?!]) +(?=[A-Z])", re.sub(r"[“”\"_*]", "", text)):
            words = sentence.split()
            shouted = any(len(word) > 1 and word.strip(",;:.?!").isupper() for word in words)
            cut = words[-1] in ("Mr.", "Mrs.", "Dr.", "St.", "Messrs.", "Capt.") if words else True
            if 4 <= len(words) <= 18 and not cut and GOOD.fullmatch(sentence) and not shouted and "--" not in sentence:
                found.add(sentence)
    found = sorted(found)
    random.Random(0).shuffle(found)
    return found


def speak(job):
    name, text, wavs = job
    wav, labels = wavs / f"{name}.wav", wavs / f"{name}.lab"
    if not labels.exists():
        said = subprocess.run(
            ["flite", "-voice", "slt", "-psdur", "-t", text, "-o", wav], check=True, capture_output=True, text=True
        )
        labels.write_text(said.stdout)


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__.strip())
    out, count = Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) == 4 else 3000
    wavs = out / "wavs"
    wavs.mkdir(parents=True, exist_ok=True)
    found = sentences(Path(sys.argv[1]))
    if len(found) < count + UNSEEN:
        sys.exit(f"{sys.argv[1]}: {len(found)} sentences, {count + UNSEEN} are needed")
    (out / "unseen.txt").write_text("\n".join(found[:UNSEEN]) + "\n")
    chosen = [(f"{i:05}", text, wavs) for i, text in enumerate(found[UNSEEN:UNSEEN + count])]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(speak, chosen))
    (out / "metadata.csv").write_text("".join(f"{name}|{text}\n" for name, text, _ in chosen))


if __name__ == "__main__":
    main()
