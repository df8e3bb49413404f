#!/usr/bin/env python3
"""Times the first steps of music-gen's training recipe by our operators beside candle's, and draws both loss curves.

    cargo build --release -p music-gen
    python3 scripts/bench/training.py CHORALES.json SONGS/ [--looks 1] [--threads 2] [--memory]

The arguments are those of scripts/train/music.sh, whose flags are used. A run ends at its last look at the held-out pieces
(one every 200 steps) by Ctrl-C; its curve is read from the checkpoint. Prints a Markdown table; needs nothing but Python.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# name, flags, environment, colour of its curve; candle's operators get the allocator's setting that ours run with
RUNS = [
    ("kernels, products in bf16", ["--dtype", "auto"], {}, "#1b3a8a"),
    ("kernels, f32", ["--dtype", "f32"], {}, "#2a9d8f"),
    ("candle's operators", [], {"ATELIER_KERNELS": "candle", "MIMALLOC_PURGE_DELAY": "-1"}, "#d95f02"),
    ("candle's operators and memory", [], {"ATELIER_KERNELS": "candle"}, None),
]


def recipe_flags():
    """The flags of the recipe after --out."""
    text = (ROOT / "scripts/train/music.sh").read_text().replace("\\\n", " ")
    return re.search(r'--out "\$out" (--held-out .*)', text).group(1).split()


def run(binary, data, flags, env, looks, folder):
    """Trains up to a number of looks; gives the seconds since the pieces were read, and the curve."""
    command = [binary, "train", "--data", *data, "--out", folder, *recipe_flags(), *flags, "-v"]
    child = subprocess.Popen(command, env={**os.environ, **env}, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    began, said = None, []
    for line in child.stderr:
        said.append(line.strip())
        if "pieces to learn" in line:
            began = time.perf_counter()
        if line.startswith("step "):
            looks -= 1
            if looks == 0:
                seconds = time.perf_counter() - began
                child.send_signal(signal.SIGINT)
    child.wait()
    if looks > 0:
        sys.exit("\n".join(said[-3:]))
    with open(pathlib.Path(folder) / "checkpoint.safetensors", "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    # behind a check sum
    state = json.loads(header["__metadata__"]["training"].split(" ", 1)[1])
    print(said[-2] if said[-1].startswith("stopped") else said[-1], file=sys.stderr)
    return seconds, state["curve"]["points"]


def draw(runs, path):
    """The curves as SVG: lines lie over one another where losses agree, so that the first is the widest."""
    every = [point["loss"] for *_, points in runs for point in points if point["loss"]]
    low, high = min(every) - 0.1, max(every) + 0.1
    last = max(point["step"] for *_, points in runs for point in points)
    x = lambda step: 50 + 490 * step / last
    y = lambda loss: 240 - 220 * (loss - low) / (high - low)
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 560 300" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for i in range(int(low * 2) + 1, int(high * 2) + 1):
        parts.append(f'<line x1="50" x2="540" y1="{y(i / 2):.1f}" y2="{y(i / 2):.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="42" y="{y(i / 2) + 4:.1f}" text-anchor="end">{i / 2:g}</text>')
    for i in range(5):
        parts.append(f'<text x="{x(last * i / 4):.1f}" y="258" text-anchor="middle">{last * i // 4}</text>')
    parts.append('<text x="295" y="280" text-anchor="middle">step; loss in nats a token, means of ten steps</text>')
    for place, (name, seconds, colour, points) in enumerate(reversed(runs)):
        width = 2 + 2 * (len(runs) - 1 - place)
        line = " ".join(f'{x(p["step"]):.1f},{y(p["loss"]):.1f}' for p in points if p["loss"])
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="{width}" points="{line}"/>')
        legend = 40 + 18 * place
        parts.append(f'<line x1="280" x2="306" y1="{legend - 4}" y2="{legend - 4}" stroke="{colour}" stroke-width="{width}"/>')
        parts.append(f'<text x="312" y="{legend}">{name}: {seconds / last:.2f} s a step</text>')
    path.write_text("\n".join(parts + ["</svg>"]) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chorales")
    parser.add_argument("songs")
    parser.add_argument("--looks", type=int, default=1)
    parser.add_argument("--memory", action="store_true", help="besides, candle as it comes: pages are given back")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "scripts/bench/training-curves.svg")
    asked = parser.parse_args()
    binary = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/music-gen"
    data = [f"chorale={asked.chorales}", f"song={asked.songs}"]
    found = []
    print("| | seconds | times the first | loss of the last ten steps | held out |\n|---|--:|--:|--:|--:|")
    for name, flags, env, colour in RUNS[: 4 if asked.memory else 3]:
        with tempfile.TemporaryDirectory() as folder:
            flags = [*flags, "--threads", str(asked.threads)]
            seconds, points = run(str(binary), data, flags, env, asked.looks, folder)
        found.append((name, seconds, points, colour))
        loss = [point["loss"] for point in points if point["loss"]][-1]
        held_out = [point["held_out"] for point in points if point["held_out"]][-1]
        print(f"| {name} | {seconds:.1f} | {seconds / found[0][1]:.2f} | {loss:.4f} | {held_out:.4f} |", flush=True)
    draw([(name, seconds, colour, points) for name, seconds, points, colour in found if colour], asked.out)


if __name__ == "__main__":
    main()
