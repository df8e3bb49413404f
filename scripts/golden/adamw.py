"""Writes shared/golden/adamw: a tiny regression trained by torch.optim.AdamW, weight by weight and step by step,
for tests/training/optimiser.rs. Needs torch; run from the repository root.
"""

import json
import math
from pathlib import Path

import torch

OUT = Path("shared/golden/adamw")
STEPS = 12

CASES = [
    dict(learning_rate=0.05, warmup_steps=0, min_lr_ratio=1.0, weight_decay=0.0, beta1=0.9, beta2=0.999, eps=1e-8,
         clip=None, average=None),
    dict(learning_rate=0.1, warmup_steps=4, min_lr_ratio=0.1, weight_decay=0.2, beta1=0.8, beta2=0.95, eps=1e-6,
         clip=0.3, average=0.6),
]


def rate(case, step):
    """Linear warm-up, then a cosine that ends at the last step."""
    if step < case["warmup_steps"]:
        return case["learning_rate"] * (step + 1) / case["warmup_steps"]
    done = (step - case["warmup_steps"]) / (STEPS - 1 - case["warmup_steps"])
    low = case["min_lr_ratio"]
    return case["learning_rate"] * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done)))


def train(case, xs, ys, weight, bias):
    weight, bias = (torch.nn.Parameter(t.clone()) for t in (weight, bias))
    groups = [dict(params=[weight], weight_decay=case["weight_decay"]), dict(params=[bias], weight_decay=0.0)]
    adamw = torch.optim.AdamW(groups, betas=(case["beta1"], case["beta2"]), eps=case["eps"])
    averages = [weight.detach().clone(), bias.detach().clone()]
    steps = []
    for step in range(STEPS):
        for group in adamw.param_groups:
            group["lr"] = rate(case, step)
        adamw.zero_grad()
        loss = ((xs @ weight + bias).tanh() - ys).square().mean()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_([weight, bias], case["clip"] or math.inf)
        adamw.step()
        if case["average"] is not None:
            decay = min(case["average"], (1 + step) / (10 + step))
            averages = [decay * a + (1 - decay) * p.detach() for a, p in zip(averages, (weight, bias))]
        steps.append(dict(loss=loss.item(), gradient_norm=norm.item(), learning_rate=rate(case, step),
                          weight=weight.flatten().tolist(), bias=bias.tolist()))
    kept = averages if case["average"] is not None else [weight, bias]
    return dict(options=case, steps=steps, kept=dict(weight=kept[0].flatten().tolist(), bias=kept[1].tolist()))


def main():
    torch.manual_seed(0)
    xs, ys = torch.randn(8, 3), torch.randn(8, 4)
    weight, bias = torch.randn(3, 4), torch.randn(4)
    cases = [train(case, xs, ys, weight, bias) for case in CASES]
    data = dict(xs=xs.flatten().tolist(), ys=ys.flatten().tolist(), weight=weight.flatten().tolist(),
                bias=bias.tolist(), cases=cases)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "steps.json").write_text(json.dumps(data) + "\n")


if __name__ == "__main__":
    main()
