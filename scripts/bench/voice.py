#!/usr/bin/env python3
"""Speech by speech-synth beside transformers, in turn, on the same threads.

    cargo build --release -p speech-synth
    python3 scripts/bench/voice.py MODEL/ [--threads 2] [--rounds 5] [--seconds 10] [--onnx]

MODEL/ is made if it is not there: VITS at the sizes of MMS-TTS with random weights, letters as its vocabulary, and a bias of
the durations that makes a letter about as long as a voice does. Both speak the same text from the same seed, which is as
long as gives so many seconds of sound; what is timed is the speech, not loading. Needs torch and transformers. Prints
lines for BENCHMARKS.md: seconds of either, ratios, and the real-time factors.

--onnx adds onnxruntime, on which piper and sherpa-onnx run their voices: the same net, exported by torch. Its generator
is its own, so that its speech differs a little in length: its seconds are told for as much sound as the others make.
Needs onnx and onnxruntime.
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


def exported(net, inputs, threads):
    """The net in onnxruntime: a function of nothing that gives seconds and samples. Exported for this text alone, since a
    trace makes constants of the lengths that relative attention computes."""
    import io

    import onnxruntime
    import torch

    class Wave(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, ids, mask):
            return self.net(input_ids=ids, attention_mask=mask).waveform

    file, names = io.BytesIO(), ["ids", "mask"]
    tensors = inputs["input_ids"], inputs["attention_mask"]
    torch.onnx.export(Wave().eval(), tensors, file, input_names=names, output_names=["wave"], opset_version=17, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    fed = {name: tensor.numpy() for name, tensor in zip(names, tensors)}

    def speak():
        began = time.perf_counter()
        samples = session.run(None, fed)[0][0]
        return time.perf_counter() - began, samples

    return speak


def line(name, theirs, ours):
    """A line of the table: medians, and ratios round by round."""
    ratios = sorted(b / a for a, b in zip(theirs, ours))
    middle = statistics.median(theirs), statistics.median(ours), statistics.median(ratios)
    print(f"| {name} | {middle[0]:.2f} | {middle[1]:.2f} | {middle[2]:.2f} | {ratios[0]:.2f} to {ratios[-1]:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--onnx", action="store_true")
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
    onnx = exported(net, tokenizer(text, return_tensors="pt"), args.threads) if args.onnx else None
    rounds, apart = [], None
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.rounds + 1):
            seconds, samples = theirs(text)
            told = json.loads(subprocess.run([*program, text], cwd=folder, check=True, capture_output=True, text=True).stdout)
            other, made = onnx() if onnx else (0, samples)
            if apart is None:
                # the first round warms up, and shows that the work is the same
                import numpy

                bytes = (pathlib.Path(folder) / "x.wav").read_bytes()
                found = numpy.frombuffer(bytes[bytes.index(b"data") + 8:], dtype="<f4")
                apart = numpy.abs(found - samples.numpy()).max() if len(found) == len(samples) else float("nan")
                continue
            rounds.append((seconds, told["timings"]["generate_s"], other * len(samples) / len(made)))
            print(f"round {number}: transformers {seconds:.2f} s, ours {rounds[-1][1]:.2f} s"
                  + (f", onnxruntime {rounds[-1][2]:.2f} s" if onnx else ""), flush=True)
    length = len(samples) / net.config.sampling_rate
    theirs, ours, others = zip(*rounds)
    name = f"VITS at MMS-TTS's sizes, {length:.1f} s of speech, {args.threads} threads"
    line(name, theirs, ours)
    if onnx:
        line(f"{name}, onnxruntime", others, ours)
    factors = [statistics.median(times) / length for times in (theirs, ours)]
    print(f"real-time factors: transformers {factors[0]:.3f}, ours {factors[1]:.3f}")
    print(f"largest difference of a sample: {apart:.2e}")


if __name__ == "__main__":
    main()
