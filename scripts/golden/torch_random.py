"""Writes shared/golden/random: PyTorch's CPU generator and transformers' samplers, for tests/models/random.rs and
tests/models/decoding.rs. Needs torch and transformers; run from the repository root. (Not `random.py`: that name
would hide the standard library from every script beside it.)

Large results are kept as a checksum, the sum of (i + 1) * bits[i] modulo 2**64, or as samples at a stride.
"""

import json
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import GenerationConfig, GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.generation import logits_process as processors
from transformers.modeling_outputs import CausalLMOutput

OUT = Path("shared/golden/random")
SEEDS = [0, 1, 42, 2**32 - 1, 2**32, 2**32 + 42, 2**63, 0xDEADBEEFCAFEBABE, 2**64 - 1]


def generator(seed):
    return torch.Generator().manual_seed(seed)


def checksum(values):
    """An order-sensitive sum over the bits of f32 values, or over int64 values."""
    values = values.contiguous().view(-1).numpy()
    bits = values.view(np.uint32 if values.dtype == np.float32 else np.uint64).astype(np.uint64)
    with np.errstate(over="ignore"):
        return str(int((bits * np.arange(1, len(bits) + 1, dtype=np.uint64)).sum(dtype=np.uint64)))


def samples(values):
    """Every value of a short result; of a long one 24 at a stride and the last 20, as (index, value)."""
    count = len(values)
    if count <= 40:
        chosen = range(count)
    else:
        chosen = sorted({i * (count // 24) for i in range(24)} | set(range(count - 20, count)))
    return [[i, float(f"{values[i].item():.9g}")] for i in chosen]


def uniform_cases():
    sizes = [1, 2, 3, 15, 16, 17, 311, 312, 623, 624, 625, 1000, 4096, 10000]
    return [
        {"seed": str(s), "n": n, "checksum": checksum(torch.rand(n, generator=generator(s)))}
        for s in SEEDS
        for n in sizes
    ]


def normal_cases():
    cases = []
    for seed in SEEDS:
        sizes = [*range(1, 21), 31, 32, 33] if seed in (42, 2**32 + 42) else [15, 17]
        for n in [*sizes, 100, 1000, 4096, 9999, 10000]:
            values = torch.randn(n, generator=generator(seed))
            cases.append({"seed": str(seed), "n": n, "values": samples(values)})
    return cases


def serial_cases():
    """A transposed tensor is filled one number at a time, in the order of memory."""
    cases = []
    for seed, (rows, cols) in [(7, (4, 4)), (2**40 + 7, (40, 30)), (2**64 - 1, (100, 100))]:
        values = torch.empty(rows, cols).t().normal_(generator=generator(seed))
        cases.append({"seed": str(seed), "n": rows * cols, "values": samples(values.t().reshape(-1))})
    return cases


def other_dtypes():
    cases = []
    for seed in [42, 2**32 + 42]:
        for n in [5, 16, 21, 100]:
            for name in ["float64", "bfloat16", "float16"]:
                values = torch.randn(n, generator=generator(seed), dtype=getattr(torch, name))
                cases.append({"seed": str(seed), "n": n, "dtype": name, "values": samples(values)})
    return cases


def integer_cases():
    bounds = [(0, 2), (-5, 5), (0, 1000), (0, 2**28 - 1), (0, 2**28), (-(2**31), 2**31), (0, 2**32), (0, 2**40)]
    bounds += [(0, 2**63 - 1), (-(2**63), 2**63 - 1)]
    cases = []
    for seed in [0, 2**32 + 42, 2**64 - 1]:
        for low, high in bounds:
            for n in [1, 10, 10000]:
                values = torch.randint(low, high, (n,), generator=generator(seed))
                case = {"seed": str(seed), "low": low, "high": high, "n": n}
                cases.append(case | {"checksum": checksum(values), "last": values[-1].item()})
    return cases


def exponential_cases():
    return [
        {"seed": str(s), "n": n, "checksum": checksum(torch.empty(n).exponential_(generator=generator(s)))}
        for s in [3, 2**32 + 3]
        for n in [1, 15, 800, 10000]
    ]


def permutation_cases():
    return [
        {"seed": str(s), "n": n, "checksum": checksum(torch.randperm(n, generator=generator(s)))}
        for s in [3, 2**32 + 3]
        for n in [1, 2, 17, 1000, 10000]
    ]


def probabilities(source, n):
    """Exact in both languages: products of uniforms, the last fifth zero."""
    u = torch.rand(n, generator=source)
    p = u * u * u
    p[n - n // 5 :] = 0
    return p


def multinomial_cases():
    cases = []
    for seed in [3, 2**32 + 3]:
        for n in [1, 2, 17, 1000, 10000]:
            for count in sorted({1, min(5, n - n // 5), n - n // 5}):
                source = generator(seed)
                p = probabilities(source, n)
                ids = torch.multinomial(p, count, generator=source)
                cases.append({"seed": str(seed), "n": n, "count": count, "checksum": checksum(ids)})
    source = generator(11)
    p = probabilities(source, 500)
    ids = [torch.multinomial(p, 1, generator=source).item() for _ in range(300)]
    return cases, {"seed": "11", "n": 500, "ids": ids}


def mixed_calls():
    """One generator, many kinds of call: what each leaves behind (a cached normal, a place in the state) counts."""
    g = generator(2**33 + 9)
    steps = []

    def note(call, values):
        steps.append({"call": call, "n": len(values), "values": samples(values)})

    for n in [1, 3, 16, 2, 5, 17, 1, 40, 7]:
        note("randn", torch.randn(n, generator=g))
        note("rand", torch.rand(n + 1, generator=g))
        note("randint", torch.randint(0, 100, (3,), generator=g))
        note("randint64", torch.randint(0, 2**53, (2,), generator=g))
        note("randn_f64", torch.randn(n, generator=g, dtype=torch.float64))
        note("multinomial", torch.multinomial(torch.ones(10), 1, generator=g))
        note("randperm", torch.randperm(9, generator=g))
    return {"seed": str(2**33 + 9), "steps": steps}


def state_cases():
    cases = []
    for seed, calls in [(0, 0), (2**32 + 1, 1), (5, 623), (5, 624), (5, 625), (2**64 - 1, 1001)]:
        g = generator(seed)
        torch.rand(calls, generator=g)
        fresh = checksum(g.get_state().view(torch.int64))
        torch.randn(3, generator=g)
        cached = checksum(g.get_state().view(torch.int64))
        cases.append({"seed": str(seed), "calls": calls, "state": fresh, "with_normal": cached})
    return cases


def random():
    multinomial, sequence = multinomial_cases()
    return {
        "torch": torch.__version__,
        "rand": uniform_cases(),
        "randn": normal_cases(),
        "randn_serial": serial_cases(),
        "randn_dtypes": other_dtypes(),
        "randint": integer_cases(),
        "exponential": exponential_cases(),
        "randperm": permutation_cases(),
        "multinomial": multinomial,
        "multinomial_sequence": sequence,
        "mixed": mixed_calls(),
        "states": state_cases(),
    }


def logits_table(seed, rows, vocab):
    """Peaked logits, exact in both languages: 24 u^3 - 8 with every step rounded to f32."""
    u = torch.rand(rows * vocab, generator=generator(seed))
    return (u * u * u * 24.0 - 8.0).view(rows, vocab)


def filter_cases():
    filters = [("temperature", v, processors.TemperatureLogitsWarper(v)) for v in [0.1, 0.7, 1.3, 10.0]]
    filters += [("top_k", v, processors.TopKLogitsWarper(v)) for v in [1, 2, 40, 900, 10**6]]
    top_p = [0.0, 1e-9, 0.1, 0.5, 0.9, 0.95, 0.999, 1 - 1e-7, 1.0]
    filters += [("top_p", v, processors.TopPLogitsWarper(v)) for v in top_p]
    filters += [("min_p", v, processors.MinPLogitsWarper(v)) for v in [0.0, 0.001, 0.05, 0.5, 1.0]]
    repetition = [0.5, 1.1, 1.3, 5.0]
    filters += [("repetition_penalty", v, processors.RepetitionPenaltyLogitsProcessor(v)) for v in repetition]
    banned = processors.SuppressTokensLogitsProcessor([0, 3, 5])
    cases = []
    for vocab in [1, 7, 50, 1000, 20000]:
        for seed in [1, 2**32 + 2, 3]:
            scores = logits_table(seed, 1, vocab)
            tokens = torch.randint(0, vocab + 3, (1, 12), generator=generator(seed))
            row = {"seed": str(seed), "vocab": vocab}
            for name, value, filter in filters:
                after = filter(tokens, scores.clone())
                kept = int((after > -torch.inf).sum())
                cases.append(row | {"filter": name, "value": value, "kept": kept, "checksum": checksum(after)})
            if vocab > 6:
                after = banned(tokens, scores.clone())
                kept = int((after > -torch.inf).sum())
                cases.append(row | {"filter": "banned", "value": 0, "kept": kept, "checksum": checksum(after)})
    return cases


class TableConfig(PreTrainedConfig):
    model_type = "table"


class TableModel(PreTrainedModel, GenerationMixin):
    """A net whose logits at every step are a row of a table, so that `generate` shows its sampling alone."""

    config_class = TableConfig

    def __init__(self, config, table, prompt):
        super().__init__(config)
        self.anchor = torch.nn.Parameter(torch.zeros(1))
        self.table, self.prompt = table, prompt

    def forward(self, input_ids, attention_mask=None, **_):
        step = input_ids.shape[1] - self.prompt
        return CausalLMOutput(logits=self.table[step][None, None, :].expand(1, input_ids.shape[1], -1))

    def prepare_inputs_for_generation(self, input_ids, **_):
        return {"input_ids": input_ids}


def generate_cases():
    plain = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0}
    asked = [
        (500, 300, 0, {}),
        (500, 300, 7, {"temperature": 0.7, "top_k": 50}),
        (500, 300, 2**32 + 7, {"temperature": 1.2, "top_p": 0.9}),
        (500, 300, 8, {"temperature": 1.5, "min_p": 0.05}),
        (500, 300, 2**64 - 1, {"repetition_penalty": 1.3, "temperature": 0.9, "top_k": 40, "top_p": 0.95, "min_p": 0.02}),
        (5, 300, 9, {"repetition_penalty": 1.1}),
        (500, 100, 0, {"temperature": 0.0}),
        (500, 100, 0, {"temperature": 0.0, "repetition_penalty": 1.5}),
        (32000, 30, 10, {"temperature": 0.8, "top_p": 0.95}),
        (150000, 4, 11, {"temperature": 1.0, "top_k": 100, "top_p": 0.9}),
    ]
    cases = []
    for vocab, steps, seed, changes in asked:
        options = plain | changes
        prompt = [1, 2, 3, 2]
        model = TableModel(TableConfig(vocab_size=vocab), logits_table(seed + 1 & 2**64 - 1, steps, vocab), len(prompt))
        chosen = dict(options)
        if options["temperature"] == 0.0:
            chosen = {"do_sample": False, "repetition_penalty": options["repetition_penalty"]}
        else:
            chosen["do_sample"] = True
        config = GenerationConfig(max_new_tokens=steps, use_cache=False, pad_token_id=0, eos_token_id=None, **chosen)
        torch.manual_seed(seed)
        ids = model.generate(torch.tensor([prompt]), generation_config=config)[0, len(prompt) :].tolist()
        assert len(ids) == steps
        cases.append({"vocab": vocab, "seed": str(seed), "options": options, "prompt": prompt, "ids": ids})
    return cases


def log_prob_cases():
    cases = []
    for vocab in [7, 1000]:
        row = logits_table(5, 1, vocab)[0]
        values, ids = torch.log_softmax(row, -1).topk(5)
        cases.append({"vocab": vocab, "seed": "5", "ids": ids.tolist(), "log_probs": values.tolist()})
    return cases


def decoding():
    return {
        "transformers": transformers.__version__,
        "filters": filter_cases(),
        "generate": generate_cases(),
        "log_probs": log_prob_cases(),
    }


def write(name, content):
    """One line an entry, so that a change shows what changed."""
    lines = []
    for key, value in content.items():
        if isinstance(value, list):
            entries = ",\n".join(json.dumps(entry) for entry in value)
            lines.append(f"{json.dumps(key)}: [\n{entries}\n]")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value)}")
    (OUT / name).write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    write("random.json", random())
    write("decoding.json", decoding())
