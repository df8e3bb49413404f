#!/usr/bin/env python3
"""Times translate beside CTranslate2 and transformers: same weights, same sentences, same threads, in turn.

    python3 scripts/bench/translate.py FOLDER --vocabulary OPUS [--binary target/release/translate] [--threads 2]
        [--rounds 3] [--sentences 64]

FOLDER gets a Marian of OPUS-MT's shape (6 + 6 layers of width 512) with random weights and the tokenizer of OPUS, a folder
with source.spm, target.spm, vocab.json and config.json of a real one; what is there is kept. Every sentence has the same
number of tokens and gets exactly TOKENS on every side, since its end is forbidden before. Each side loads once a round and is
timed on the whole text after a sentence to warm up; ours by what `--json` says, with the tokenizer in it; the others are given
ids and give ids. Prints a Markdown table: our time over theirs (median of the rounds; below 1 we are faster).

Needs torch, transformers, sentencepiece and ctranslate2.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKENS = 20
CASES = [(batch, beams) for batch in (1, 32) for beams in (1, 4)]
OURS = {"ours f32": "f32", "ours q8": "q8"}
SIDES = ["ours f32", "CTranslate2 f32", "transformers f32", "ours q8", "CTranslate2 int8"]
PAIRS = [("ours f32", "CTranslate2 f32"), ("ours f32", "transformers f32"), ("ours q8", "CTranslate2 int8")]
TEXT = "The old library stands behind the church on the left side of the market and opens at nine in the morning."


def make(folder, vocabulary):
    import torch
    from transformers import MarianConfig, MarianMTModel

    hub = folder / "hub"
    if (hub / "done").exists():
        return hub
    hub.mkdir(parents=True, exist_ok=True)
    for name in ("source.spm", "target.spm", "vocab.json", "tokenizer_config.json"):
        if (vocabulary / name).exists():
            shutil.copy(vocabulary / name, hub / name)
    words = json.loads((hub / "vocab.json").read_text())
    size, end, pad = len(words), words["</s>"], words.get("<pad>", len(words) - 1)
    torch.manual_seed(0)
    config = MarianConfig(
        vocab_size=size, pad_token_id=pad, decoder_start_token_id=pad, eos_token_id=end, d_model=512, encoder_layers=6,
        decoder_layers=6, encoder_attention_heads=8, decoder_attention_heads=8, encoder_ffn_dim=2048, decoder_ffn_dim=2048,
        activation_function="swish", scale_embedding=True, max_position_embeddings=512,
    )
    MarianMTModel(config).eval().save_pretrained(hub)
    (hub / "generation_config.json").write_text(json.dumps(dict(
        bad_words_ids=[[pad], [end]], decoder_start_token_id=pad, eos_token_id=end, pad_token_id=pad, max_length=512,
    )))
    (hub / "done").touch()
    return hub


def ours(binary, hub, lines, kind, batch, beams, threads):
    with tempfile.TemporaryDirectory() as temporary:
        path = pathlib.Path(temporary) / "text.txt"
        path.write_text("\n".join(lines) + "\n")
        command = [
            binary, "--model", str(hub), "--dtype", kind, "--beam", beams, "--batch", batch, "--threads", threads, "--json",
            "--to", "por", "--on-loop", "keep", "--max-tokens", TOKENS, "-q", str(path),
        ]
        out = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout
    rows = [json.loads(line) for line in out.splitlines()]
    counts = {len(row["ids"]) for row in rows}
    if len(rows) != len(lines) or counts != {TOKENS}:
        raise SystemExit(f"ours: {len(rows)} lines of {counts} tokens")
    return rows[0]["timings"]["generate_s"]


def transformers(hub, ids, batch, beams, threads):
    import torch
    from transformers import MarianMTModel

    torch.set_num_threads(threads)
    net = MarianMTModel.from_pretrained(hub, dtype=torch.float32).eval()
    options = dict(num_beams=beams, do_sample=False, min_new_tokens=TOKENS, max_new_tokens=TOKENS, bad_words_ids=None)

    def run(rows):
        with torch.inference_mode():
            for at in range(0, len(rows), batch):
                found = net.generate(torch.tensor(rows[at:at + batch]), **options)
                if found.shape[1] != TOKENS + 1:
                    raise SystemExit(f"transformers: {found.shape}")

    run(ids[:1])
    began = time.perf_counter()
    run(ids)
    return time.perf_counter() - began


def ctranslate2(folder, hub, kind, ids, batch, beams, threads):
    import ctranslate2
    from ctranslate2.converters.transformers import MarianMTLoader
    from transformers import MarianMTModel

    place = folder / f"ct2-{kind}"
    if not place.exists():
        net = MarianMTModel.from_pretrained(hub).eval()
        spec = MarianMTLoader().get_model_spec(net)
        words = json.loads((hub / "vocab.json").read_text())
        names = [word for word, _ in sorted(words.items(), key=lambda pair: pair[1])]
        names = names[:spec.encoder.embeddings[0].weight.shape[0] if hasattr(spec.encoder, "embeddings") else len(names)]
        spec.register_source_vocabulary(names)
        spec.register_target_vocabulary(names)
        spec.config.bos_token = spec.config.eos_token = "</s>"
        spec.config.decoder_start_token = "<pad>" if "<pad>" in words else names[-1]
        spec.config.unk_token = "<unk>"
        spec.validate()
        spec.optimize(quantization={"f32": "float32", "int8": "int8"}[kind])
        place.mkdir(parents=True)
        spec.save(str(place))
    names = json.loads((place / "shared_vocabulary.json").read_text())
    translator = ctranslate2.Translator(
        str(place), compute_type={"f32": "float32", "int8": "int8"}[kind], inter_threads=1, intra_threads=threads)
    source = [[names[i] for i in row] for row in ids]
    options = dict(
        beam_size=beams, max_decoding_length=TOKENS, min_decoding_length=TOKENS, max_batch_size=batch, num_hypotheses=1)
    translator.translate_batch(source[:1], **options)
    began = time.perf_counter()
    for at in range(0, len(source), batch):
        for result in translator.translate_batch(source[at:at + batch], **options):
            if len(result.hypotheses[0]) != TOKENS:
                raise SystemExit(f"CTranslate2: {len(result.hypotheses[0])} tokens")
    return time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--vocabulary", type=pathlib.Path, required=True)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target" / "release" / "translate")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=64)
    args = parser.parse_args()
    import sentencepiece

    hub = make(args.folder, args.vocabulary)
    source = sentencepiece.SentencePieceProcessor(model_file=str(hub / "source.spm"))
    words = json.loads((hub / "vocab.json").read_text())
    lines = [TEXT] * args.sentences
    # ours puts the language asked for in front
    row = [words[">>por<<"]] + [words.get(piece, words["<unk>"]) for piece in source.encode(TEXT, out_type=str)] + [words["</s>"]]
    ids = [row] * len(lines)
    print(f"{len(lines)} sentences of {len(row)} tokens, {TOKENS} tokens each, {args.threads} threads, {args.rounds} rounds")
    print("\n| batch | beams | " + " | ".join(f"{a} / {b}" for a, b in PAIRS) + " | sentences a second, ours f32 |")
    print("|---:|---:|" + "---:|" * (len(PAIRS) + 1), flush=True)
    for batch, beams in CASES:
        count = len(lines) if batch > 1 else max(8, len(lines) // 4)
        times = {side: [] for side in SIDES}
        for _ in range(args.rounds):
            for side in SIDES:
                if side in OURS:
                    seconds = ours(args.binary, hub, lines[:count], OURS[side], batch, beams, args.threads)
                elif side.startswith("transformers"):
                    seconds = transformers(hub, ids[:count], batch, beams, args.threads)
                else:
                    seconds = ctranslate2(args.folder, hub, side.split()[1], ids[:count], batch, beams, args.threads)
                times[side].append(seconds)
        ratios = [[a / b for a, b in zip(times[one], times[other])] for one, other in PAIRS]
        cells = [f"{statistics.median(some):.2f} ({min(some):.2f} to {max(some):.2f})" for some in ratios]
        rate = count / statistics.median(times["ours f32"])
        print(f"| {batch} | {beams} | {' | '.join(cells)} | {rate:.1f} |", flush=True)


sys.exit(main())
