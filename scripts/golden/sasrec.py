"""Tiny random SASRecs in the layout of the reference on PyTorch, with the scores that torch computes.

    python scripts/golden/sasrec.py

writes shared/golden/sasrec/NAME/: config.json, model.safetensors (the reference's state dict), items.csv (`id,title`, row n
is row n of the embedding), and expected.safetensors with `histories` (batch, maxlen), filled up at the front with zeros, and
the `scores` (batch, items) of all items. The reference has had three placements of its layer norms (`norm`) and two tables
of positions (`rows`): of maxlen rows, with padding set to zero before each block, or of one more, with row 0 for padding.
Made with torch 2.15.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "sasrec"


class PointWise(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(size, size, 1), nn.Conv1d(size, size, 1)

    def forward(self, xs):
        return self.conv2(torch.relu(self.conv1(xs.transpose(1, 2)))).transpose(1, 2)


class SasRec(nn.Module):
    def __init__(self, config, rows):
        super().__init__()
        size, blocks = config["hidden_units"], config["num_blocks"]
        self.config, self.rows = config, rows
        self.item_emb, self.pos_emb = nn.Embedding(config["item_num"] + 1, size), nn.Embedding(rows, size)
        norms = lambda: nn.ModuleList(nn.LayerNorm(size, eps=1e-8) for _ in range(blocks))
        self.attention_layernorms, self.forward_layernorms = norms(), norms()
        self.attention_layers = nn.ModuleList(nn.MultiheadAttention(size, config["num_heads"]) for _ in range(blocks))
        self.forward_layers = nn.ModuleList(PointWise(size) for _ in range(blocks))
        self.last_layernorm = nn.LayerNorm(size, eps=1e-8)

    def forward(self, histories):
        maxlen, norm = self.config["maxlen"], self.config["norm"]
        there = (histories > 0).unsqueeze(-1)
        xs = self.item_emb(histories) * self.config["hidden_units"] ** 0.5
        zeroed = self.rows == maxlen
        if zeroed:
            xs = (xs + self.pos_emb(torch.arange(maxlen))) * there
        else:
            xs = xs + self.pos_emb(torch.arange(1, maxlen + 1) * (histories > 0))
        hidden = ~torch.ones(maxlen, maxlen, dtype=torch.bool).tril()
        for attention, norm_1, norm_2, feed in zip(
            self.attention_layers, self.attention_layernorms, self.forward_layernorms, self.forward_layers
        ):
            def attend(queries, keys):
                queries, keys = queries.transpose(0, 1), keys.transpose(0, 1)
                return attention(queries, keys, keys, attn_mask=hidden)[0].transpose(0, 1)

            if norm == "query":
                queries = norm_1(xs)
                xs = norm_2(queries + attend(queries, xs))
                xs = xs + feed(xs)
            elif norm == "pre":
                xs = xs + attend(norm_1(xs), norm_1(xs))
                xs = xs + feed(norm_2(xs))
            else:
                xs = norm_1(xs + attend(xs, xs))
                xs = norm_2(xs + feed(xs))
            if zeroed:
                xs = xs * there
        return self.last_layernorm(xs)[:, -1] @ self.item_emb.weight[1:].T


def write(name, config, rows):
    net = SasRec(config, rows).eval()
    for key, value in net.state_dict().items():
        value.normal_().mul_(0.4 if value.dim() > 1 else 0.1)
        if "norm" in key and key.endswith("weight"):
            value.add_(1)
    if rows > config["maxlen"]:
        net.item_emb.weight[0], net.pos_emb.weight[0] = 0, 0
    lengths = [1, 3, config["maxlen"] - 1, config["maxlen"]]
    histories = torch.zeros(len(lengths), config["maxlen"], dtype=torch.long)
    for row, length in enumerate(lengths):
        histories[row, -length:] = torch.randint(1, config["item_num"] + 1, (length,))
    scores = net(histories)
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    lines = ["id,title"] + [f'a{n},"Thing, the {n}th"' for n in range(1, config["item_num"] + 1)]
    (folder / "items.csv").write_text("\n".join(lines) + "\n")
    weights = {key: value.contiguous() for key, value in net.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    save_file(dict(histories=histories, scores=scores.contiguous()), folder / "expected.safetensors")
    print(name, tuple(scores.shape), f"largest {scores.abs().max():.3f}")


@torch.no_grad()
def main():
    torch.manual_seed(1)
    small = dict(item_num=30, hidden_units=12, num_blocks=2, num_heads=1, maxlen=9)
    wide = dict(item_num=41, hidden_units=16, num_blocks=3, num_heads=4, maxlen=20)
    write("query", dict(small, norm="query"), small["maxlen"])
    write("query-padding", dict(wide, norm="query"), wide["maxlen"] + 1)
    write("pre", dict(small, norm="pre"), small["maxlen"] + 1)
    write("post", dict(wide, norm="post"), wide["maxlen"] + 1)


if __name__ == "__main__":
    main()
