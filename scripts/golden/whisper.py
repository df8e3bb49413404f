"""Tiny random Whispers in the hub's layout, with what transformers computes from them.

    python scripts/golden/whisper.py

writes shared/golden/whisper/NAME/: config.json, the weights as model.safetensors in f16, and expected.safetensors with
`mel` (batch, bands, frames), the encoder's `states`, `ids` (batch, time), their `logits`, the `weights` of all heads of
the decoder on the states, (layers, batch, heads, time, positions), and the ids that follow `prompt` greedily, `greedy`
(batch, steps), none twice in a row of the batch, since random nets say one id for ever; computed in f32. A seed is taken
only if the two largest logits of every step are further apart than ten times the tolerance of the test, 1e-4 of the
largest. Made with torch 2.15 and transformers 5.23.
"""

import json
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import WhisperConfig, WhisperForConditionalGeneration

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "whisper"
TOLERANCE, STEPS = 1e-4, 24


def options(size, encoder, decoder, **others):
    layers, heads, inner = zip(encoder, decoder)
    special = dict(pad_token_id=1, bos_token_id=1, eos_token_id=1, decoder_start_token_id=2, begin_suppress_tokens=[])
    return dict(
        d_model=size, encoder_layers=layers[0], decoder_layers=layers[1], encoder_attention_heads=heads[0],
        decoder_attention_heads=heads[1], encoder_ffn_dim=inner[0], decoder_ffn_dim=inner[1], **special, **others,
    )


NETS = {
    "small": options(
        32, (2, 2, 64), (3, 4, 48), vocab_size=99, num_mel_bins=20, max_source_positions=25, max_target_positions=40
    ),
    # as the distilled ones are: a deep encoder, a shallow decoder
    "distil": options(
        48, (3, 6, 80), (1, 3, 96), vocab_size=120, num_mel_bins=128, max_source_positions=18, max_target_positions=32
    ),
}


def fresh(config, seed):
    torch.manual_seed(seed)
    net = WhisperForConditionalGeneration(config).eval()
    for value in net.parameters():
        if not value.requires_grad:
            continue
        if value.dim() > 1:
            value.normal_().mul_((1.5 / value[0].numel()) ** 0.5)
        else:
            value.add_(0.3 * torch.randn_like(value))
    return net.half().float()


def greedy(net, mel, prompt):
    """New ids one by one with a cache, and the narrowest margin of a step by its largest logit."""
    encoded = net.get_encoder()(mel)
    ids, cache, found, margin = prompt, None, [], float("inf")
    for _ in range(STEPS):
        result = net(encoder_outputs=encoded, decoder_input_ids=ids, past_key_values=cache, use_cache=True)
        cache, logits = result.past_key_values, result.logits[:, -1]
        largest = logits.abs().max()
        logits.scatter_(1, torch.cat([ids[:, :0], *found], 1), float("-inf"))
        top = logits.topk(2).values
        margin = min(margin, ((top[:, 0] - top[:, 1]).min() / largest).item())
        ids = logits.argmax(-1, keepdim=True)
        found.append(ids)
    return torch.cat(found, 1), margin


@torch.no_grad()
def main():
    for name, fields in NETS.items():
        config = WhisperConfig(**fields)
        config._attn_implementation = "eager"
        for seed in range(1, 1000):
            net = fresh(config, seed)
            mel = torch.randn(2, config.num_mel_bins, 2 * config.max_source_positions)
            prompt = torch.tensor([[config.decoder_start_token_id, 7, 11]] * 2)
            found, margin = greedy(net, mel, prompt)
            if margin > 10 * TOLERANCE:
                break
        else:
            raise SystemExit(f"{name}: no seed has such margins")
        ids = torch.randint(config.vocab_size, (2, 14))
        result = net(mel, decoder_input_ids=ids, use_cache=False, output_attentions=True)
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as saved:
            net.half().save_pretrained(saved)
            written = json.loads((Path(saved) / "config.json").read_text())
            (folder / "config.json").write_text(json.dumps(written, indent=2) + "\n")
            weights = load_file(Path(saved) / "model.safetensors")
            save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        expected = dict(
            mel=mel, states=result.encoder_last_hidden_state, ids=ids, logits=result.logits,
            weights=torch.stack(result.cross_attentions), prompt=prompt[0], greedy=found,
        )
        save_file({key: value.contiguous() for key, value in expected.items()}, folder / "expected.safetensors")
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(name, f"seed {seed}, margin {margin:.5f} of the largest, {size} bytes")


if __name__ == "__main__":
    main()
