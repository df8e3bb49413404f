#!/usr/bin/env python3
"""Whole pictures by image-gen beside diffusers, in turn, on the same threads.

    cargo build --release -p image-gen
    python3 scripts/bench/image.py MODEL/ [--threads 2] [--rounds 3] [--steps 2]

MODEL/ is made if it is not there: Stable Diffusion 1.5 at its real sizes with random weights in f16 and a tokenizer of bytes.
Both make 512x512 from the same prompt and seed with the same sampler; what is timed is the picture, not loading. Needs
torch, transformers and diffusers. Prints lines for BENCHMARKS.md.
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


def make(folder):
    import torch
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    torch.manual_seed(0)
    letters = list(bytes_to_unicode().values())
    words = letters + [letter + "</w>" for letter in letters] + ["<|startoftext|>", "<|endoftext|>"]
    tokens = folder / "tokenizer"
    tokens.mkdir(parents=True)
    (tokens / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (tokens / "merges.txt").write_text("#version: 0.2\n")
    (tokens / "tokenizer_config.json").write_text(json.dumps(dict(tokenizer_class="CLIPTokenizer", model_max_length=77)))
    pipe = StableDiffusionPipeline(
        vae=AutoencoderKL(
            down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
            block_out_channels=[128, 256, 512, 512], layers_per_block=2).half(),
        text_encoder=CLIPTextModel(CLIPTextConfig(
            hidden_size=768, intermediate_size=3072, num_attention_heads=12, bos_token_id=512, eos_token_id=513)).half(),
        tokenizer=CLIPTokenizer.from_pretrained(tokens), unet=UNet2DConditionModel(cross_attention_dim=768).half(),
        scheduler=PNDMScheduler(
            beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1, skip_prk_steps=True),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    pipe.save_pretrained(folder)
    (folder / "tokenizer" / "tokenizer.json").unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2)
    args = parser.parse_args()
    if not (args.model / "model_index.json").exists():
        make(args.model)
    import torch
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    torch.set_num_threads(args.threads)
    pipe = StableDiffusionPipeline.from_pretrained(args.model, torch_dtype=torch.float32, safety_checker=None)
    config = json.loads((args.model / "scheduler" / "scheduler_config.json").read_text())
    pipe.scheduler = DDIMScheduler.from_config({key: value for key, value in config.items() if key[0] != "_"})
    pipe.set_progress_bar_config(disable=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    ours = [target / "release" / "image-gen", "--model", args.model, "a house", "--steps", str(args.steps), "--seed", "1",
            "--scheduler", "ddim", "--threads", str(args.threads), "--json", "--force", "-q"]

    def theirs():
        began = time.perf_counter()
        with torch.no_grad():
            generator = torch.Generator("cpu").manual_seed(1)
            image = pipe("a house", num_inference_steps=args.steps, generator=generator).images[0]
        return time.perf_counter() - began, image

    rounds, apart = [], None
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.rounds):
            seconds, image = theirs()
            line = subprocess.run([*ours, "-o", "x.png"], cwd=folder, check=True, capture_output=True, text=True).stdout
            rounds.append((seconds, json.loads(line)["timings"]["generate_s"]))
            print(f"round {number + 1}: diffusers {rounds[-1][0]:.1f} s, ours {rounds[-1][1]:.1f} s", flush=True)
            if apart is None:
                import numpy
                from PIL import Image

                found = numpy.asarray(Image.open(pathlib.Path(folder) / "x.png")).astype(float)
                apart = numpy.abs(found - numpy.asarray(image)).mean()
    ratios = sorted(ours / theirs for theirs, ours in rounds)
    middle = [statistics.median(column) for column in zip(*rounds)]
    name = f"Stable Diffusion 1.5, 512x512, {args.steps} steps with guidance, {args.threads} threads"
    print(f"| {name} | {middle[0]:.1f} | {middle[1]:.1f} | {statistics.median(ratios):.2f} | {ratios[0]:.2f} to {ratios[-1]:.2f} |")
    print(f"mean difference of the pictures: {apart:.4f} of 255")


if __name__ == "__main__":
    main()
