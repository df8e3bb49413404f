#!/usr/bin/env python3
"""Times whole nets of ours beside PyTorch's (transformers, diffusers): same shapes, same threads, in turn, random weights.

    cargo build --release -p models -p training --examples
    python3 scripts/bench/nets.py [--threads 2] [--rounds 5] [--only unet]

Prints a Markdown table: PyTorch's milliseconds, ours, the ratio (below 1 we are faster) and its spread over the rounds.
Needs a Python with torch, transformers and diffusers.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

# name, what both sides call it, the package whose example is ours
CASES = [
    ("HiFi-GAN, 200 frames (51,200 samples)", "hifi_gan", "models"),
    ("GPT of 5 million parameters, a training step, batch 8 x 256", "gpt_step", "training"),
    ("UNet of Stable Diffusion 1.5, a step, batch 2, 64x64", "unet", "models"),
    ("VAE of Stable Diffusion 1.5, latents of 64x64 to a picture of 512x512", "vae_decode", "models"),
    ("CLIP text encoder of Stable Diffusion 1.5, batch 2 x 77", "clip", "models"),
    ("Whisper tiny, encoder, 30 s", "whisper_tiny_encoder", "models"),
    ("Whisper base, encoder, 30 s", "whisper_base_encoder", "models"),
    ("Whisper tiny, decoder, 100 tokens greedily", "whisper_tiny_decoder", "models"),
    ("OPUS-MT (Marian, 6 and 6 layers), 32 sentences of 20 tokens, 20 tokens greedily", "marian", "models"),
]


def peer(threads):
    """Answers a case a line with the seconds of its fastest run, computed by PyTorch."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)

    def hifi_gan():
        from transformers import VitsConfig
        from transformers.models.vits.modeling_vits import VitsHifiGan

        net, frames = VitsHifiGan(VitsConfig()).eval(), torch.randn(1, 192, 200)
        return lambda: net(frames)

    def unet():
        from diffusers import UNet2DConditionModel

        net = UNet2DConditionModel(cross_attention_dim=768).eval()
        noisy, context = torch.randn(2, 4, 64, 64), torch.randn(2, 77, 768)
        return lambda: net(noisy, 500, context)

    def vae_decode():
        from diffusers import AutoencoderKL

        net = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), layers_per_block=2,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        ).eval()
        latents = torch.randn(1, 4, 64, 64)
        return lambda: net.decode(latents)

    def clip():
        from transformers import CLIPTextConfig, CLIPTextModel

        net = CLIPTextModel(CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_attention_heads=12)).eval()
        ids = torch.randint(49408, (2, 77))
        return lambda: net(ids)
    def whisper(size, layers, heads):
        from transformers import WhisperConfig, WhisperForConditionalGeneration

        config = WhisperConfig(
            d_model=size, encoder_layers=layers, decoder_layers=layers, encoder_attention_heads=heads,
            decoder_attention_heads=heads, encoder_ffn_dim=4 * size, decoder_ffn_dim=4 * size,
        )
        return WhisperForConditionalGeneration(config).eval(), torch.randn(1, 80, 3000)

    def whisper_encoder(*sizes):
        net, mel = whisper(*sizes)
        return lambda: net.get_encoder()(mel)

    def greedily(net, encoded, ids, steps):
        cache = None
        for _ in range(steps):
            result = net(encoder_outputs=encoded, decoder_input_ids=ids, past_key_values=cache, use_cache=True)
            cache, ids = result.past_key_values, result.logits[:, -1].argmax(-1, keepdim=True)

    def whisper_decoder():
        net, mel = whisper(384, 4, 6)
        encoded = net.get_encoder()(mel)
        return lambda: greedily(net, encoded, torch.tensor([[50258, 50259, 50359, 50363]]), 100)

    def marian():
        from transformers import MarianConfig, MarianMTModel

        config = MarianConfig(
            vocab_size=65001, pad_token_id=65000, decoder_start_token_id=65000, d_model=512, encoder_layers=6,
            decoder_layers=6, encoder_attention_heads=8, decoder_attention_heads=8, encoder_ffn_dim=2048,
            decoder_ffn_dim=2048, activation_function="swish", scale_embedding=True, max_position_embeddings=512,
        )
        net, source = MarianMTModel(config).eval(), torch.randint(65000, (32, 20))
        start = torch.full((32, 1), 65000)
        return lambda: greedily(net, net.get_encoder()(source), start, 20)

    def gpt_step():
        from transformers import LlamaConfig, LlamaForCausalLM

        config = LlamaConfig(
            vocab_size=4096, hidden_size=256, intermediate_size=704, num_hidden_layers=5, num_attention_heads=4,
            max_position_embeddings=256, tie_word_embeddings=True, attn_implementation="sdpa",
        )
        net = LlamaForCausalLM(config).train()
        optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, fused=True)
        ids, targets = torch.randint(4096, (8, 256)), torch.randint(4096, (8, 256))

        def step():
            optimiser.zero_grad()
            logits = net(ids, use_cache=False).logits
            torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()

        return step

    made = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in made:
            made.clear()
            cases = dict(
                hifi_gan=hifi_gan, unet=unet, gpt_step=gpt_step, vae_decode=vae_decode, clip=clip, marian=marian,
                whisper_tiny_decoder=whisper_decoder, whisper_tiny_encoder=lambda: whisper_encoder(384, 4, 6),
                whisper_base_encoder=lambda: whisper_encoder(512, 6, 8),
            )
            made[name] = cases[name]()
        with torch.set_grad_enabled(name == "gpt_step"):
            print(seconds(made[name]), flush=True)


def seconds(run):
    """The fastest of at least two runs and a second of them."""
    run()
    begin, best, count = time.perf_counter(), float("inf"), 0
    while count < 2 or time.perf_counter() - begin < 1:
        start = time.perf_counter()
        run()
        best, count = min(best, time.perf_counter() - start), count + 1
    return best


def server(command, threads):
    env = dict(os.environ, RAYON_NUM_THREADS=str(threads), OMP_NUM_THREADS=str(threads), MIMALLOC_PURGE_DELAY="-1")
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)


def ask(process, case):
    process.stdin.write(case + "\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", default="2", help="comma-separated")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--peer", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        return peer(args.peer)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    builds = target / "release" / "examples"
    for threads in map(int, args.threads.split(",")):
        print(f"\n| f32, {threads} thread{'s' * (threads > 1)} | PyTorch ms | ours ms | ours / PyTorch | spread |")
        print("|---|---:|---:|---:|---:|", flush=True)
        for name, case, package in CASES:
            if args.only not in case:
                continue
            theirs = server([sys.executable, __file__, "--peer", str(threads)], threads)
            ours = server([str(builds / f"bench_{package}")], threads)
            pairs = [(ask(theirs, case), ask(ours, case)) for _ in range(args.rounds)]
            for process in (theirs, ours):
                process.stdin.close()
                process.wait()
            ratios = [own / their for their, own in pairs]
            middle = [1000 * statistics.median(column) for column in zip(*pairs)]
            print(
                f"| {name} | {middle[0]:.1f} | {middle[1]:.1f} | {statistics.median(ratios):.2f} "
                f"| {min(ratios):.2f} to {max(ratios):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
