#!/usr/bin/env python3
"""Times decoder-only nets of ours beside llama.cpp and PyTorch (transformers): same weights, same threads, in turn.

    cargo build --release -p models -p training --examples
    python3 scripts/bench/text.py FOLDER [--threads 2] [--rounds 3] [--only 0.5B] [--llama PYTHON] [--torch PYTHON]

Makes models with random weights at the shapes of Qwen2.5-0.5B and TinyLlama-1.1B in FOLDER (10 GB; kept for the next time):
a folder in bf16 for transformers, and GGUF files that llama.cpp quantised. Prints Markdown tables: milliseconds for a prompt
of 512 tokens, tokens a second over 64 that follow it, ours over theirs in time (below 1 we are faster) with its spread over
the rounds, seconds to load and the peak of memory. PYTHON has llama-cpp-python and gguf, or torch and transformers.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMPT, STEPS = 512, 64

MODELS = {
    "0.5B": dict(
        model_type="qwen2", architectures=["Qwen2ForCausalLM"], vocab_size=151936, hidden_size=896, intermediate_size=4864,
        num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2, max_position_embeddings=32768,
        rope_theta=1000000.0, rms_norm_eps=1e-6, tie_word_embeddings=True, hidden_act="silu",
    ),
    "1.1B": dict(
        model_type="llama", architectures=["LlamaForCausalLM"], vocab_size=32000, hidden_size=2048, intermediate_size=5632,
        num_hidden_layers=22, num_attention_heads=32, num_key_value_heads=4, max_position_embeddings=2048,
        rope_theta=10000.0, rms_norm_eps=1e-5, tie_word_embeddings=False, hidden_act="silu",
    ),
}
# llama.cpp's numbers for kinds of files
KINDS = {"Q8_0": 7, "Q4_K": 15}


def ids(vocabulary):
    return [(i * i * 7 + 13 * i + 1) % vocabulary for i in range(PROMPT)]


def answer(make):
    """Reads `what MODEL` a line and answers with JSON: seconds of the prompt and of a step, of loading, and memory."""
    made = {}
    for line in sys.stdin:
        path = line.strip()
        if path not in made:
            made.clear()
            begin = time.perf_counter()
            made[path] = make(path), time.perf_counter() - begin
        run, load = made[path]
        prompt, step = run()
        peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
        print(json.dumps(dict(prompt=prompt, step=step, load=load, peak=int(peak.split()[1]) / 1e6)), flush=True)


def torch_peer(threads):
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(threads)

    def make(path):
        path, dtype = path.rsplit(":", 1)
        net = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype)).eval()

        @torch.no_grad()
        def run():
            begin = time.perf_counter()
            out = net(torch.tensor([ids(net.config.vocab_size)]), use_cache=True, logits_to_keep=1)
            token, past = out.logits[0, -1].argmax(), out.past_key_values
            middle = time.perf_counter()
            for _ in range(STEPS):
                out = net(token[None, None], past_key_values=past, use_cache=True)
                token, past = out.logits[0, -1].argmax(), out.past_key_values
            return middle - begin, (time.perf_counter() - middle) / STEPS

        return run

    answer(make)


def llama_peer(threads):
    from llama_cpp import Llama

    def make(path):
        net = Llama(path, n_ctx=1024, n_batch=512, n_ubatch=512, n_threads=threads, n_threads_batch=threads, verbose=False)

        def run():
            net.reset()
            begin = time.perf_counter()
            net.eval(ids(net.n_vocab()))
            middle = time.perf_counter()
            for token in range(STEPS):
                net.eval([token])
            return middle - begin, (time.perf_counter() - middle) / STEPS

        return run

    answer(make)


def make_models(folder, name):
    """The model's folder for transformers, and its GGUF files."""
    import ctypes

    import gguf
    import llama_cpp
    import numpy as np

    config, rng = MODELS[name], np.random.default_rng(0)
    hub = folder / name
    if all((folder / f"{name}-{kind}.gguf").exists() for kind in KINDS) and (hub / "model.safetensors").exists():
        return
    hub.mkdir(parents=True, exist_ok=True)
    size, heads = config["hidden_size"], config["num_attention_heads"]
    narrow = size // heads * config["num_key_value_heads"]
    shapes = {"model.embed_tokens.weight": (config["vocab_size"], size), "model.norm.weight": (size,)}
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (config["vocab_size"], size)
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        for part, rows in (("q", size), ("k", narrow), ("v", narrow), ("o", size)):
            shapes[layer + f"self_attn.{part}_proj.weight"] = (rows, size)
            if config["model_type"] == "qwen2" and part != "o":
                shapes[layer + f"self_attn.{part}_proj.bias"] = (rows,)
        for part in ("gate", "up"):
            shapes[layer + f"mlp.{part}_proj.weight"] = (config["intermediate_size"], size)
        shapes[layer + "mlp.down_proj.weight"] = (size, config["intermediate_size"])
        for part in ("input", "post_attention"):
            shapes[layer + f"{part}_layernorm.weight"] = (size,)
    tensors = {}
    for key, shape in shapes.items():
        values = rng.standard_normal(shape, np.float32) * 0.02
        tensors[key] = values + 1 if "norm" in key else values

    bits = {key: (values.view(np.uint32) >> 16).astype(np.uint16) for key, values in tensors.items()}
    header, end = {}, 0
    for key, values in bits.items():
        header[key] = dict(dtype="BF16", shape=values.shape, data_offsets=[end, end + values.nbytes])
        end += values.nbytes
    head = json.dumps(header).encode()
    with open(hub / "model.safetensors", "wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for values in bits.values():
            file.write(values.tobytes())
    (hub / "config.json").write_text(json.dumps(config | dict(torch_dtype="bfloat16")))

    wide = folder / f"{name}-F16.gguf"
    arch = config["model_type"]
    writer = gguf.GGUFWriter(wide, arch)
    writer.add_tokenizer_model("no_vocab")
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(size)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, arch.upper()), config["num_hidden_layers"])
    for key, values in tensors.items():
        there = names.get_name(key, try_suffixes=(".weight", ".bias"))
        writer.add_tensor(there, values if values.ndim == 1 else values.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    for kind, number in KINDS.items():
        options = llama_cpp.llama_model_quantize_default_params()
        options.ftype = number
        made = folder / f"{name}-{kind}.gguf"
        if llama_cpp.llama_model_quantize(str(wide).encode(), str(made).encode(), ctypes.byref(options)):
            raise SystemExit(f"llama.cpp could not make {made}")
    wide.unlink()


def server(command, threads):
    env = dict(os.environ, RAYON_NUM_THREADS=str(threads), OMP_NUM_THREADS=str(threads), MIMALLOC_PURGE_DELAY="-1")
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)


def ask(process, model):
    process.stdin.write(model + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="models whose name holds this")
    parser.add_argument("--llama", default=sys.executable)
    parser.add_argument("--torch", default=sys.executable)
    parser.add_argument("--role", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role in ("torch", "llama"):
        return dict(torch=torch_peer, llama=llama_peer)[args.role](args.threads)
    if args.role:
        return make_models(args.folder, args.role)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    ours = str(target / "release" / "examples" / "bench_models")
    print(f"\n| {args.threads} threads | peer | prompt ms | ours | ratio | spread | tokens/s | ours | ratio of times | spread "
          "| load s | ours | peak GB | ours |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name in MODELS:
        if args.only not in name:
            continue
        subprocess.run([args.llama, __file__, str(args.folder), "--role", name], check=True)
        cases = [(dtype, "torch", f"{args.folder / name}:{word}") for dtype, word in (("f32", "float32"), ("bf16", "bfloat16"))]
        cases += [(kind, "llama", str(args.folder / f"{name}-{kind}.gguf")) for kind in KINDS]
        for kind, role, model in cases:
            python = dict(torch=args.torch, llama=args.llama)[role]
            peer = server([python, __file__, str(args.folder), "--threads", str(args.threads), "--role", role], args.threads)
            own = server([ours], args.threads)
            ask(peer, model), ask(own, model)
            pairs = [(ask(peer, model), ask(own, model)) for _ in range(args.rounds)]
            for process in (peer, own):
                process.stdin.close()
                process.wait()

            def row(key, scale, digits):
                theirs, ours = ([pair[side][key] for pair in pairs] for side in (0, 1))
                ratios = [b / a for a, b in zip(theirs, ours)]
                middle = [scale(statistics.median(side)) for side in (theirs, ours)]
                return (f"{middle[0]:.{digits}f} | {middle[1]:.{digits}f} | {statistics.median(ratios):.2f} "
                        f"| {min(ratios):.2f} to {max(ratios):.2f}")

            last = pairs[-1]
            print(f"| {name} {kind} | {dict(torch='transformers', llama='llama.cpp')[role]} "
                  f"| {row('prompt', lambda s: 1000 * s, 0)} | {row('step', lambda s: 1 / s, 1)} "
                  f"| {last[0]['load']:.1f} | {last[1]['load']:.1f} | {last[0]['peak']:.2f} | {last[1]['peak']:.2f} |", flush=True)


if __name__ == "__main__":
    main()
