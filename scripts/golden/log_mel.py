"""Log-mel frames that openai/whisper computes.

    python scripts/golden/log_mel.py

writes shared/golden/log_mel/: samples.safetensors with 3 s of chirps, a click, noise and silence as 16-bit `samples`, and
BANDS.safetensors for 80 and 128 bands with the `frames` of them, (frames, bands), and `padded_N`, those of the first N
samples and 1600 zeros; all of samples / 32768. Made with openai-whisper 20250625 (pip install --no-deps openai-whisper)
and torch 2.15.
"""

import importlib.util
import sys
import types
from pathlib import Path

import torch
from safetensors.torch import save_file

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "log_mel"


def reference():
    """whisper.audio without the package around it, which wants numba; and there is a whisper.py beside this script."""
    sys.path.pop(0)
    package = types.ModuleType("whisper")
    package.__path__ = importlib.util.find_spec("whisper").submodule_search_locations
    sys.modules["whisper"] = package
    from whisper.audio import log_mel_spectrogram

    return log_mel_spectrogram


def signal():
    torch.manual_seed(7)
    time = torch.arange(48_000, dtype=torch.float64) / 16_000
    phase = 2 * torch.pi * (80 * time + 0.5 * 2600 * time**2)
    chirps = 0.3 * phase.sin() + 0.05 * (2.7 * phase).sin()
    noise = 0.02 * torch.randn(48_000, dtype=torch.float64) * (1 + (2 * torch.pi * 3 * time).sin())
    sound = (chirps + noise) * (1 - torch.exp(-4 * time))
    sound[20_000] += 0.6
    sound[30_000:33_000] = 0
    sound[40_000:44_000] *= 1e-3
    return (sound * 32768).round().clamp(-32768, 32767).to(torch.int16)


def main():
    log_mel = reference()
    samples = signal()
    OUT.mkdir(parents=True, exist_ok=True)
    save_file({"samples": samples}, OUT / "samples.safetensors")
    sound = samples.float() / 32768
    for bands in (80, 128):
        found = {"frames": log_mel(sound, bands)}
        for count in (0, 1, 100, 1000):
            found[f"padded_{count}"] = log_mel(sound[:count], bands, padding=1600)
        save_file({name: value.T.contiguous() for name, value in found.items()}, OUT / f"{bands}.safetensors")
    print(sum(file.stat().st_size for file in OUT.iterdir()), "bytes")


if __name__ == "__main__":
    main()
