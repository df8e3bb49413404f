"""Tiny random codecs in the hub's layout, with what transformers makes of a recording by them.

    python scripts/golden/encodec.py

writes shared/golden/encodec/NAME/: config.json, model.safetensors, and expected.safetensors with `samples` (batch,
channels, time), a part of shared/samples/speech/digits.wav that ends within a frame, its `codes` (batch, codebooks,
frames) of all codebooks, and `decoded`, what these sound like. A seed is taken only if the nearest two vectors of every code are further
apart than a five-thousandth of their distance. The norms of `music` have PyTorch's newer spelling, those of `speech` the older
one, as the hub's files. Made with torch 2.15 and transformers 5.24.
"""

import json
from pathlib import Path

import soundfile
import torch
from safetensors.torch import save_file
from transformers import EncodecConfig, EncodecModel

SHARED = Path(__file__).resolve().parents[2] / "shared"
OUT = SHARED / "golden" / "encodec"
MARGIN = 2e-4
CONFIGS = {
    # MusicGen's codec: every sample sees later ones, residuals pass by as they are
    "music": dict(sampling_rate=8000, num_filters=4, hidden_size=12, upsampling_ratios=[5, 4, 2], use_causal_conv=False,
                  use_conv_shortcut=False, codebook_size=64, target_bandwidths=[4.8]),
    # the codec of 24 kHz: causal, two layers of blocks, fewer codebooks at less
    "speech": dict(sampling_rate=8000, num_filters=4, hidden_size=10, upsampling_ratios=[5, 3, 2], num_residual_layers=2,
                   codebook_size=32, target_bandwidths=[2.7, 5.4]),
    # two channels, zeros beside the ends, a cut at both ends
    "stereo": dict(sampling_rate=8000, audio_channels=2, num_filters=6, hidden_size=9, upsampling_ratios=[4, 3],
                   num_lstm_layers=1, kernel_size=5, last_kernel_size=3, residual_kernel_size=5, compress=3,
                   pad_mode="constant", trim_right_ratio=0.5, codebook_size=16, target_bandwidths=[10.7]),
}
KEPT = ["model_type", "sampling_rate", "audio_channels", "target_bandwidths", "hidden_size", "num_filters",
        "num_residual_layers", "upsampling_ratios", "norm_type", "kernel_size", "last_kernel_size",
        "residual_kernel_size", "dilation_growth_rate", "use_causal_conv", "pad_mode", "compress", "num_lstm_layers",
        "trim_right_ratio", "codebook_size", "codebook_dim", "use_conv_shortcut", "normalize", "chunk_length_s", "overlap"]


def shaken(net, samples):
    """Weights large enough that every part of the net shows in what comes out, and codebooks as wide as vectors are."""
    for key, value in net.named_parameters():
        if key.endswith("original0"):
            value.fill_(1.4 / (1 + net.config.use_conv_shortcut)).mul_(1 + 0.3 * torch.randn_like(value))
        elif "lstm.weight" in key:
            value.normal_().mul_(value.shape[1] ** -0.5)
        elif value.dim() > 1:
            value.normal_()
        else:
            value.normal_().mul_(0.1)
    rest = net.encoder(samples).transpose(1, 2)
    for layer in net.quantizer.layers:
        book = layer.codebook.embed
        book.normal_().mul_(0.8 * rest.std((0, 1))).add_(rest.mean((0, 1)))
        rest = rest - book[layer.codebook.quantize(rest.flatten(0, 1))].reshape(rest.shape)
    return net.eval()


def margin(net, samples, codes):
    """How much further than the nearest vector the next one is, at least, as a share of the distance; none in ties."""
    rest, least = net.encoder(samples).transpose(1, 2), 1.0
    for i, layer in enumerate(net.quantizer.layers[:codes.shape[1]]):
        book = layer.codebook.embed
        near = torch.cdist(rest.double(), book.double()[None]).square().topk(2, largest=False)
        least = min(least, ((near.values[..., 1] - near.values[..., 0]) / near.values[..., 1]).min().item())
        if (near.indices[..., 0] != codes[:, i]).any():
            return 0.0
        rest = rest - book[codes[:, i]]
    return least


def older(key):
    return key.replace("parametrizations.weight.original0", "weight_g").replace(
        "parametrizations.weight.original1", "weight_v")


@torch.no_grad()
def write(name, options):
    sound = torch.tensor(soundfile.read(SHARED / "samples" / "speech" / "digits.wav", dtype="float32")[0])
    sound = sound.reshape(-1)
    channels = options.get("audio_channels", 1)
    parts = [sound[3000 + 2500 * i:][:2013] for i in range(2 * channels)]
    samples = torch.stack(parts).reshape(2, channels, -1)
    for seed in range(1, 500):
        torch.manual_seed(seed)
        net = shaken(EncodecModel(EncodecConfig(**options)), samples)
        codes = net.encode(samples, bandwidth=options["target_bandwidths"][-1]).audio_codes[0]
        if margin(net, samples, codes) > MARGIN:
            break
    else:
        raise SystemExit(f"{name}: no seed has such margins")
    decoded = net.decode(codes[None], [None]).audio_values
    assert len(codes.unique()) > options["codebook_size"] // 2, codes.unique()
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    config = net.config.to_dict()
    config = {key: config[key] for key in KEPT} | dict(architectures=["EncodecModel"])
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    spell = older if name == "speech" else str
    weights = {spell(key): value.contiguous() for key, value in net.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    expected = dict(samples=samples, codes=codes, decoded=decoded)
    save_file({key: value.contiguous() for key, value in expected.items()}, folder / "expected.safetensors")
    again = EncodecModel.from_pretrained(folder).eval()
    assert (again.encode(samples).audio_codes[0] == codes[:, :4 // len(options["target_bandwidths"])]).all(), f"{name}: another net is read from the files"
    assert (again.decode(codes[None], [None]).audio_values - decoded).abs().max() < 1e-6
    print(name, f"seed {seed}", tuple(codes.shape), tuple(decoded.shape), f"largest {decoded.abs().max():.3f}",
          f"{sum(file.stat().st_size for file in folder.iterdir())} bytes", flush=True)


if __name__ == "__main__":
    for name, options in CONFIGS.items():
        write(name, options)
