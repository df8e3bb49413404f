#!/usr/bin/env python3
"""Speech by speech-synth beside transformers, in turn, on the same threads.

    cargo build --release -p speech-synth
    python3 scripts/bench/voice.py MODEL/ [--threads 2] [--rounds 5] [--seconds 10]

MODEL/ is made if it is not there: VITS at the sizes of MMS-TTS with random weights, letters as its vocabulary, and a bias of
the durations that makes a letter about as long as a voice does. Both speak the same text from the same seed, which is as
long as gives so many seconds of sound; what is timed is the speech, not loading. Needs torch and transformers. Prints
lines for BENCHMARKS.md: seconds of either, ratios, and the real-time factors.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SENTENCE = "the quick brown fox jumps over the lazy dog and runs on "


def make(folder):
    import torch
    from transformers import VitsConfig, VitsModel

    torch.manual_seed(0)
    letters = "k'zyudhesrwbfoqmgxtlnacipvj -0123456789"[:38]
    net = VitsModel(VitsConfig()).eval()
    with torch.no_grad():
        # the logarithm of the frames of an id is near this: with blanks, 16 letters a second at 62.5 frames a second
        net.duration_predictor.flows[0].translate[:] = -0.5
        for flow in net.duration_predictor.flows[1:]:
            flow.conv_proj.weight.mul_(0.01)
    net.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({letter: i for i, letter in enumerate(letters)}))
    (folder / "tokenizer_config.json").write_text(json.dumps(dict(
        tokenizer_class="VitsTokenizer", add_blank=True, normalize=True, phonemize=False, is_uroman=False, language="eng",
        pad_token="k", unk_token="<unk>")))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10)
    args = parser.parse_args()
    if not (args.model / "config.json").exists():
        args.model.mkdir(parents=True, exist_ok=True)
        make(args.model)
    import torch
    from transformers import VitsModel, VitsTokenizer

    torch.set_num_threads(args.threads)
    net, tokenizer = VitsModel.from_pretrained(args.model).eval(), VitsTokenizer.from_pretrained(args.model)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    program = [target / "release" / "speech-synth", "--model", args.model.resolve(), "--seed", "1", "--threads",
               str(args.threads), "--bits", "32", "--json", "--force", "-q", "-o", "x.wav", "--text"]

    def theirs(text):
        torch.manual_seed(1)
        began = time.perf_counter()
        with torch.no_grad():
            samples = net(**tokenizer(text, return_tensors="pt")).waveform[0]
        return time.perf_counter() - began, samples

    # a text that is spoken at once has 400 letters at most
    text, most = SENTENCE, 400
    while len(text + SENTENCE) <= most and len(theirs(text.strip())[1]) < args.seconds * net.config.sampling_rate:
        text += SENTENCE
    text = text.strip()
    rounds, apart = [], None
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.rounds + 1):
            seconds, samples = theirs(text)
            line = subprocess.run([*program, text], cwd=folder, check=True, capture_output=True, text=True).stdout
            told = json.loads(line)
            if apart is None:
                # the first round warms up, and shows that the work is the same
                import numpy

                bytes = (pathlib.Path(folder) / "x.wav").read_bytes()
                found = numpy.frombuffer(bytes[bytes.index(b"data") + 8:], dtype="<f4")
                apart = numpy.abs(found - samples.numpy()).max() if len(found) == len(samples) else float("nan")
                continue
            rounds.append((seconds, told["timings"]["generate_s"]))
            print(f"round {number}: transformers {seconds:.2f} s, ours {rounds[-1][1]:.2f} s", flush=True)
    length = len(samples) / net.config.sampling_rate
    ratios = sorted(ours / theirs for theirs, ours in rounds)
    middle = [statistics.median(column) for column in zip(*rounds)]
    name = f"VITS at MMS-TTS's sizes, {length:.1f} s of speech, {args.threads} threads"
    print(f"| {name} | {middle[0]:.2f} | {middle[1]:.2f} | {statistics.median(ratios):.2f} | {ratios[0]:.2f} to {ratios[-1]:.2f} |")
    print(f"real-time factors: transformers {middle[0] / length:.3f}, ours {middle[1] / length:.3f}")
    print(f"largest difference of a sample: {apart:.2e}")


if __name__ == "__main__":
    main()
