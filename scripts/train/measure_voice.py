#!/usr/bin/env python3
"""How well recognisers understand a voice of speech-synth, beside the synthesiser that it learned from.

    scripts/train/measure_voice.py VOICE/ UNSEEN.TXT OUT/ [COUNT]

VOICE/      the voice, or `embedded`
UNSEEN.TXT  a sentence a line that it has not learned from, as prepare_voice.py writes them
OUT/        gets the sound of both; what is there is not made again
COUNT       sentences that are used, the first of the file [200]

Prints the word error rates of PyPI's pocketsphinx and of speech-rec's built-in model. Needs Debian's flite, PyPI's
pocketsphinx, and both binaries in target/release (or $CARGO_TARGET_DIR/release, or $BINARIES).
"""

import json
import os
import re
import subprocess
import sys
import wave
from pathlib import Path

from pocketsphinx import Decoder


def words(text):
    return re.sub(r"[^a-z' ]", " ", text.lower().replace("-", " ")).split()


def errors(reference, heard):
    """Word errors: substitutions, insertions and deletions."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(reference):
        before, row = row, [i + 1]
        for j, other in enumerate(heard):
            row.append(min(before[j] + (word != other), before[j + 1] + 1, row[j] + 1))
    return row[-1]


def sphinx(files):
    decoder = Decoder(samprate=16000, loglevel="FATAL")
    for file in files:
        with wave.open(str(file)) as sound:
            assert sound.getframerate() == 16000, f"{file}: not at 16 kHz"
            data = sound.readframes(sound.getnframes())
        decoder.start_utt()
        decoder.process_raw(data, full_utt=True)
        decoder.end_utt()
        yield decoder.hyp().hypstr if decoder.hyp() else ""


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__.strip())
    voice, sentences, out = sys.argv[1], Path(sys.argv[2]).read_text().splitlines(), Path(sys.argv[3])
    sentences = sentences[: int(sys.argv[4]) if len(sys.argv) == 5 else 200]
    binaries = Path(os.environ.get("BINARIES") or Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release")
    ours, teacher = out / "voice", out / "teacher"
    teacher.mkdir(parents=True, exist_ok=True)
    ours.mkdir(parents=True, exist_ok=True)
    names = [f"{i:03}" for i in range(len(sentences))]
    for name, sentence in zip(names, sentences):
        if not (teacher / f"{name}.wav").exists():
            subprocess.run(["flite", "-voice", "slt", "-t", sentence, "-o", teacher / f"{name}.wav"], check=True)
        (out / f"{name}.txt").write_text(sentence + "\n")
    texts = [out / f"{name}.txt" for name in names]
    say = [binaries / "speech-synth", "--model", voice, *texts, "-o", f"{ours}/", "--seed", "1", "--sample-rate", "16000", "-q"]
    subprocess.run(say, check=True, stdout=subprocess.DEVNULL)
    for kind, folder in (("teacher", teacher), ("voice", ours)):
        files = [folder / f"{name}.wav" for name in names]
        hear = [binaries / "speech-rec", *files, "--language", "en", "--json", "-q"]
        heard = subprocess.run(hear, check=True, capture_output=True, text=True).stdout.splitlines()
        heard = {Path(line["input"]).stem: line["text"] for line in map(json.loads, heard)}
        for recogniser, texts in (("pocketsphinx", list(sphinx(files))), ("speech-rec", [heard[n] for n in names])):
            wrong = sum(errors(words(s), words(t)) for s, t in zip(sentences, texts))
            total = sum(len(words(s)) for s in sentences)
            print(f"{kind}: {recogniser} hears {100 * wrong / total:.1f}% of {total} words wrong")


if __name__ == "__main__":
    main()
