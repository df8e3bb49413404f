#!/usr/bin/env python3
"""Music as sound by music-gen beside transformers, in turn, on the same threads.

    cargo build --release -p music-gen
    python3 scripts/bench/musicgen.py MODEL/ [--threads 2] [--rounds 3] [--seconds 10] [--dtypes f32 bf16 q8]

MODEL/ is made if it is not there: musicgen-small at its real sizes (T5-base, 24 blocks of 1024, EnCodec of 32 kHz) with
random weights in f32 and a tokenizer of letters; 2.4 GB. Both make the same seconds from the same prompt with guidance of
3 and top-k 250; each run is a process of its own, so that its peak memory is its own. What is timed is the steps of the
decoder and, apart, the codec's decoding; not loading. transformers computes in f32, and in bf16 where --peer-bf16 asks for it. Needs
torch and transformers. Prints lines for BENCHMARKS.md.
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

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMPT = "a slow piano waltz in a large hall"
LETTERS = "▁abcdefghijklmnopqrstuvwxyz0123456789,.'-"


def make(folder):
    import torch
    from transformers import EncodecConfig, MusicgenConfig, MusicgenForConditionalGeneration, T5Config, T5Tokenizer
    from transformers.models.musicgen.configuration_musicgen import MusicgenDecoderConfig

    torch.manual_seed(0)
    text = T5Config(d_model=768, d_kv=64, d_ff=3072, num_layers=12, num_heads=12)
    codec = EncodecConfig(
        sampling_rate=32_000, num_filters=64, upsampling_ratios=[8, 5, 4, 4], use_causal_conv=False, use_conv_shortcut=False,
        codebook_size=2048, target_bandwidths=[2.2])
    config = MusicgenConfig(
        text_encoder=text.to_dict(), audio_encoder=codec.to_dict(), decoder=MusicgenDecoderConfig().to_dict())
    net = MusicgenForConditionalGeneration(config)
    for layer in net.audio_encoder.quantizer.layers:
        layer.codebook.embed.normal_()
    net.generation_config.update(
        do_sample=True, guidance_scale=3.0, decoder_start_token_id=2048, pad_token_id=2048, bos_token_id=2048,
        max_length=1500)
    net.save_pretrained(folder)
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -10.0)] + [(letter, -2.0) for letter in LETTERS]
    T5Tokenizer(vocab=pieces, extra_ids=0).backend_tokenizer.save(str(folder / "tokenizer.json"))


def peer(args):
    """One piece by transformers, as a line of JSON."""
    import torch
    from transformers import MusicgenForConditionalGeneration, PreTrainedTokenizerFast

    torch.set_num_threads(args.threads)
    dtype = torch.bfloat16 if args.peer_bf16 else torch.float32
    net = MusicgenForConditionalGeneration.from_pretrained(args.model, dtype=dtype).eval()
    tokens = PreTrainedTokenizerFast(tokenizer_file=str(args.model / "tokenizer.json"))
    ids = tokens(PROMPT, return_tensors="pt").input_ids
    decoded, decode = [0.0], net.audio_encoder.decode

    def timed(*given, **named):
        began = time.perf_counter()
        result = decode(*given, **named)
        decoded[0] += time.perf_counter() - began
        return result

    net.audio_encoder.decode = timed
    steps = round(args.seconds * 50) + 3
    torch.manual_seed(1)
    began = time.perf_counter()
    wave = net.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=True, top_k=250, guidance_scale=3.0, max_new_tokens=steps)
    seconds = time.perf_counter() - began - decoded[0]
    assert wave.shape[-1] == round(args.seconds * 50) * 640, wave.shape
    print(json.dumps(dict(generate_s=seconds, decode_s=decoded[0], steps_per_s=steps / seconds)))


def run(words, **options):
    """The last line of a process as JSON, and its peak memory in gigabytes."""
    child = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, text=True, **options)
    text = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{words[0]} failed")
    return json.loads(text.splitlines()[-1]), used.ru_maxrss / 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--dtypes", nargs="+", default=["f32", "bf16", "q8"])
    parser.add_argument("--peer-bf16", action="store_true")
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not (args.model / "config.json").exists():
        import torch

        with torch.no_grad():
            make(args.model)
    if args.peer:
        return peer(args)
    args.model = args.model.resolve()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    same = ["--threads", args.threads, "--seconds", args.seconds]
    ours = [target / "release" / "music-gen", PROMPT, "--model", args.model, "--seed", 1, "--guidance", 3, "--top-k", 250,
            "--json", "--force", "-q", "-o", "x.wav", *same]
    theirs = [sys.executable, __file__, args.model, "--peer", *same, *(["--peer-bf16"] if args.peer_bf16 else [])]
    found = {name: [] for name in ["transformers", *args.dtypes]}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.rounds):
            for name, results in found.items():
                words = theirs if name == "transformers" else [*ours, "--dtype", name]
                line, memory = run(words, cwd=folder)
                times = line.get("timings", line)
                results.append((times["steps_per_s"], times["decode_s"], memory))
                print(f"round {number + 1}: {name} {results[-1][0]:.1f} steps a second, decoding {results[-1][1]:.2f} s, "
                      f"{memory:.2f} GB", flush=True)
    print("| musicgen-small's shape, random weights, with guidance | steps a second | ratio | decoding | ratio | peak memory |")
    for name, results in found.items():
        steps, decode, memory = (statistics.median(column) for column in zip(*results))
        pairs = list(zip(results, found["transformers"]))
        faster = statistics.median(mine[0] / other[0] for mine, other in pairs)
        sooner = statistics.median(other[1] / mine[1] for mine, other in pairs)
        label = name if name == "transformers" else f"music-gen, {name}"
        print(f"| {label}, {args.seconds:g} s, {args.threads} threads | {steps:.1f} | {faster:.2f} | {decode:.2f} s | "
              f"{sooner:.2f} | {memory:.2f} GB |")


if __name__ == "__main__":
    main()
