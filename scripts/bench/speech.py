#!/usr/bin/env python3
"""Times speech-rec beside faster-whisper, transformers and whisper.cpp: same weights, same work, same threads, in turn.

    python3 scripts/bench/speech.py make FOLDER --vocabulary multilingual.tiktoken [--only tiny]
    cargo build --release -p speech-rec
    python3 scripts/bench/speech.py run FOLDER [--binary target/release/speech-rec] [--threads 2] [--rounds 3]
        [--only tiny,base] [--sides "ours f32,faster-whisper float32"] [--torch PYTHON] [--faster-whisper PYTHON]
        [--whisper-cpp PYTHON]

`make` writes models with random weights at the shapes of openai/whisper-tiny, base and small, in the form of each side, and
five minutes of noise that sounds a little like speech (5 GB; what is there is kept). The vocabulary is the file of that name
from openai/whisper. It needs numpy, torch, transformers and ctranslate2.

`run` prints two tables a shape: the medians of each side, and our times over theirs (below 1 we are faster) with the spread
over the rounds, in which the sides take turns run by run. Each run is a process of its own, which loads the model, hears half
a minute to warm up and is timed over the whole file then. Its peak of memory is what the system says; the loading of Python
sides includes imports. Every window of 30 seconds gets exactly 100 tokens on every side, greedily, without times, second
tries or what was said before; that is counted. The sides tell no parts, so these come from further runs, in the same way for
all: a token is what 98 more take (100 less 2); the encoder is what remains of the run with 2 tokens without its two passes of
the decoder, and without what a net of next to nothing needs for the same file: the reading, the spectrum and the calls.

PYTHON has torch and transformers, or faster-whisper, or pywhispercpp.
"""

import argparse
import base64
import json
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import wave

ROOT = pathlib.Path(__file__).resolve().parents[2]
RATE, WINDOW = 16000, 30
FEW, MANY = 2, 100

# width, layers, heads, the heads that align words; "none" is there to be taken away
SHAPES = {
    "none": (64, 1, 1, [[0, 0]]),
    "tiny": (384, 4, 6, [[2, 2], [3, 0], [3, 2], [3, 3], [3, 4], [3, 5]]),
    "base": (512, 6, 8, [[3, 1], [4, 2], [4, 3], [4, 7], [5, 1], [5, 2], [5, 4], [5, 6]]),
    "small": (768, 12, 12, [[5, 3], [5, 9], [8, 0], [8, 4], [8, 7], [8, 8], [9, 0], [9, 7], [9, 9], [10, 5]]),
}
TEXT, IDS = 50257, 51865

# in the order in which they are asked: what each is called, who computes it, the model's file, the format it computes in
SIDES = {
    "ours auto": ("ours", "hub", "auto"),
    "faster-whisper float32": ("faster_whisper", "ct2-float32", "float32"),
    "ours f32": ("ours", "hub", "f32"),
    "transformers f32": ("transformers", "hub", "float32"),
    "whisper.cpp f16": ("whisper_cpp", "ggml-f16.bin", "f16"),
    "whisper.cpp q8_0": ("whisper_cpp", "ggml-q8_0.bin", "q8_0"),
    "ours q8": ("ours", "hub", "q8"),
    "faster-whisper int8": ("faster_whisper", "ct2-int8", "int8"),
}
PAIRS = [
    ("ours f32", "faster-whisper float32"),
    ("ours f32", "transformers f32"),
    ("ours f32", "whisper.cpp f16"),
    ("ours auto", "faster-whisper float32"),
    ("ours q8", "faster-whisper int8"),
    ("ours q8", "whisper.cpp q8_0"),
]


# Models and sound


def make(folder, vocabulary, only, seconds):
    folder.mkdir(parents=True, exist_ok=True)
    write_sound(folder / f"{seconds}.wav", seconds)
    write_sound(folder / "warm.wav", WINDOW)
    words = [base64.b64decode(line.split()[0]) for line in vocabulary.read_bytes().splitlines()]
    if len(words) != TEXT:
        raise SystemExit(f"{vocabulary}: {len(words)} tokens instead of the {TEXT} of multilingual.tiktoken")
    for name in SHAPES:
        if name != "none" and only and name not in only:
            continue
        place = folder / name
        if (place / "done").exists():
            continue
        tensors = weights(name, words)
        write_hub(place / "hub", name, words, tensors)
        for kind in ("float32", "int8"):
            write_ct2(place, kind)
        for kind in ("f16", "q8_0"):
            write_ggml(place / f"ggml-{kind}.bin", name, words, tensors, kind)
        (place / "done").touch()
        print(place, flush=True)


def write_sound(path, seconds):
    """Syllables of noise, a pause after some of them, and one of more than a second around every end of a window, where
    whoever cuts at pauses cuts too."""
    import numpy as np

    if path.exists():
        return
    rng = np.random.default_rng(1)
    count = seconds * RATE
    pitch = np.fft.rfftfreq(RATE, 1 / RATE)
    shape = 1 / (1 + (pitch / 500) ** 2) + 0.3 * np.exp(-(((pitch - 1500) / 300) ** 2)) + 0.05 * (pitch > 3000)
    second = lambda: np.fft.irfft(np.fft.rfft(rng.standard_normal(RATE)) * shape)
    sound = np.concatenate([second() for _ in range(seconds)])
    loudness, at = np.zeros(count), 0
    while at < count:
        for _ in range(rng.integers(6, 15)):
            length = int(rng.uniform(0.15, 0.3) * RATE)
            part = loudness[at : at + length]
            part += (rng.uniform(0.3, 1) * np.sin(np.pi * np.arange(length) / length) ** 2)[: len(part)]
            at += length
        at += int(rng.uniform(0.3, 0.6) * RATE)
    for edge in range(0, seconds + 1, WINDOW):
        loudness[max(0, int((edge - 0.6) * RATE)) : int((edge + 0.6) * RATE)] = 0
    sound *= loudness / np.abs(sound).max()
    sound = 0.5 * sound + 0.0005 * rng.standard_normal(count)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", None))
        file.writeframes((32767 * sound).astype("<i2").tobytes())


def weights(name, words):
    """Random tensors under transformers' names. The end, times and whatever else shows no text have logits of about -20, so
    that no side ends early or drops a text for being empty."""
    import numpy as np

    size, layers, _, _ = SHAPES[name]
    shapes = {"encoder.conv1.weight": (size, 80, 3), "encoder.conv2.weight": (size, size, 3)}
    shapes |= {"encoder.conv1.bias": (size,), "encoder.conv2.bias": (size,)}
    shapes |= {"encoder.embed_positions.weight": (1500, size), "decoder.embed_positions.weight": (448, size)}
    shapes["decoder.embed_tokens.weight"] = (IDS, size)

    def add(path, *shape):
        shapes[f"{path}.weight"] = shape
        if not path.endswith("k_proj"):
            shapes[f"{path}.bias"] = shape[:1]

    for side in ("encoder", "decoder"):
        for i in range(layers):
            layer = f"{side}.layers.{i}."
            for attention in ("self_attn", "encoder_attn")[: 1 + (side == "decoder")]:
                for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                    add(layer + f"{attention}.{part}", size, size)
                add(layer + f"{attention}_layer_norm", size)
            add(layer + "fc1", 4 * size, size)
            add(layer + "fc2", size, 4 * size)
            add(layer + "final_layer_norm", size)
        add(f"{side}.layer_norm", size)
    rng, tensors = np.random.default_rng(0), {}
    for key, shape in shapes.items():
        values = 0.02 * rng.standard_normal(shape, np.float32)
        tensors[key] = values + 1 if key.endswith("layer_norm.weight") else values
    # the decoder's last state is 1 in its first place, whatever is heard
    tensors["decoder.layer_norm.weight"][0], tensors["decoder.layer_norm.bias"][0] = 0, 1
    empty = [id for id, word in enumerate(words) if not word.decode("utf-8", "ignore").strip()]
    tensors["decoder.embed_tokens.weight"][[*empty, *range(TEXT, IDS)], 0] = -20
    return tensors


def write_hub(folder, name, words, tensors):
    from transformers.models.whisper.configuration_whisper import NON_SPEECH_TOKENS_MULTI
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    folder.mkdir(parents=True, exist_ok=True)
    size, layers, heads, aligning = SHAPES[name]
    languages = [f"<|{code}|>" for code in list(LANGUAGES)[:99]]
    special = ["<|endoftext|>", "<|startoftranscript|>", *languages]
    special += [f"<|{word}|>" for word in "translate transcribe startoflm startofprev nocaptions notimestamps".split()]
    times = [f"<|{0.02 * i:.2f}|>" for i in range(1501)]
    id = {token: TEXT + i for i, token in enumerate(special + times)}
    ends = dict(bos_token_id=TEXT, eos_token_id=TEXT, pad_token_id=TEXT, decoder_start_token_id=TEXT + 1, max_length=448)
    suppressed = dict(begin_suppress_tokens=[220, TEXT], suppress_tokens=NON_SPEECH_TOKENS_MULTI)
    config = dict(
        model_type="whisper", architectures=["WhisperForConditionalGeneration"], activation_function="gelu", d_model=size,
        encoder_layers=layers, decoder_layers=layers, encoder_attention_heads=heads, decoder_attention_heads=heads,
        encoder_ffn_dim=4 * size, decoder_ffn_dim=4 * size, num_hidden_layers=layers, num_mel_bins=80, vocab_size=IDS,
        max_source_positions=1500, max_target_positions=448, scale_embedding=False, use_cache=True, is_encoder_decoder=True,
        init_std=0.02, dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, torch_dtype="float32",
        **{key: value for key, value in ends.items() if key != "max_length"},
    )
    generation = dict(
        alignment_heads=aligning, is_multilingual=True, lang_to_id={word: id[word] for word in languages},
        max_initial_timestamp_index=50, no_timestamps_token_id=id["<|notimestamps|>"],
        prev_sot_token_id=id["<|startofprev|>"], return_timestamps=False,
        task_to_id=dict(transcribe=id["<|transcribe|>"], translate=id["<|translate|>"]), **ends, **suppressed,
    )
    spectrum = dict(
        chunk_length=WINDOW, feature_extractor_type="WhisperFeatureExtractor", feature_size=80, hop_length=160, n_fft=400,
        n_samples=WINDOW * RATE, nb_max_frames=100 * WINDOW, padding_side="right", padding_value=0.0,
        processor_class="WhisperProcessor", return_attention_mask=False, sampling_rate=RATE,
    )
    vocabulary, merges = bpe(words)
    added = [
        dict(id=number, content=token, single_word=False, lstrip=False, rstrip=False, normalized=False, special=token in special)
        for token, number in id.items()
    ]
    as_bytes = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True)
    begin = ["<|startoftranscript|>", "<|notimestamps|>"]
    piece = lambda token: dict(SpecialToken=dict(id=token, type_id=0))
    template = [*map(piece, begin), dict(Sequence=dict(id="A", type_id=0)), piece(special[0])]
    tokenizer = dict(
        version="1.0", truncation=None, padding=None, added_tokens=added, normalizer=None, pre_tokenizer=as_bytes,
        post_processor=dict(
            type="TemplateProcessing", single=template,
            pair=[*template[:-1], dict(Sequence=dict(id="B", type_id=1)), template[-1]],
            special_tokens={token: dict(id=token, ids=[id[token]], tokens=[token]) for token in [*begin, special[0]]},
        ),
        decoder=as_bytes,
        model=dict(
            type="BPE", dropout=None, unk_token=None, continuing_subword_prefix="", end_of_word_suffix="", fuse_unk=False,
            byte_fallback=False, vocab=vocabulary, merges=merges,
        ),
    )
    roles = {f"{role}_token": special[0] for role in ("bos", "eos", "unk", "pad")}
    spelling = dict(
        tokenizer_class="WhisperTokenizer", processor_class="WhisperProcessor", add_prefix_space=False, errors="replace",
        model_max_length=1024, additional_special_tokens=special[1:], **roles,
    )
    files = {
        "config.json": config, "generation_config.json": generation, "preprocessor_config.json": spectrum,
        "tokenizer.json": tokenizer, "tokenizer_config.json": spelling, "vocab.json": vocabulary, "added_tokens.json": id,
    }
    for file, content in files.items():
        (folder / file).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")

    header, end = {}, 0
    for key, values in tensors.items():
        header[f"model.{key}"] = dict(dtype="F32", shape=values.shape, data_offsets=[end, end + values.nbytes])
        end += values.nbytes
    head = json.dumps(dict(__metadata__=dict(format="pt")) | header).encode()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for values in tensors.values():
            file.write(values.tobytes())


def bpe(words):
    """Words of bytes in the order of their ids, as GPT-2 spells them, and the merges that lead to them."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in printable}
    for place, byte in enumerate(byte for byte in range(256) if byte not in letters):
        letters[byte] = chr(256 + place)
    spell = lambda word: "".join(letters[byte] for byte in word)
    ranks, merges = {word: rank for rank, word in enumerate(words)}, []
    for rank, word in enumerate(words):
        parts = [word[i : i + 1] for i in range(len(word))]
        while len(parts) > 2:
            joined = [ranks.get(a + b, rank) for a, b in zip(parts, parts[1:])]
            first = joined.index(min(joined))
            parts[first : first + 2] = [parts[first] + parts[first + 1]]
        if len(parts) == 2:
            merges.append(" ".join(map(spell, parts)))
    return {spell(word): rank for word, rank in ranks.items()}, merges


def write_ct2(place, kind):
    from ctranslate2.converters import TransformersConverter

    files = ["tokenizer.json", "preprocessor_config.json"]
    TransformersConverter(str(place / "hub"), copy_files=files).convert(str(place / f"ct2-{kind}"), quantization=kind, force=True)


def write_ggml(path, name, words, tensors, kind):
    """whisper.cpp's own container: sizes, the spectrum's filters, the words, then tensor after tensor."""
    import numpy as np
    from transformers.audio_utils import mel_filter_bank

    # numbers of ggml's types, and of files of them
    types, file_types = dict(f32=0, f16=1, q8_0=8), dict(f16=1, q8_0=2007)
    size, layers, heads, _ = SHAPES[name]
    filters = mel_filter_bank(201, 80, 0.0, 8000.0, RATE, norm="slaney", mel_scale="slaney").T
    names = [
        ("layers.", "blocks."), ("encoder_attn_layer_norm", "cross_attn_ln"), ("self_attn_layer_norm", "attn_ln"),
        ("final_layer_norm", "mlp_ln"), ("encoder.layer_norm", "encoder.ln_post"), ("decoder.layer_norm", "decoder.ln"),
        ("encoder_attn", "cross_attn"), ("self_attn", "attn"), ("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value"),
        ("out_proj", "out"), ("fc1", "mlp.0"), ("fc2", "mlp.2"), ("embed_tokens", "token_embedding"),
        ("embed_positions.weight", "positional_embedding"),
    ]
    with open(path, "wb") as file:
        numbers = lambda *values: file.write(struct.pack(f"<{len(values)}i", *values))
        numbers(0x67676D6C, IDS, 1500, size, heads, layers, 448, size, heads, layers, 80, file_types[kind], *filters.shape)
        file.write(filters.astype("<f4").tobytes())
        numbers(len(words))
        for word in words:
            numbers(len(word))
            file.write(word)
        for key, values in tensors.items():
            for theirs, other in names:
                key = key.replace(theirs, other)
            type = "f32" if values.ndim == 1 or "positional" in key else "f16" if values.ndim == 3 else kind
            if "conv" in key and values.ndim == 1:
                values = values[:, None]
            numbers(values.ndim, len(key.encode()), types[type], *reversed(values.shape))
            file.write(key.encode())
            if type == "q8_0":
                blocks = values.reshape(-1, 32)
                scale = np.abs(blocks).max(1, keepdims=True) / 127
                made = np.empty(len(blocks), [("scale", "<f2"), ("values", "i1", 32)])
                made["scale"], made["values"] = scale[:, 0], np.rint(blocks / np.maximum(scale, 1e-30))
                values = made
            else:
                values = values.astype("<f2" if type == "f16" else "<f4")
            file.write(values.tobytes())


# The other sides, each in a process of its own: they load, and answer with what hears a file


def faster_whisper(model, format, tokens, batch, threads):
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    net = WhisperModel(model, device="cpu", compute_type=format, cpu_threads=threads)
    # of the length, which counts the prompt's 4 tokens too, CTranslate2 gives half to the text at most
    most = max(2 * tokens - 4, tokens - 1)
    options = dict(
        language="en", beam_size=1, temperature=0.0, without_timestamps=True, max_new_tokens=most, vad_filter=False,
        compression_ratio_threshold=None, log_prob_threshold=None, no_speech_threshold=None, condition_on_previous_text=False,
    )

    def hear(path):
        if batch:
            clips = [dict(start=WINDOW * i, end=WINDOW * (i + 1)) for i in range(windows(path))]
            segments, _ = BatchedInferencePipeline(net).transcribe(path, batch_size=batch, clip_timestamps=clips, **options)
        else:
            segments, _ = net.transcribe(path, **options)
        return [(segment.seek, len(segment.tokens)) for segment in segments]

    return hear


def transformers(model, format, tokens, batch, threads):
    import numpy as np
    import torch
    from transformers import pipeline

    torch.set_num_threads(threads)
    heard = pipeline("automatic-speech-recognition", model, dtype=getattr(torch, format), device="cpu")
    generate, counts = heard.model.generate, []

    def counted(*args, **options):
        made = generate(*args, **options)
        ids = made if torch.is_tensor(made) else made["sequences"]
        counts.extend((ids < TEXT).sum(1).tolist())
        return made

    heard.model.generate = counted
    options = dict(language="en", task="transcribe", max_new_tokens=tokens, num_beams=1, do_sample=False)

    def hear(path):
        counts.clear()
        with wave.open(path) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
        heard(
            dict(raw=samples, sampling_rate=RATE), chunk_length_s=WINDOW, stride_length_s=0, batch_size=batch or 1,
            generate_kwargs=options,
        )
        return list(enumerate(counts))

    return hear


def whisper_cpp(model, format, tokens, batch, threads):
    import _pywhispercpp
    from pywhispercpp.model import Model

    # it ends after one more token than is asked for
    net = Model(
        model, redirect_whispercpp_logs_to=None, n_threads=threads, language="en", no_context=True, no_timestamps=True,
        max_tokens=tokens - 1, temperature=0.0, temperature_inc=0.0, entropy_thold=-1.0, logprob_thold=-1e9,
        no_speech_thold=1.0, greedy=dict(best_of=1), print_progress=False, print_realtime=False, print_timestamps=False,
    )

    def hear(path):
        segments = net.transcribe(path)
        return [(segment.t0, _pywhispercpp.whisper_full_n_tokens(net._ctx, i)) for i, segment in enumerate(segments)]

    return hear


def side(kind, model, format, tokens, batch, threads, sounds):
    begin = time.perf_counter()
    hear = dict(faster_whisper=faster_whisper, transformers=transformers, whisper_cpp=whisper_cpp)[kind](
        model, format, tokens, batch, threads
    )
    load = time.perf_counter() - begin
    for sound in sounds:
        begin = time.perf_counter()
        counts = hear(sound)
        seconds = time.perf_counter() - begin
    print(json.dumps(dict(load=load, seconds=seconds, counts=counts)))


# Measuring


def windows(path):
    with wave.open(str(path)) as file:
        return -(-file.getnframes() // (WINDOW * file.getframerate()))


def measure(args, name, shape, tokens, batch):
    """Seconds of a whole file after a warm-up, of loading, and the peak of memory in MB."""
    kind, file, format = SIDES[name]
    model, sounds = str(args.folder / shape / file), [str(args.folder / "warm.wav"), str(args.sound)]
    if kind == "ours":
        command = [str(args.binary), *sounds, "--model", model, "--dtype", format, "--threads", str(args.threads), "--device", "cpu"]
        command += ["--language", "en", "--no-timestamps", "--no-context", "--temperature", "0", "--max-tokens", str(tokens)]
        command += ["--json", "--offline", "--seed", "0"] + (["--batch", str(batch)] if batch else [])
    else:
        python = dict(faster_whisper=args.faster_whisper, transformers=args.torch, whisper_cpp=args.whisper_cpp)[kind]
        command = [python, __file__, "side", kind, model, format, str(tokens), str(batch), str(args.threads), *sounds]
    env = dict(os.environ, OMP_NUM_THREADS=str(args.threads), HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, text=True, env=env)
        lines = process.stdout.read().strip().splitlines()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        if process.returncode or not lines:
            raise SystemExit(f"{name}, {shape}: {' '.join(command)} ended with {process.returncode}\n{errors.read()[-4000:]}")
    result = json.loads(lines[-1])
    if kind == "ours":
        counts = [(segment["seek"], len(segment["tokens"])) for segment in result["segments"]]
        result = dict(load=result["timings"]["load_s"], seconds=result["timings"]["generate_s"], counts=counts)
    found = {}
    for window, count in result["counts"]:
        found[window] = found.get(window, 0) + count
    if list(found.values()) != [tokens] * windows(args.sound):
        raise SystemExit(f"{name}, {shape}: {list(found.values())} tokens, not {tokens} in each of {windows(args.sound)} windows")
    print(f"{shape}, {name}, {tokens} tokens, batch {batch}: {result['seconds']:.3f} s", file=sys.stderr, flush=True)
    return dict(seconds=result["seconds"], load=result["load"], peak=used.ru_maxrss * 1024 / 1e6)


def batches(args, name):
    """Whether a side can decode windows together."""
    if SIDES[name][0] != "ours":
        return not name.startswith("whisper.cpp")
    return "--batch" in subprocess.run([args.binary, "--help"], capture_output=True, text=True).stdout


def ask(args, names, shape):
    """One round: what each side needs, case by case."""
    cases = [("none", FEW, 0), ("none", MANY, 0), (shape, FEW, 0), (shape, MANY, 0)] + [(shape, MANY, args.batch)] * (args.batch > 0)
    made = {name: {} for name in names}
    for case in cases:
        for name in names:
            if not case[2] or batches(args, name):
                made[name][case] = measure(args, name, *case)
    return {name: figures(results, cases, windows(args.sound)) for name, results in made.items()}


def figures(results, cases, count):
    """What a side's runs say; `count` windows were heard."""

    def parts(few, many):
        few, many = (results[case]["seconds"] / count for case in (few, many))
        token = (many - few) / (MANY - FEW)
        return few - FEW * token, token

    (rest, _), (encoder, token), many = parts(*cases[:2]), parts(*cases[2:4]), results[cases[3]]
    row = dict(encoder=encoder - rest, token=token, file=many["seconds"], load=many["load"], peak=many["peak"])
    for case in cases[4:]:
        if case in results:
            row |= dict(batch=results[case]["seconds"], batch_peak=results[case]["peak"])
    return row


def run(args):
    chosen = [name.strip() for name in args.sides.split(",")] if args.sides else list(SIDES)
    unknown = [name for name in chosen if name not in SIDES]
    if unknown:
        raise SystemExit(f"--sides {unknown[0]}: the sides are {', '.join(SIDES)}")
    length = f"{args.seconds // 60} min" if args.seconds % 60 == 0 else f"{args.seconds} s"
    by = f"{length} by {args.batch}"
    # of each figure: its title, that of its ratio, the scale, the digits
    columns = {
        "encoder": ("encoder ms a window", "encoder", 1000, 0),
        "token": ("ms a token", "decoder", 1000, 2),
        "file": (f"{length}, s", length, 1, 2),
        "batch": (f"{by}, s", by, 1, 2),
        "peak": ("peak MB", "peak", 1, 0),
        "batch_peak": (f"peak MB by {args.batch}", f"peak by {args.batch}", 1, 0),
        "load": ("load s", "load", 1, 2),
    }
    columns = {key: column for key, column in columns.items() if args.batch or "batch" not in key}
    for shape in SHAPES:
        if shape == "none" or (args.only and shape not in args.only.split(",")):
            continue
        rounds = [ask(args, chosen, shape) for _ in range(args.rounds)]

        def row(name, cells):
            print(f"| {name} | {' | '.join(cells)} |", flush=True)

        def median(name, key):
            _, _, scale, digits = columns[key]
            if key not in rounds[0][name]:
                return "-"
            return f"{scale * statistics.median(all[name][key] for all in rounds):.{digits}f}"

        def ratio(ours, theirs, key):
            if any(key not in rounds[0][name] for name in (ours, theirs)):
                return "-"
            ratios = [all[ours][key] / all[theirs][key] for all in rounds]
            return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"

        print()
        row(f"{shape}, {args.threads} thread{'s' * (args.threads > 1)}", [title for title, _, _, _ in columns.values()])
        print("|---|" + "---:|" * len(columns))
        for name in chosen:
            row(name, [median(name, key) for key in columns])
        print()
        compared = [key for key in columns if key != "load"]
        row(f"{shape}, ours / theirs", [columns[key][1] for key in compared])
        print("|---|" + "---:|" * len(compared))
        for ours, theirs in PAIRS:
            if ours in chosen and theirs in chosen:
                row(f"{ours} / {theirs}", [ratio(ours, theirs, key) for key in compared])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="make | run")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    made, measured, other = verbs.add_parser("make"), verbs.add_parser("run"), verbs.add_parser("side")
    for verb in (made, measured):
        verb.add_argument("folder", type=pathlib.Path)
        verb.add_argument("--only", default="", help="tiny, base or small, with commas between")
        verb.add_argument("--seconds", type=int, default=300, help="length of the file, a multiple of 30")
    made.add_argument("--vocabulary", type=pathlib.Path, required=True, help="multilingual.tiktoken of openai/whisper")
    measured.add_argument("--binary", type=pathlib.Path, default=target / "release" / "speech-rec")
    measured.add_argument("--threads", type=int, default=2)
    measured.add_argument("--rounds", type=int, default=3)
    measured.add_argument("--batch", type=int, default=8, help="windows that are decoded together; 0 leaves that out")
    measured.add_argument("--sides", default="", help=f"some of: {', '.join(SIDES)}")
    for name in ("torch", "faster-whisper", "whisper-cpp"):
        measured.add_argument(f"--{name}", default=sys.executable, metavar="PYTHON")
    for name in ("kind", "model", "format"):
        other.add_argument(name)
    for name in ("tokens", "batch", "threads"):
        other.add_argument(name, type=int)
    other.add_argument("sounds", nargs="+")
    args = parser.parse_args()
    if args.verb == "side":
        return side(args.kind, args.model, args.format, args.tokens, args.batch, args.threads, args.sounds)
    unknown = [name for name in args.only.split(",") if name and name not in SHAPES]
    if unknown or args.seconds <= 0 or args.seconds % WINDOW:
        raise SystemExit(f"--only {unknown[0]}: tiny, base or small" if unknown else f"--seconds is a multiple of {WINDOW}")
    if args.verb == "make":
        return make(args.folder, args.vocabulary, args.only.split(",") if args.only else [], args.seconds)
    args.sound = args.folder / f"{args.seconds}.wav"
    if not args.sound.exists():
        raise SystemExit(f"{args.sound}: is not there: `speech.py make` writes it")
    run(args)


if __name__ == "__main__":
    main()
