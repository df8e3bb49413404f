"""Tiny random models as GGUF files, with what transformers computes from the same weights.

    python scripts/golden/gguf_files.py [NAME...]

writes shared/golden/gguf/NAME.gguf in llama.cpp's keys, tensor names and order of rows, and NAME.safetensors with `ids`,
`logits`, `prompt` and `greedy` as llama.py does. `blocks` has weights in all ten kinds of blocks, whose values are those
that the package gguf computes. Where transformers reads such files itself, its logits are compared too. Made with torch
2.15, transformers 5.23 and gguf 0.19.
"""

import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind
from llama import TOLERANCE
from llama_family import LLAMA3, build, greedy
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "gguf"

# name in transformers, architecture in GGUF, options
MODELS = {
    "llama3": ("llama", "llama", dict(rope_parameters=LLAMA3)),
    "linear": ("llama", "llama", dict(rope_parameters=dict(rope_type="linear", factor=3.0, rope_theta=10000.0),
                                      tie_word_embeddings=True)),
    "qwen2": ("qwen2", "qwen2", dict(rope_parameters=dict(
        rope_type="yarn", factor=4.0, original_max_position_embeddings=32, rope_theta=100.0))),
    "qwen3": ("qwen3", "qwen3", dict(head_dim=10, tie_word_embeddings=True)),
    "gemma2": ("gemma2", "gemma2", dict(head_dim=6, sliding_window=9, query_pre_attn_scalar=6,
                                        attn_logit_softcapping=2.0, final_logit_softcapping=5.0)),
    "gemma3": ("gemma3_text", "gemma3", dict(
        head_dim=8, sliding_window=6, query_pre_attn_scalar=8, num_hidden_layers=7, rope_parameters={
            "full_attention": dict(rope_type="linear", factor=8.0, rope_theta=1000000.0),
            "sliding_attention": dict(rope_type="default", rope_theta=10000.0)})),
    "phi3": ("phi3", "phi3", dict(
        hidden_size=32, sliding_window=50, original_max_position_embeddings=24,
        rope_parameters=dict(rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.75,
                             short_factor=[1.0, 1.1, 1.3], long_factor=[2.0, 3.0, 5.0],
                             original_max_position_embeddings=24))),
    "blocks": ("llama", "llama", dict(hidden_size=256, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
                                      num_key_value_heads=1, initializer_range=0.06)),
}
# of the maps of `blocks`, in turn
KINDS = [Kind.Q2_K, Kind.Q3_K, Kind.Q4_K, Kind.Q5_K, Kind.Q6_K, Kind.Q4_0, Kind.Q4_1, Kind.Q5_0, Kind.Q5_1, Kind.Q8_0]
# where a block keeps the f16 that scales it, and that of its minima
SCALES = {Kind.Q2_K: (80, 82), Kind.Q3_K: (108,), Kind.Q4_K: (0, 2), Kind.Q5_K: (0, 2), Kind.Q6_K: (208,)}


def blocks(values, kind, rng):
    """Bytes of `kind`: of the values where gguf can quantise, else random ones of the same spread."""
    if kind not in SCALES:
        return gguf.quants.quantize(values.numpy(), kind)
    block, size = gguf.GGML_QUANT_SIZES[kind]
    made = rng.integers(0, 256, (values.numel() // block, size), dtype=np.uint8)

    def scaled(*scales):
        for place, scale in zip(SCALES[kind], scales):
            made[:, place:place + 2] = np.array([scale], np.float16).view(np.uint8)
        return gguf.quants.dequantize(made, kind)

    mean, minimum = (scaled(1, 0).mean(), scaled(0, 1).mean()) if len(SCALES[kind]) == 2 else (0, 1)
    spread = scaled(1, -mean / minimum).std()
    scaled(values.std().item() / spread, -mean / minimum * values.std().item() / spread)
    return made.reshape(values.shape[0], -1)


def turned(values, heads):
    """Rows as llama.cpp has them: pairs side by side that transformers keeps half a head apart."""
    rest = values.shape[1:]
    return values.reshape(heads, 2, values.shape[0] // heads // 2, *rest).swapaxes(1, 2).reshape(values.shape)


def write(path, net, arch, name):
    """The net as a GGUF file; weights of `blocks` are changed to what the file holds."""
    config, rng = net.config, np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, arch)
    writer.add_tokenizer_model("no_vocab")
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters
    rope = rope.get("full_attention", rope)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(int(head_dim * rope.get("partial_rotary_factor", 1)))
    if arch in ("gemma2", "gemma3", "phi3"):
        writer.add_sliding_window(config.sliding_window)
    if arch == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    if rope["rope_type"] in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
        writer.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if rope["rope_type"] == "llama3":
        base = rope["rope_theta"] ** (torch.arange(0, head_dim, 2) / head_dim)
        turns = rope["original_max_position_embeddings"] / (2 * torch.pi * base)
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        smooth = ((turns - low) / (high - low)).clamp(0, 1)
        writer.add_tensor("rope_freqs.weight", (1 / ((1 - smooth) / rope["factor"] + smooth)).numpy())
    if rope["rope_type"] == "longrope":
        original = rope["original_max_position_embeddings"]
        scale = config.max_position_embeddings / original
        writer.add_rope_scaling_orig_ctx_len(original)
        writer.add_rope_scaling_attn_factors((1 + np.log(scale) / np.log(original)) ** 0.5)
        for which in ("long", "short"):
            writer.add_tensor(f"rope_factors_{which}.weight", np.array(rope[f"{which}_factor"], np.float32))

    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, arch.upper()), config.num_hidden_layers)
    tied = config.tie_word_embeddings
    for index, (key, weight) in enumerate(sorted(net.state_dict().items())):
        if tied and key == "lm_head.weight":
            continue
        there = names.get_name(key, try_suffixes=(".weight", ".bias"))
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
        heads = heads.get(key.split(".")[-2]) if arch == "llama" else None
        if weight.dim() == 1:
            values = weight + 1 if arch.startswith("gemma") and "norm" in key else weight
            writer.add_tensor(there, (turned(values, heads) if heads else values).numpy())
        elif name == "blocks":
            kind = KINDS[index % len(KINDS)]
            made = blocks(weight, kind, rng)
            weight.copy_(torch.from_numpy(gguf.quants.dequantize(made, kind)).reshape(weight.shape))
            made = torch.from_numpy(np.ascontiguousarray(made))
            writer.add_tensor(there, (turned(made, heads) if heads else made).numpy(), raw_dtype=kind)
        else:
            values = turned(weight, heads) if heads else weight
            if "mlp" in key:
                made = values.bfloat16().contiguous().view(torch.uint8).numpy()
                writer.add_tensor(there, made, raw_dtype=Kind.BF16)
            else:
                writer.add_tensor(there, values.half().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@torch.no_grad()
def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for name, (kind, arch, options) in MODELS.items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        path = OUT / f"{name}.gguf"
        for seed in range(10_000):
            net = build(kind, options, seed)
            for key, value in net.state_dict().items():
                value.copy_(value.bfloat16().float() if "mlp" in key else value.half().float())
            if name == "blocks":
                write(path, net, arch, name)
            prompt = torch.randint(3, 97, (8,))
            continuation, lead = greedy(net, prompt)
            distinct = 2 if kind.startswith("gemma") and net.config.tie_word_embeddings else 8
            if lead >= 10 * TOLERANCE and len(set(continuation.tolist())) >= distinct:
                break
        else:
            raise SystemExit(f"{name}: no seed with the lead that is asked")
        write(path, net, arch, name)
        # a net of its own: transformers' rotary positions remember how long the last text was
        fresh, ids = build(kind, options, seed), torch.randint(3, 97, (2, 40))
        fresh.load_state_dict(net.state_dict())
        logits = fresh(ids).logits
        expected = dict(ids=ids, logits=logits, prompt=prompt, greedy=continuation)
        save_file({key: value.contiguous() for key, value in expected.items()}, OUT / f"{name}.safetensors")
        try:
            read = AutoModelForCausalLM.from_pretrained(OUT, gguf_file=path.name, dtype=torch.float32).eval()
            other = f"{((read(ids).logits - logits).abs().max() / logits.abs().max()).item():.1e}"
        except Exception as error:
            other = f"not read ({type(error).__name__}: {str(error)[:60]})"
        size = path.stat().st_size + (OUT / f"{name}.safetensors").stat().st_size
        print(f"{name}: seed {seed}, lead {lead:.4f}, {len(set(continuation.tolist()))} ids, {size} bytes; "
              f"read by transformers: {other}", flush=True)


if __name__ == "__main__":
    main()
