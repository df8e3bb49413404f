"""Tiny random Llama checkpoints in the hub's layout, with what transformers computes from them.

    python scripts/golden/llama.py

writes shared/golden/llama/NAME/: config.json and the weights as `save_pretrained` leaves them, and
expected.safetensors with `ids` (2, 24), their `logits`, a `prompt` (8) and the 64 ids of its greedy
continuation. Seeds are tried until the best logit leads the second by ten times the tolerance of the test at
every step. Made with torch 2.15 and transformers 5.23.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "llama"
TOLERANCE = 1e-4  # relative to the largest logit
STEPS = 64

COMMON = dict(vocab_size=97, max_position_embeddings=128, initializer_range=0.3)
MODELS = {
    # grouped heads, tied output, transformers 4's spelling of the config
    "grouped-tied": dict(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=True, rope_theta=500000.0, spelling=4,
    ),
    # one key head, a head width of its own, biases, several files
    "sharded-bias": dict(
        hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=6,
        num_key_value_heads=1, head_dim=10, attention_bias=True, mlp_bias=True, rms_norm_eps=1e-5,
        shard="24KB",
    ),
    # every head its own keys, weights stored in 16 bits, calculated in 32
    "full-f16": dict(
        hidden_size=40, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, dtype="float16",
    ),
    "grouped-bf16": dict(
        hidden_size=48, intermediate_size=32, num_hidden_layers=1, num_attention_heads=6,
        num_key_value_heads=3, dtype="bfloat16",
    ),
}


def build(options, seed):
    options = dict(options)
    dtype = getattr(torch, options.pop("dtype", "float32"))
    options.pop("shard", None), options.pop("spelling", None)
    theta = options.pop("rope_theta", 10000.0)
    torch.manual_seed(seed)
    config = LlamaConfig(**COMMON, **options, rope_parameters={"rope_type": "default", "rope_theta": theta})
    net = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if name.endswith(("norm.weight", "layernorm.weight")):
                weight.add_(0.2 * torch.randn_like(weight))
            if name.endswith("bias"):
                weight.copy_(0.3 * torch.randn_like(weight))
    return net.to(dtype)


@torch.no_grad()
def greedy(net, prompt):
    """The continuation and the smallest lead of a best logit, relative to the largest logit."""
    ids, lead = prompt.tolist(), float("inf")
    for _ in range(STEPS):
        logits = net(torch.tensor([ids])).logits[0, -1]
        best = logits.topk(2).values
        lead = min(lead, ((best[0] - best[1]) / logits.abs().max()).item())
        ids.append(logits.argmax().item())
    return torch.tensor(ids[len(prompt):]), lead


def spell_as_4(path):
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config["rope_theta"], config["rope_scaling"] = rope["rope_theta"], None
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.46.0"
    path.write_text(json.dumps(config, indent=2) + "\n")


def main():
    for name, options in MODELS.items():
        for seed in range(10_000):
            net = build(options, seed)
            wide = LlamaForCausalLM(net.config).eval()
            wide.load_state_dict(net.state_dict())
            wide = wide.float()
            prompt = torch.randint(0, 97, (8,))
            continuation, lead = greedy(wide, prompt)
            # a continuation that repeats one id would test little
            if lead >= 10 * TOLERANCE and len(set(continuation.tolist())) >= 12:
                break
        else:
            raise SystemExit(f"{name}: no seed with the lead that is asked")
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        net.save_pretrained(folder, max_shard_size=options.get("shard", "5GB"))
        (folder / "generation_config.json").unlink(missing_ok=True)
        if options.get("spelling") == 4:
            spell_as_4(folder / "config.json")
        ids = torch.randint(0, 97, (2, 24))
        with torch.no_grad():
            logits = wide(ids).logits
        expected = dict(ids=ids, logits=logits, prompt=prompt, greedy=continuation)
        expected = {key: (value if value.is_floating_point() else value.to(torch.int64)) for key, value in expected.items()}
        save_file({key: value.contiguous() for key, value in expected.items()}, folder / "expected.safetensors")
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{name}: seed {seed}, lead {lead:.4f}, {len(set(continuation.tolist()))} ids, {size} bytes")


if __name__ == "__main__":
    main()
