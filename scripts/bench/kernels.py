#!/usr/bin/env python3
"""Times the operators of crates/kernels beside PyTorch's: same shapes, same threads, in turn.

    cargo build --release -p kernels --example bench
    python3 scripts/bench/kernels.py [--threads 1,2] [--rounds 7] [--only conv] [--candle] [--ggml COMMAND]

Prints a Markdown table: PyTorch's milliseconds, ours, the ratio (below 1 we are faster) and its spread over the rounds.
--candle adds candle's own operators. Needs a Python with torch.

--ggml prints a table against ggml instead, of linear maps with quantised weights. The command is a resident server that
multiplies as llama.cpp does, with the number of threads in the environment variable T: a line
`q:FORMAT,rows,inputs,outputs SECONDS` in, `CASE median minimum runs` out, in milliseconds.
"""

import argparse
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

# name, operator, sizes; the example `bench` of crates/kernels reads the same
CASES = [
    ("gelu (tanh) 1500x1536", "gelu_tanh", [1500, 1536]),
    ("gelu (erf) 1500x1536", "gelu", [1500, 1536]),
    ("silu 1500x1536", "silu", [1500, 1536]),
    ("leaky relu 1500x1536", "leaky_relu", [1500, 1536]),
    ("silu(a) b 2048x704", "silu_mul", [2048, 704]),
    ("layer norm 1500x512", "layer_norm", [1500, 512]),
    ("rms norm 2048x256", "rms_norm", [2048, 256]),
    ("group norm 32 of 320x64x64", "group_norm", [1, 320, 64, 64, 32]),
    ("softmax 9000x1500", "softmax", [9000, 1500]),
    ("cross-entropy 2048x32000, with gradient", "cross_entropy", [2048, 32000]),
    ("linear 1500x384x1536", "linear", [1500, 384, 1536]),
    ("linear 1500x512x2048", "linear", [1500, 512, 2048]),
    ("linear 128x2048x2048", "linear", [128, 2048, 2048]),
    ("linear 1x4096x4096", "linear", [1, 4096, 4096]),
    ("linear 2048x256x704, with gradients", "linear_train", [2048, 256, 704]),
    ("linear bf16 128x2048x2048", "linear_bf16", [128, 2048, 2048]),
    ("linear bf16 1x4096x4096", "linear_bf16", [1, 4096, 4096]),
    ("attention 6 heads 1500x1500, 64", "attention", [1, 1500, 6, 64, 0]),
    ("attention 8 heads 4096x4096, 40", "attention", [1, 4096, 8, 40, 0]),
    ("attention causal 4x4 heads 512, 64, with gradients", "attention_train", [4, 512, 4, 64, 1]),
    ("conv1d 32 ch k11, 51200", "conv1d", [1, 32, 32, 51200, 11, 1, 1, 5]),
    ("conv1d 128 ch k7 dilation 3, 12800", "conv1d", [1, 128, 128, 12800, 7, 1, 3, 9]),
    ("conv1d 80->384 k3, 3000", "conv1d", [1, 80, 384, 3000, 3, 1, 1, 1]),
    ("conv1d 384->384 k3 stride 2, 3000", "conv1d", [1, 384, 384, 3000, 3, 2, 1, 1]),
    ("conv_transpose1d 512->256 k16 s8, 200", "conv_transpose1d", [1, 512, 256, 200, 16, 8, 4]),
    ("conv_transpose1d 128->64 k4 s2, 12800", "conv_transpose1d", [1, 128, 64, 12800, 4, 2, 1]),
    ("conv2d 320 ch 64x64", "conv2d", [1, 320, 320, 64, 64, 3, 1, 1]),
    ("conv2d 512 ch 32x32", "conv2d", [1, 512, 512, 32, 32, 3, 1, 1]),
    ("conv2d 128 ch 256x256", "conv2d", [1, 128, 128, 256, 256, 3, 1, 1]),
    ("lstm 512, 256 steps", "lstm", [1, 256, 512]),
    ("top 50 of 150000", "top_k", [1, 150000, 50]),
]


# the same with quantised weights, which ggml has too; bytes with a scale for each output stand beside its Q8_0
QUANTISED = [
    ("Q4_K 1x4096x4096", "quantised Q4_K", [1, 4096, 4096]),
    ("Q8_0 1x4096x4096", "quantised Q8_0", [1, 4096, 4096]),
    ("Q6_K 1x4096x4096", "quantised Q6_K", [1, 4096, 4096]),
    ("Q4_0 1x4096x4096", "quantised Q4_0", [1, 4096, 4096]),
    ("Q5_K 1x4096x4096", "quantised Q5_K", [1, 4096, 4096]),
    ("Q4_K 1x1024x65024", "quantised Q4_K", [1, 1024, 65024]),
    ("Q8_0 1x896x151936", "quantised Q8_0", [1, 896, 151936]),
    ("Q4_K 128x4096x4096", "quantised Q4_K", [128, 4096, 4096]),
    ("Q8_0 128x4096x4096", "quantised Q8_0", [128, 4096, 4096]),
    ("Q6_K 128x4096x4096", "quantised Q6_K", [128, 4096, 4096]),
    ("Q4_0 128x4096x4096", "quantised Q4_0", [128, 4096, 4096]),
    ("Q8_0 128x896x4864", "quantised Q8_0", [128, 896, 4864]),
    ("Q8_0 1x384x1536", "quantised Q8_0", [1, 384, 1536]),
    ("int8 128x2048x2048", "linear_int8", [128, 2048, 2048]),
    ("int8 1x4096x4096", "linear_int8", [1, 4096, 4096]),
]


def peer(threads):
    """Answers a case a line with seconds a run, computed by PyTorch."""
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    rand = torch.randn

    def make(op, s):
        if op in ("gelu", "gelu_tanh", "silu", "leaky_relu"):
            x = rand(*s)
            return {
                "gelu": lambda: F.gelu(x),
                "gelu_tanh": lambda: F.gelu(x, approximate="tanh"),
                "silu": lambda: F.silu(x),
                "leaky_relu": lambda: F.leaky_relu(x, 0.1),
            }[op]
        if op == "silu_mul":
            a, b = rand(*s), rand(*s)
            return lambda: F.silu(a) * b
        if op == "layer_norm":
            x, w, b = rand(*s), rand(s[1]), rand(s[1])
            return lambda: F.layer_norm(x, (s[1],), w, b)
        if op == "rms_norm":
            x, w = rand(*s), rand(s[1])
            return lambda: F.rms_norm(x, (s[1],), w, 1e-5)
        if op == "group_norm":
            x, w, b = rand(*s[:4]), rand(s[1]), rand(s[1])
            return lambda: F.group_norm(x, s[4], w, b)
        if op == "softmax":
            x = rand(*s)
            return lambda: F.softmax(x, -1)
        if op == "cross_entropy":
            x, y = rand(*s, requires_grad=True), torch.arange(s[0]) % s[1]
            return lambda: torch.autograd.grad(F.cross_entropy(x, y), x)
        if op == "linear":
            x, w, b = rand(s[0], s[1]), rand(s[2], s[1]), rand(s[2])
            return lambda: F.linear(x, w, b)
        if op == "linear_bf16":
            x, w, b = (t.bfloat16() for t in (rand(s[0], s[1]), rand(s[2], s[1]), rand(s[2])))
            return lambda: F.linear(x, w, b)
        if op == "linear_train":
            x, w = rand(s[0], s[1], requires_grad=True), rand(s[2], s[1], requires_grad=True)
            g = rand(s[0], s[2])
            return lambda: torch.autograd.grad(F.linear(x, w), (x, w), g)
        if op in ("attention", "attention_train"):
            train = op == "attention_train"
            batch, time_, heads, size, causal = s
            q, k, v = (rand(batch, heads, time_, size, requires_grad=train) for _ in range(3))
            forward = lambda: F.scaled_dot_product_attention(q, k, v, is_causal=bool(causal))
            g = rand(batch, heads, time_, size)
            return (lambda: torch.autograd.grad(forward(), (q, k, v), g)) if train else forward
        if op == "conv1d":
            batch, inputs, outputs, length, kernel, stride, dilation, padding = s
            x, w, b = rand(batch, inputs, length), rand(outputs, inputs, kernel), rand(outputs)
            return lambda: F.conv1d(x, w, b, stride, padding, dilation)
        if op == "conv_transpose1d":
            batch, inputs, outputs, length, kernel, stride, padding = s
            x, w, b = rand(batch, inputs, length), rand(inputs, outputs, kernel), rand(outputs)
            return lambda: F.conv_transpose1d(x, w, b, stride, padding)
        if op == "conv2d":
            batch, inputs, outputs, height, width, kernel, stride, padding = s
            x, w, b = rand(batch, inputs, height, width), rand(outputs, inputs, kernel, kernel), rand(outputs)
            return lambda: F.conv2d(x, w, b, stride, padding)
        if op == "lstm":
            net, x = torch.nn.LSTM(s[2], s[2], batch_first=True), rand(*s)
            return lambda: net(x)
        if op == "top_k":
            x = rand(s[0], s[1])
            return lambda: torch.topk(x, s[2])
        raise ValueError(op)

    for line in sys.stdin:
        case = json.loads(line)
        run = make(case["op"], case["sizes"])
        grad = "train" in case["op"] or case["op"] == "cross_entropy"
        with torch.set_grad_enabled(grad):
            print(json.dumps(seconds(run)), flush=True)


def seconds(run):
    """The fastest run of about a fifth of a second of them."""
    best, end = float("inf"), time.perf_counter() + 0.2
    run()
    while True:
        start = time.perf_counter()
        run()
        now = time.perf_counter()
        best = min(best, now - start)
        if now > end:
            return best


class Server:
    def __init__(self, command, threads, **env):
        # waiting threads must sleep, or they take the processor from the other side
        env = {**os.environ, "RAYON_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0", **env}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def time(self, op, sizes):
        self.process.stdin.write(json.dumps({"op": op, "sizes": sizes}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{op} {sizes}: the process ended")
        return json.loads(line)


class Ggml(Server):
    def __init__(self, command, threads):
        super().__init__(shlex.split(command), threads, T=str(threads))

    def time(self, op, sizes):
        case = ",".join([f"q:{op.partition(' ')[2] or 'Q8_0'}", *map(str, sizes)])
        self.process.stdin.write(f"{case} 0.2\n")
        self.process.stdin.flush()
        words = self.process.stdout.readline().split()
        if len(words) != 4 or words[0] != case:
            sys.exit(f"{case}: ggml's server said {' '.join(words) or 'nothing'}")
        return float(words[2]) / 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="")
    parser.add_argument("--candle", action="store_true", help="time candle's own operators too")
    parser.add_argument("--ggml", metavar="COMMAND", help="time maps with quantised weights, against this server")
    parser.add_argument("--bench", default=str(ROOT / "target/release/examples/bench"))
    parser.add_argument("--peer", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        return peer(args.peer)
    for threads in map(int, args.threads.split(",")):
        ours = Server([args.bench], threads)
        name = "ggml" if args.ggml else "torch"
        if args.ggml:
            other = Ggml(args.ggml, threads)
        else:
            other = Server([sys.executable, __file__, "--peer", str(threads)], threads)
        candle = Server([args.bench], threads, ATELIER_KERNELS="candle") if args.candle else None
        print(f"\n| {'' if args.ggml else 'f32, '}{threads} thread{'s' * (threads > 1)} | {name} ms | ours ms | ours / {name} | spread |" + (" candle / torch |" if candle else ""))
        print("|---|---:|---:|---:|---:|" + ("---:|" if candle else ""))
        for name, op, sizes in QUANTISED if args.ggml else CASES:
            if args.only not in name:
                continue
            rounds = []
            for _ in range(args.rounds):
                rounds.append((other.time(op, sizes), ours.time(op, sizes)))
            ratios = sorted(b / a for a, b in rounds)
            a, b = (statistics.median(times) for times in zip(*rounds))
            line = f"| {name} | {1e3 * a:.3f} | {1e3 * b:.3f} | {statistics.median(ratios):.2f} | {ratios[0]:.2f} to {ratios[-1]:.2f} |"
            if candle:
                line += f" {statistics.median(candle.time(op, sizes) for _ in range(3)) / a:.2f} |"
            print(line, flush=True)


if __name__ == "__main__":
    main()
