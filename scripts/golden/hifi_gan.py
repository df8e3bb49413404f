"""Tiny random HiFi-GAN generators in the hub's layout, with what transformers computes from them.

    python scripts/golden/hifi_gan.py

writes shared/golden/hifi_gan/NAME/: config.json, model.safetensors, and expected.safetensors with `frames`
(batch, features, time), `speaker` where the net has several, and the `samples` (batch, time * hop). Made with torch 2.15
and transformers 5.23.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig, VitsConfig
from transformers.models.vits.modeling_vits import VitsHifiGan

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "hifi_gan"


def write(name, net, config, frames, samples, speaker=None):
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    weights = {key: value.contiguous() for key, value in net.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    expected = dict(frames=frames, samples=samples)
    if speaker is not None:
        expected["speaker"] = speaker
    save_file({key: value.contiguous() for key, value in expected.items()}, folder / "expected.safetensors")
    print(name, tuple(samples.shape), f"largest {samples.abs().max():.3f}", f"mean {samples.abs().mean():.3f}")


def shaken(net):
    """Weights large enough that every part of the net shows in the samples."""
    for key, value in net.state_dict().items():
        if key == "scale":
            value.uniform_(0.5, 1.5)
        elif key == "mean":
            value.normal_()
        elif value.dim() > 1:
            value.normal_().mul_((1.2 / value[0].numel()) ** 0.5)
        else:
            value.normal_().mul_(0.1)
    return net.eval()


@torch.no_grad()
def main():
    torch.manual_seed(1)
    config = VitsConfig(
        flow_size=10, upsample_initial_channel=16, upsample_rates=[4, 3], upsample_kernel_sizes=[8, 7],
        resblock_kernel_sizes=[3, 5, 7], resblock_dilation_sizes=[[1, 3, 5]] * 3, speaker_embedding_size=6,
    )
    net, frames, speaker = shaken(VitsHifiGan(config)), torch.randn(2, 10, 9), torch.randn(2, 6, 1)
    write("vits-speakers", net, config.to_dict(), frames, net(frames, speaker).squeeze(1), speaker)

    config = SpeechT5HifiGanConfig(
        model_in_dim=8, upsample_initial_channel=24, upsample_rates=[2, 2, 5], upsample_kernel_sizes=[4, 3, 11],
        resblock_kernel_sizes=[3, 11], resblock_dilation_sizes=[[1, 3], [2, 1]], leaky_relu_slope=0.2,
        normalize_before=True,
    )
    net, frames = shaken(SpeechT5HifiGan(config)), torch.randn(1, 8, 13)
    write("vocoder", net, config.to_dict(), frames, net(frames.transpose(1, 2)))


if __name__ == "__main__":
    main()
