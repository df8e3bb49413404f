#!/usr/bin/env python3
"""Times CTranslate2 on the work of scripts/bench/nets.py's Marian and Whisper cases: f32 and int8, random weights.

    python3 scripts/bench/ct2.py [--threads 2] [--rounds 5] [--only marian]

Prints a Markdown table beside our times, which come from the same example as there. Needs a Python with torch,
transformers and ctranslate2.
"""

import argparse
import os
import pathlib
import statistics
import sys
import tempfile

import nets

CASES = [
    ("OPUS-MT, 32 sentences of 20 tokens, 20 tokens greedily", "marian"),
    ("Whisper tiny, encoder, 30 s", "whisper_tiny_encoder"),
    ("Whisper base, encoder, 30 s", "whisper_base_encoder"),
    ("Whisper tiny, encoder and decoder, 100 tokens greedily", "whisper_tiny_decoder"),
]


def marian(folder, kind, threads):
    import ctranslate2
    from ctranslate2.converters.transformers import MarianMTLoader
    from transformers import MarianConfig, MarianMTModel

    config = MarianConfig(
        vocab_size=65001, pad_token_id=65000, decoder_start_token_id=65000, d_model=512, encoder_layers=6,
        decoder_layers=6, encoder_attention_heads=8, decoder_attention_heads=8, encoder_ffn_dim=2048,
        decoder_ffn_dim=2048, activation_function="swish", scale_embedding=True, max_position_embeddings=512,
    )
    spec = MarianMTLoader().get_model_spec(MarianMTModel(config).eval())
    words = ["</s>", *(f"w{i}" for i in range(64998)), "<unk>"]
    spec.register_source_vocabulary(words)
    spec.register_target_vocabulary(words)
    spec.config.bos_token = spec.config.eos_token = spec.config.decoder_start_token = "</s>"
    spec.config.unk_token = "<unk>"
    spec.validate()
    spec.optimize(quantization=kind)
    spec.save(folder)
    translator = ctranslate2.Translator(folder, compute_type=kind, inter_threads=1, intra_threads=threads)
    source = [[f"w{(i * 20 + j) * 97 % 64998}" for j in range(20)] for i in range(32)]
    options = dict(beam_size=1, max_decoding_length=20, min_decoding_length=20, max_batch_size=32)
    run = lambda: translator.translate_batch(source, **options)
    counts = {len(result.hypotheses[0]) for result in run()}
    if counts != {20}:
        raise SystemExit(f"{counts} tokens instead of 20")
    return run


def whisper(folder, kind, threads, sizes, decoded):
    import ctranslate2
    import numpy
    from ctranslate2.converters.transformers import WhisperLoader
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    size, layers, heads = sizes
    config = WhisperConfig(
        d_model=size, encoder_layers=layers, decoder_layers=layers, encoder_attention_heads=heads,
        decoder_attention_heads=heads, encoder_ffn_dim=4 * size, decoder_ffn_dim=4 * size,
    )
    spec = WhisperLoader().get_model_spec(WhisperForConditionalGeneration(config).eval())
    special = {50257: "<|endoftext|>", 50258: "<|startoftranscript|>", 50363: "<|notimestamps|>"}
    spec.register_vocabulary([special.get(i, f"w{i}") for i in range(config.vocab_size)])
    spec.config.suppress_ids = spec.config.suppress_ids_begin = spec.config.lang_ids = []
    spec.config.alignment_heads = [(0, 0)]
    spec.validate()
    spec.optimize(quantization=kind)
    spec.save(folder)
    model = ctranslate2.models.Whisper(folder, compute_type=kind, inter_threads=1, intra_threads=threads)
    mel = ctranslate2.StorageView.from_array(numpy.random.randn(1, 80, 3000).astype(numpy.float32))
    if not decoded:
        return lambda: model.encode(mel)
    prompt = [[50258, 50259, 50359, 50363]]
    # half of the length is left to the text; a random net could end it at any time
    run = lambda: model.generate(mel, prompt, beam_size=1, max_length=200, suppress_tokens=[50257])
    count = len(run()[0].sequences_ids[0])
    if count != 100:
        raise SystemExit(f"{count} tokens instead of 100")
    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    args = parser.parse_args()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", nets.ROOT / "target"))
    example = str(target / "release" / "examples" / "bench_models")
    print(f"| {args.threads} threads | CTranslate2 f32 ms | ours | ratio | spread | CTranslate2 int8 ms | ours | ratio | spread |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    for name, case in CASES:
        if args.only not in case:
            continue
        runs = []
        for kind in ("float32", "int8"):
            folder = tempfile.mkdtemp()
            if case == "marian":
                runs.append(marian(folder, kind, args.threads))
            else:
                sizes = (512, 6, 8) if "base" in case else (384, 4, 6)
                runs.append(whisper(folder, kind, args.threads, sizes, "decoder" in case))
        ours = nets.server([example], args.threads)
        # theirs computes the frames' states too
        cases = [case] if case != "whisper_tiny_decoder" else ["whisper_tiny_encoder", case]
        def own(format):
            return sum(nets.ask(ours, part + format) for part in cases)

        rounds = [[nets.seconds(runs[0]), own("@packed"), nets.seconds(runs[1]), own("@int8")] for _ in range(args.rounds)]
        ours.stdin.close()
        ours.wait()
        cells = []
        for first in (0, 2):
            ratios = [row[first + 1] / row[first] for row in rounds]
            middle = [1000 * statistics.median(row[first + side] for row in rounds) for side in (0, 1)]
            cells += [f"{middle[0]:.1f}", f"{middle[1]:.1f}", f"{statistics.median(ratios):.2f}",
                      f"{min(ratios):.2f} to {max(ratios):.2f}"]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
