"""Tiny random translators in the hub's layout, with what transformers computes from them.

    python scripts/golden/seq2seq.py [NAME ...]

writes shared/golden/seq2seq/NAME/: config.json, the weights as model.safetensors in f16, and expected.safetensors with
`source` (batch, time) and its `mask`, `target` (batch, target time), the `logits` of the target, the `weights` of all
heads of the decoder on the source, (layers, batch, heads, target time, time), and the ids that follow `start` greedily,
`greedy` (batch, steps), none twice in a row of the batch, since random nets say one id for ever, and none of it the
padding; computed in f32. A seed is taken only if the two largest logits of every step are further apart
than ten times the tolerance of the test, 1e-4 of the largest. Made with torch 2.15 and transformers 5.23.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    M2M100Config, M2M100ForConditionalGeneration, MarianConfig, MarianMTModel, MBartConfig, MBartForConditionalGeneration)

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "seq2seq"
TOLERANCE, STEPS = 1e-4, 24


def sizes(size, encoder, decoder):
    layers, heads, inner = zip(encoder, decoder)
    return dict(
        d_model=size, encoder_layers=layers[0], decoder_layers=layers[1], encoder_attention_heads=heads[0],
        decoder_attention_heads=heads[1], encoder_ffn_dim=inner[0], decoder_ffn_dim=inner[1],
    )


NETS = {
    # OPUS-MT's options
    "marian": (MarianMTModel, MarianConfig(
        vocab_size=91, pad_token_id=90, decoder_start_token_id=90, activation_function="swish", scale_embedding=True,
        max_position_embeddings=64, static_position_embeddings=True, **sizes(48, (3, 4, 64), (2, 6, 80)),
    )),
    # two vocabularies, an output layer of its own
    "marian-apart": (MarianMTModel, MarianConfig(
        vocab_size=70, decoder_vocab_size=83, pad_token_id=69, decoder_start_token_id=69, activation_function="relu",
        max_position_embeddings=48, share_encoder_decoder_embeddings=False, tie_word_embeddings=False,
        **sizes(32, (1, 2, 48), (3, 4, 56)),
    )),
    "m2m100": (M2M100ForConditionalGeneration, M2M100Config(
        vocab_size=97, max_position_embeddings=64, **sizes(48, (2, 4, 64), (3, 3, 96)),
    )),
    # other special ids, embeddings as they are
    "m2m100-plain": (M2M100ForConditionalGeneration, M2M100Config(
        vocab_size=64, pad_token_id=5, eos_token_id=3, decoder_start_token_id=3, activation_function="gelu",
        scale_embedding=False, max_position_embeddings=40, **sizes(40, (2, 2, 64), (1, 5, 48)),
    )),
    "mbart": (MBartForConditionalGeneration, MBartConfig(
        vocab_size=89, decoder_start_token_id=2, scale_embedding=True, max_position_embeddings=64,
        **sizes(32, (2, 4, 48), (2, 2, 64)),
    )),
}


def fresh(kind, config, seed):
    """A net whose layers matter: with the default initialisation logits would hardly depend on the source."""
    torch.manual_seed(seed)
    net = kind(config).eval()
    for value in net.parameters():
        if not value.requires_grad:
            continue
        if value.dim() > 1:
            value.normal_().mul_((1.5 / value[0].numel()) ** 0.5)
        else:
            value.add_(0.3 * torch.randn_like(value))
    if hasattr(net, "final_logits_bias"):
        net.final_logits_bias.normal_()
    # rounded as stored, but for the positions, which are not
    for value in [*net.parameters(), *(b for name, b in net.named_buffers() if name == "final_logits_bias")]:
        if value.requires_grad or value is getattr(net, "final_logits_bias", None):
            value.copy_(value.half().float())
    return net


def greedy(net, source, mask):
    """New ids one by one with a cache, and the narrowest margin of a step by its largest logit."""
    encoded = net.get_encoder()(input_ids=source, attention_mask=mask)
    ids = torch.full((len(source), 1), net.config.decoder_start_token_id)
    cache, found, margin = None, [], float("inf")
    for _ in range(STEPS):
        result = net(
            encoder_outputs=encoded, attention_mask=mask, decoder_input_ids=ids, past_key_values=cache, use_cache=True
        )
        cache, logits = result.past_key_values, result.logits[:, -1]
        largest = logits.abs().max()
        logits[:, net.config.pad_token_id] = float("-inf")
        logits.scatter_(1, torch.cat([ids[:, :0], *found], 1), float("-inf"))
        top = logits.topk(2).values
        margin = min(margin, ((top[:, 0] - top[:, 1]).min() / largest).item())
        ids = logits.argmax(-1, keepdim=True)
        found.append(ids)
    return torch.cat(found, 1), margin


@torch.no_grad()
def main():
    for name, (kind, config) in NETS.items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        config._attn_implementation = "eager"
        for seed in range(1, 1000):
            net = fresh(kind, config, seed)
            special = [config.pad_token_id, config.eos_token_id]
            words = torch.tensor([i for i in range(config.vocab_size) if i not in special])
            source = words[torch.randint(len(words), (3, 11))]
            lengths = torch.tensor([11, 4, 8])
            mask = (torch.arange(11) < lengths[:, None]).long()
            source = torch.where(mask == 1, source, config.pad_token_id)
            ids, margin = greedy(net, source, mask)
            if margin > 10 * TOLERANCE:
                break
        else:
            raise SystemExit(f"{name}: no seed has such margins")
        vocab = getattr(config, "decoder_vocab_size", None) or config.vocab_size
        target = torch.randint(vocab, (3, 13))
        target[target == config.pad_token_id] = config.eos_token_id
        target[:, 0] = config.decoder_start_token_id
        result = net(
            input_ids=source, attention_mask=mask, decoder_input_ids=target, use_cache=False, output_attentions=True
        )
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as saved:
            net.half().save_pretrained(saved)
            written = json.loads((Path(saved) / "config.json").read_text())
            if "static_position_embeddings" not in written and kind is MarianMTModel:
                written["static_position_embeddings"] = True
            (folder / "config.json").write_text(json.dumps(written, indent=2) + "\n")
            weights = load_file(Path(saved) / "model.safetensors")
            save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        expected = dict(
            source=source, mask=mask, target=target, logits=result.logits, greedy=ids,
            start=torch.tensor([config.decoder_start_token_id]), weights=torch.stack(result.cross_attentions),
        )
        save_file({key: value.contiguous() for key, value in expected.items()}, folder / "expected.safetensors")
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(name, f"seed {seed}, margin {margin:.5f} of the largest, {size} bytes")
        print("  ", *(key for key in weights if ".layers." not in key))


if __name__ == "__main__":
    main()
