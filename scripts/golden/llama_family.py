"""Tiny random checkpoints of the Llama family's other members, with what transformers computes from them.

    python scripts/golden/llama_family.py [NAME...]

writes shared/golden/llama/NAME/ as llama.py does, with longer inputs where a window, or positions beyond the training's,
are to be seen. Made with torch 2.15 and transformers 5.23.
"""

import sys

import torch
from llama import OUT, STEPS, TOLERANCE
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

SMALL = dict(
    vocab_size=97, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=128, initializer_range=0.3, pad_token_id=None,
    bos_token_id=1, eos_token_id=2,
)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=32, rope_theta=500.0)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32, rope_theta=100.0)
MODELS = {
    "llama3-stretched": ("llama", dict(rope_parameters=LLAMA3)),
    "linear-stretched": ("llama", dict(rope_parameters=dict(rope_type="linear", factor=3.0, rope_theta=10000.0))),
    "dynamic": ("llama", dict(max_position_embeddings=20,
                              rope_parameters=dict(rope_type="dynamic", factor=2.0, rope_theta=10000.0))),
    "mistral": ("mistral", dict(sliding_window=7, head_dim=8)),
    "mistral-all": ("mistral", dict(sliding_window=None)),
    "qwen2": ("qwen2", dict(use_sliding_window=True, sliding_window=5, max_window_layers=1)),
    "qwen2-yarn": ("qwen2", dict(tie_word_embeddings=True, rope_parameters=YARN)),
    "qwen3": ("qwen3", dict(head_dim=10, tie_word_embeddings=True)),
    "qwen3-bias": ("qwen3", dict(head_dim=6, attention_bias=True)),
    "gemma2": ("gemma2", dict(head_dim=8, sliding_window=6, query_pre_attn_scalar=12,
                              tie_word_embeddings=False)),
    "gemma2-loud": ("gemma2", dict(head_dim=6, sliding_window=64, query_pre_attn_scalar=6,
                                   attn_logit_softcapping=2.0, final_logit_softcapping=5.0, num_hidden_layers=3)),
    "gemma3": ("gemma3_text", dict(head_dim=8, sliding_window=6, query_pre_attn_scalar=10, num_hidden_layers=7,
                                   tie_word_embeddings=False)),
    "gemma3-far": ("gemma3_text", dict(
        head_dim=6, sliding_window=9, query_pre_attn_scalar=6, num_hidden_layers=2,
        layer_types=["full_attention", "sliding_attention"],
        rope_parameters={"full_attention": dict(rope_type="linear", factor=8.0, rope_theta=1000000.0),
                         "sliding_attention": dict(rope_type="default", rope_theta=10000.0)})),
    "phi3": ("phi3", dict(sliding_window=9, original_max_position_embeddings=128)),
    "phi3-long": ("phi3", dict(
        hidden_size=32, original_max_position_embeddings=24,
        rope_parameters=dict(rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.75,
                             short_factor=[1.0, 1.1, 1.3], long_factor=[2.0, 3.0, 5.0],
                             original_max_position_embeddings=24))),
}


def build(kind, options, seed):
    torch.manual_seed(seed)
    config = AutoConfig.for_model(kind, **(SMALL | options))
    config.attn_implementation = "eager"
    net = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval().float()
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if "norm" in name:
                weight.add_(0.2 * torch.randn_like(weight))
            if name.endswith("bias"):
                weight.copy_(0.3 * torch.randn_like(weight))
    return net


@torch.no_grad()
def greedy(net, prompt):
    """The continuation, with a cache as generate() has it, and the smallest lead of a best logit."""
    ids, out, lead, past = prompt[None], [], float("inf"), None
    for _ in range(STEPS):
        step = net(ids, past_key_values=past, use_cache=True)
        past, logits = step.past_key_values, step.logits[0, -1]
        best = logits.topk(2).values
        lead = min(lead, ((best[0] - best[1]) / logits.abs().max()).item())
        ids = logits.argmax()[None, None]
        out.append(ids.item())
    return torch.tensor(out), lead


def main():
    for name, (kind, options) in MODELS.items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        for seed in range(10_000):
            net = build(kind, options, seed)
            prompt = torch.randint(3, 97, (8,))
            continuation, lead = greedy(net, prompt)
            # where the output is the scaled embedding, a net without training says one word again and again
            ids = 2 if kind.startswith("gemma") and net.config.tie_word_embeddings else 8
            if lead >= 10 * TOLERANCE and len(set(continuation.tolist())) >= ids:
                break
        else:
            raise SystemExit(f"{name}: no seed with the lead that is asked")
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        net.save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        # a net of its own: transformers' rotary positions remember how long the last text was
        net, ids = build(kind, options, seed), torch.randint(3, 97, (2, 40))
        with torch.no_grad():
            logits = net(ids).logits
        expected = dict(ids=ids, logits=logits, prompt=prompt, greedy=continuation)
        save_file({key: value.contiguous() for key, value in expected.items()}, folder / "expected.safetensors")
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{name}: seed {seed}, lead {lead:.4f}, {len(set(continuation.tolist()))} ids, {size} bytes", flush=True)


if __name__ == "__main__":
    main()
