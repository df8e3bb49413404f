"""Tiny random autoencoders in diffusers' layout, with what diffusers computes from them.

    python scripts/golden/vae.py

writes shared/golden/vae/NAME/: config.json, the weights as model.safetensors in f16, and expected.safetensors with
`picture` (batch, 3, height, width), `mean` and `logvar` of its latents (TAESD: `encoded`), `latents`, what the pipelines
make of them before the UNet (`scaled`), and the picture `decoded` from them, computed in f32. Made with torch 2.15 and
diffusers 0.35.
"""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from safetensors.torch import save_file

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "vae"

# the attention's names before diffusers 0.18, which Stable Diffusion 1's checkpoints still have
OLD = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def blocks(count):
    return dict(
        down_block_types=("DownEncoderBlock2D",) * count, up_block_types=("UpDecoderBlock2D",) * count,
    )


# the net, its options, the picture's shape, whether the attention has its old names
NETS = {
    # Stable Diffusion 1
    "sd1": (
        AutoencoderKL,
        dict(block_out_channels=(4, 8, 8), layers_per_block=2, norm_num_groups=2, **blocks(3)),
        (2, 3, 16, 24),
        True,
    ),
    # as Stable Diffusion XL's and 3's children have it: no quant convolutions, moments of the latents; odd sides
    "plain": (
        AutoencoderKL,
        dict(
            block_out_channels=(8, 32), layers_per_block=1, norm_num_groups=8, latent_channels=3,
            scaling_factor=0.13025, use_quant_conv=False, use_post_quant_conv=False,
            latents_mean=(-1.6, 2.0, 0.1), latents_std=(8.4, 5.9, 7.1), **blocks(2),
        ),
        (1, 3, 13, 19),
        False,
    ),
    # a middle without attention, other channels in and out
    "bare": (
        AutoencoderKL,
        dict(
            in_channels=4, out_channels=5, block_out_channels=(6, 12), layers_per_block=1, norm_num_groups=3,
            mid_block_add_attention=False, use_quant_conv=False, scaling_factor=1.5305, shift_factor=0.0609,
            **blocks(2),
        ),
        (1, 4, 9, 8),
        False,
    ),
    "taesd": (
        AutoencoderTiny,
        dict(
            encoder_block_out_channels=(8, 8, 8), decoder_block_out_channels=(8, 8, 8), num_encoder_blocks=(1, 2, 1),
            num_decoder_blocks=(2, 1, 1),
        ),
        (2, 3, 15, 22),
        False,
    ),
}


def scaled(config, latents):
    """What StableDiffusionXLImg2ImgPipeline and StableDiffusion3Img2ImgPipeline do before the UNet."""
    if config.get("latents_mean") is not None:
        mean, std = (torch.tensor(config[name]).view(1, -1, 1, 1) for name in ("latents_mean", "latents_std"))
        return (latents - mean) * config["scaling_factor"] / std
    return (latents - (config.get("shift_factor") or 0)) * config["scaling_factor"]


@torch.no_grad()
def main():
    for name, (kind, options, shape, old) in NETS.items():
        torch.manual_seed(1)
        net = kind(**options).eval()
        for value in net.parameters():
            if value.dim() > 1:
                value.normal_().mul_((1.2 / value[0].numel()) ** 0.5)
            else:
                value.add_(0.3 * torch.randn_like(value))
        net = net.half().float()
        tensors = dict(picture=torch.rand(shape) * 2 - 1)
        if kind is AutoencoderKL:
            # some log variances beyond what they are clamped to
            last = net.quant_conv or net.encoder.conv_out
            last.bias[net.config.latent_channels] = 20
            distribution = net.encode(tensors["picture"]).latent_dist
            tensors |= dict(mean=distribution.mean, logvar=distribution.logvar)
            print("log variances", distribution.logvar.min().item(), distribution.logvar.max().item())
        else:
            tensors |= dict(encoded=net.encode(tensors["picture"]).latents)
        channels = net.config.latent_channels
        latents = tensors.get("mean", tensors.get("encoded"))
        latents = latents + torch.randn_like(latents)
        tensors |= dict(latents=latents, scaled=scaled(net.config, latents), decoded=net.decode(latents).sample)
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        config = {key: value for key, value in net.config.items() if key != "_name_or_path"}
        (folder / "config.json").write_text(json.dumps({"_class_name": kind.__name__} | config, indent=2) + "\n")
        weights = {}
        for key, value in net.state_dict().items():
            for new, before in OLD.items() if old else ():
                key = key.replace(f"attentions.0.{new}.", f"attentions.0.{before}.")
            weights[key] = value.half().contiguous()
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        save_file({key: value.contiguous() for key, value in tensors.items()}, folder / "expected.safetensors")
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(name, channels, {key: tuple(value.shape) for key, value in tensors.items()}, f"{size} bytes")


if __name__ == "__main__":
    main()
