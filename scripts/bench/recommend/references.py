"""What recommend's methods are held against: the authors' formulas in numpy and torch, on the same split.

    python scripts/bench/recommend/references.py DATA [--repeats] [--threads N] [--methods popular,itemknn,ease,ials,multvae,sasrec,gsasrec]
           [--epochs N] [--longest N] [--width N] [--dropout P]

DATA is `user item` a line in the order of time, or MovieLens' ratings.csv. Of each person with three items or more the last
is for the test, the one before is left out of the training too; all items that the person did not have are ranked (all, with
--repeats), and items of equal scores stand before the one that is looked for. Prints a line of JSON a method: HR@10, NDCG@10,
seconds, and for SASRec seconds an epoch.
"""

import argparse
import csv
import json
import time

import numpy as np
import torch
from torch import nn


def read(path, repeats):
    rows = []
    with open(path) as file:
        if path.endswith(".csv"):
            for user, item, _, when in list(csv.reader(file))[1:]:
                rows.append((user, item, int(when)))
        else:
            for place, line in enumerate(file):
                user, item = line.split()
                rows.append((user, item, place))
    people, items = {}, {}
    for user, item, when in rows:
        number = items.setdefault(item, len(items))
        people.setdefault(user, []).append((when, number))
    histories = []
    for own in people.values():
        own = [item for _, item in sorted(own, key=lambda row: row[0])]
        histories.append(own if repeats else list(dict.fromkeys(own)))
    return histories, len(items)


def judge(histories, count, learned, scores, repeats, batch=256):
    """`scores(histories)` to HR@10 and NDCG@10; items that were never learned from are misses."""
    cases = [(own[:-1], own[-1]) for own in histories if len(own) > 2]
    hits = gains = 0.0
    for first in range(0, len(cases), batch):
        part = cases[first:first + batch]
        all_scores = scores([history for history, _ in part])
        for row, (history, target) in zip(all_scores, part):
            if not learned[target] or (not repeats and target in history):
                continue
            row = row.copy()
            own = row[target]
            if not repeats:
                row[history] = -np.inf
            rank = int((row >= own).sum()) - 1
            if rank < 10:
                hits, gains = hits + 1, gains + 1 / np.log2(rank + 2)
    return dict(people=len(cases), hr10=hits / len(cases), ndcg10=gains / len(cases))


def ones(histories, count):
    xs = np.zeros((len(histories), count), dtype=np.float32)
    for row, history in zip(xs, histories):
        row[history] = 1
    return xs


def times(histories, count):
    xs = np.zeros((len(histories), count), dtype=np.float32)
    for row, history in zip(xs, histories):
        np.add.at(row, history, 1)
    return xs


def popular(train, count, _):
    counts = np.bincount(np.concatenate([np.array(own) for own in train]), minlength=count).astype(np.float32)
    return lambda histories: np.tile(counts, (len(histories), 1))


def ease(train, count, args):
    gram, table = np.zeros((count, count), dtype=np.float64), times if args.repeats else ones
    for first in range(0, len(train), 1024):
        xs = table(train[first:first + 1024], count)
        gram += xs.T @ xs
    gram[np.diag_indices(count)] += 250
    inverse = np.linalg.inv(gram)
    weights = (-inverse / np.diag(inverse)).astype(np.float32)
    np.fill_diagonal(weights, 0)
    return lambda histories: table(histories, count) @ weights


def ials(train, count, args, factors=64, alpha=5.0, regularisation=10.0, iterations=15):
    rng = np.random.default_rng(0)
    items = rng.normal(0, 0.1 / factors**0.5, (count, factors))
    # of Hu et al.: what was had r times weighs 1 + alpha r, and is to be 1
    def rows(histories):
        found = [np.unique(np.array(own, dtype=np.int64), return_counts=True) for own in histories]
        return found if args.repeats else [(own, np.ones_like(times)) for own, times in found]

    train, by_item = rows(train), [[] for _ in range(count)]
    for person, (own, times) in enumerate(train):
        for item, r in zip(own, times):
            by_item[item].append((person, r))
    by_item = [(np.array([p for p, _ in own], dtype=np.int64), np.array([r for _, r in own])) for own in by_item]

    def solved(lists, others):
        gram = others.T @ others + regularisation * np.eye(factors)
        found = np.zeros((len(lists), factors))
        for row, (had, r) in zip(found, lists):
            if len(had):
                ys = others[had]
                row[:] = np.linalg.solve(gram + alpha * ys.T @ (ys * r[:, None]), ys.T @ (1 + alpha * r))
        return found

    for _ in range(iterations):
        items = solved(by_item, solved(train, items))
    return lambda histories: (solved(rows(histories), items) @ items.T).astype(np.float32)


def itemknn(train, count, args, neighbours=200, shrink=10.0):
    table = times if args.repeats else ones
    both, counts = np.zeros((count, count), dtype=np.float32), np.zeros(count, dtype=np.float32)
    for first in range(0, len(train), 1024):
        xs = table(train[first:first + 1024], count)
        both += xs.T @ xs
        counts += xs.sum(0)
    np.fill_diagonal(both, 0)
    both /= np.sqrt(np.outer(counts, counts)) + shrink
    for row in both:
        row[np.argsort(-row, kind="stable")[neighbours:]] = 0
    return lambda histories: table(histories, count) @ both


def multvae(train, count, args, hidden=600, latent=200, most=0.2):
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    encoder = nn.Sequential(nn.Linear(count, hidden), nn.Tanh(), nn.Linear(hidden, 2 * latent))
    decoder = nn.Sequential(nn.Linear(latent, hidden), nn.Tanh(), nn.Linear(hidden, count))
    parameters = [*encoder.parameters(), *decoder.parameters()]
    for value in parameters:
        nn.init.xavier_normal_(value) if value.dim() > 1 else nn.init.zeros_(value)
    optimiser = torch.optim.Adam(parameters, lr=1e-3)
    total, step = args.epochs * -(-len(train) // 256), 0
    for _ in range(args.epochs):
        order = rng.permutation(len(train))
        for first in range(0, len(order), 256):
            xs = torch.from_numpy(ones([train[p] for p in order[first:first + 256]], count))
            mean, spread = encoder(nn.functional.dropout(nn.functional.normalize(xs), 0.5)).chunk(2, 1)
            logits = decoder(mean + torch.randn_like(mean) * (spread / 2).exp())
            divergence = (spread.exp() + mean**2 - 1 - spread).sum(1).mean() / 2
            loss = -(logits.log_softmax(1) * xs).sum(1).mean() + min(1, 2 * step / total) * most * divergence
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            step += 1

    @torch.no_grad()
    def scores(histories):
        xs = nn.functional.normalize(torch.from_numpy(ones(histories, count)))
        return decoder(encoder(xs)[:, :latent]).numpy()

    return scores


class SasRec(nn.Module):
    """The reference's net of 2024: norms of queries alone, a row of positions for padding."""

    def __init__(self, count, args):
        super().__init__()
        size, self.longest = args.width, args.longest
        self.items, self.places = nn.Embedding(count + 1, size, 0), nn.Embedding(self.longest + 1, size, 0)
        norm = lambda: nn.LayerNorm(size, eps=1e-8)
        self.norms_1, self.norms_2 = (nn.ModuleList(norm() for _ in range(2)) for _ in range(2))
        self.attentions = nn.ModuleList(nn.MultiheadAttention(size, 1, args.dropout, batch_first=True) for _ in range(2))
        drop = lambda: nn.Dropout(args.dropout)
        self.feeds = nn.ModuleList(
            nn.Sequential(nn.Linear(size, size), drop(), nn.ReLU(), nn.Linear(size, size), drop()) for _ in range(2)
        )
        self.last, self.drop = norm(), drop()
        for value in self.parameters():
            if value.dim() > 1:
                nn.init.xavier_normal_(value)
        with torch.no_grad():
            self.items.weight[0] = self.places.weight[0] = 0

    def forward(self, seen):
        xs = self.items(seen) * self.items.embedding_dim**0.5
        xs = self.drop(xs + self.places(torch.arange(1, self.longest + 1) * (seen > 0)))
        hidden = ~torch.ones(self.longest, self.longest, dtype=torch.bool).tril()
        for norm_1, norm_2, attention, feed in zip(self.norms_1, self.norms_2, self.attentions, self.feeds):
            queries = norm_1(xs)
            xs = norm_2(queries + attention(queries, xs, xs, attn_mask=hidden, need_weights=False)[0])
            xs = xs + feed(xs)
        return self.last(xs)


def gsasrec(train, count, args):
    """128 drawn items, and the loss of Petrov and Macdonald (2023) with t = 0.75."""
    return sasrec(train, count, args, drawn_each=min(128, (count - 1) // 2), calibration=0.75)


def sasrec(train, count, args, drawn_each=1, calibration=None):
    torch.manual_seed(0)
    rng, net = np.random.default_rng(0), SasRec(count, args)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.9, 0.98))
    train = [own for own in train if len(own) > 1]
    # person and item as one number, in order
    had = np.unique(np.concatenate([person * count + np.array(own) for person, own in enumerate(train)]))

    def never_had(people):
        drawn = rng.integers(0, count, len(people))
        while True:
            pairs = people * count + drawn
            taken = had[np.minimum(np.searchsorted(had, pairs), len(had) - 1)] == pairs
            if not taken.any():
                return torch.from_numpy(drawn + 1)
            drawn[taken] = rng.integers(0, count, int(taken.sum()))

    def filled(rows):
        seen = np.zeros((len(rows), args.longest), dtype=np.int64)
        for place, row in zip(seen, rows):
            row = np.array(row[-args.longest:]) + 1
            if len(row):
                place[-len(row):] = row
        return torch.from_numpy(seen)

    seconds = []
    for epoch in range(args.epochs):
        began, order = time.time(), rng.permutation(len(train))
        net.train()
        for first in range(0, len(order), 128):
            people = order[first:first + 128]
            seen, came = filled([train[p][:-1] for p in people]), filled([train[p][1:] for p in people])
            xs = net(seen)
            here = came > 0
            if calibration is None:
                xs, came = xs[here], came[here]
                drawn = never_had(np.repeat(people, args.longest)[here.flatten().numpy()])
                logit = lambda ids: (xs * net.items(ids)).sum(-1)
                loss = nn.functional.softplus(-logit(came)).mean() + nn.functional.softplus(logit(drawn)).mean()
            else:
                xs, came = xs[here], came[here]
                # anything but what came
                drawn = (came[:, None] - 1 + torch.from_numpy(rng.integers(1, count, (len(came), drawn_each)))) % count + 1
                share = drawn_each / (count - 1)
                power = share * (calibration * (1 - 1 / share) + 1 / share)
                right, wrong = (xs * net.items(came)).sum(-1), torch.einsum("nd,nkd->nk", xs, net.items(drawn))
                losses = power * nn.functional.softplus(-right) + nn.functional.softplus(wrong).sum(-1)
                loss = losses.mean() / (1 + drawn_each)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        seconds.append(time.time() - began)
    net.eval()
    args.epoch_seconds = float(np.median(seconds)) if seconds else None

    @torch.no_grad()
    def scores(histories):
        return (net(filled(histories))[:, -1] @ net.items.weight[1:].T).numpy()

    return scores


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--repeats", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--methods", default="popular,itemknn,ease,ials,multvae,sasrec,gsasrec")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--longest", type=int, default=200)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--dropout", type=float, default=0.2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    histories, count = read(args.data, args.repeats)
    train = [own[:-2] if len(own) > 2 else own for own in histories]
    learned = np.bincount(np.concatenate([np.array(own) for own in train]), minlength=count) > 0
    for name in args.methods.split(","):
        args.epoch_seconds = None
        began = time.time()
        scores = globals()[name](train, count, args)
        train_s, began = time.time() - began, time.time()
        found = judge(histories, count, learned, scores, args.repeats)
        score_s = time.time() - began
        line = dict(method=name, **found, train_s=train_s, score_s=score_s, people_per_s=found["people"] / score_s)
        if args.epoch_seconds:
            line["epoch_s"] = args.epoch_seconds
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
