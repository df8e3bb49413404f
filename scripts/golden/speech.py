"""Tiny random Whispers with a vocabulary in the hub's layout, and what openai/whisper writes down with them.

    python scripts/golden/speech.py

writes shared/golden/speech/: sound.wav (five seconds of chirps and noise), and NAME/ with config.json,
generation_config.json, tokenizer.json, the weights as model.safetensors in f16, and expected.json: for each case its
options and the result of openai/whisper's `transcribe` on the sound, in f32. Windows are of two seconds, so that there are
several. A seed is taken only if the choices of every step are further apart than ten times the tolerance, and the words
are many. Made with torch 2.15, transformers 5.23 and openai-whisper 20250625, whose loops of dynamic time warping run
here without numba.
"""

import json
import sys
import tempfile
import types
import wave
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer as HubTokenizer
from tokenizers import decoders, models, pre_tokenizers, trainers
from transformers import WhisperConfig, WhisperForConditionalGeneration

numba = types.ModuleType("numba")
numba.jit = lambda *args, **kwargs: (lambda f: f)
sys.modules["numba"] = numba

# whisper.py beside this file is another one
sys.path = [path for path in sys.path if Path(path).resolve() != Path(__file__).resolve().parent]

import tiktoken
import whisper
import whisper.tokenizer as tokenizer
import whisper.transcribe  # noqa: F401

transcribing = sys.modules["whisper.transcribe"]
decoder_module, audio_module = sys.modules["whisper.decoding"], sys.modules["whisper.audio"]

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "speech"
STATES, SECONDS, TEXT_IDS = 100, 2, 320
MARGIN = 2e-3
LANGUAGES = ["en", "zh", "de", "es"]
CORPUS = "the old house by the sea was quiet that night and nobody, not even the dog, had heard them come. 'Where?' she said! " * 4

for module in (transcribing, audio_module):
    module.N_FRAMES, module.N_SAMPLES = 2 * STATES, SECONDS * 16000
decoder_module.CHUNK_LENGTH = SECONDS

NETS = {
    "many": dict(d_model=32, encoder_layers=2, decoder_layers=2, heads=2, languages=True,
                 alignment_heads=[[0, 1], [1, 0], [1, 1]]),
    "english": dict(d_model=48, encoder_layers=1, decoder_layers=3, heads=3, languages=False, alignment_heads=None),
}
CASES = {
    "greedy": dict(temperature=0.0),
    "beam": dict(temperature=0.0, beam_size=5),
    "patient": dict(temperature=0.0, beam_size=3, patience=2.0, length_penalty=0.6),
    "words": dict(temperature=0.0, word_timestamps=True),
    "beam_words": dict(temperature=0.0, beam_size=4, word_timestamps=True),
    "plain": dict(temperature=0.0, without_timestamps=True),
    "told": dict(temperature=0.0, initial_prompt="the old house", condition_on_previous_text=False),
    "prefix": dict(temperature=0.0, prefix="the dog"),
    "drawn": dict(temperature=0.7, best_of=3),
    "fallback": dict(temperature=(0.0, 0.4, 0.8), logprob_threshold=-0.9, compression_ratio_threshold=1.1),
    "silence": dict(temperature=0.0, word_timestamps=True, hallucination_silence_threshold=0.1),
    "german": dict(temperature=0.0, language="de", task="translate"),
}


def vocabulary(languages):
    hub = HubTokenizer(models.BPE())
    hub.pre_tokenizer, hub.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=TEXT_IDS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    hub.train_from_iterator([CORPUS], trainer)
    decode = {c: b for b, c in zip(bytes_of(), characters())}
    ranks = {bytes(decode[c] for c in text): rank for text, rank in hub.get_vocab().items()}
    names = ["<|endoftext|>", "<|startoftranscript|>", *[f"<|{x}|>" for x in LANGUAGES], "<|translate|>", "<|transcribe|>",
             "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    times = [f"<|{i * 0.02:.2f}|>" for i in range(STATES + 1)]
    hub.add_special_tokens(names + times)
    special = {name: hub.token_to_id(name) for name in names + times}
    pattern = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
    encoding = tiktoken.Encoding("tiny", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special)
    return hub, encoding


def bytes_of():
    kept = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return kept + [b for b in range(256) if b not in kept]


def characters():
    kept = bytes_of()[:188]
    return [chr(b) for b in kept] + [chr(256 + i) for i in range(256 - len(kept))]


def hub_net(fields, hub, seed):
    count = hub.get_vocab_size()
    config = WhisperConfig(
        vocab_size=count, num_mel_bins=80, d_model=fields["d_model"], encoder_layers=fields["encoder_layers"],
        decoder_layers=fields["decoder_layers"], encoder_attention_heads=fields["heads"],
        decoder_attention_heads=fields["heads"], encoder_ffn_dim=4 * fields["d_model"], decoder_ffn_dim=4 * fields["d_model"], max_source_positions=STATES,
        max_target_positions=96, pad_token_id=TEXT_IDS, bos_token_id=TEXT_IDS, eos_token_id=TEXT_IDS,
        decoder_start_token_id=TEXT_IDS + 1, suppress_tokens=None, begin_suppress_tokens=None,
    )
    torch.manual_seed(seed)
    net = WhisperForConditionalGeneration(config).eval()
    for name, value in net.named_parameters():
        if value.requires_grad and value.dim() > 1:
            value.normal_().mul_((1.5 / value[0].numel()) ** 0.5)
        elif value.requires_grad:
            value.add_(0.3 * torch.randn_like(value))
    rows = net.model.decoder.embed_tokens.weight
    rows *= 2.5
    rows[hub.token_to_id("<|0.00|>"):] *= 0.9  # texts are told apart, times are alike
    odd = [rank for text, rank in hub.get_vocab().items() if len(text) == 1 and not text.isascii() and rank < TEXT_IDS]
    rows[odd] *= 0.6  # parts of characters are rare
    net.model.decoder.embed_positions.weight.mul_(6)  # else random nets say one id for ever
    return net.half().float()


def reference(net, encoding, languages):
    config = net.config
    dims = whisper.model.ModelDimensions(
        80, STATES, config.d_model, config.encoder_attention_heads, config.encoder_layers, config.vocab_size,
        config.max_target_positions, config.d_model, config.decoder_attention_heads, config.decoder_layers,
    )
    model = whisper.model.Whisper(dims)
    names = [("model.", ""), ("layers", "blocks"), ("encoder.embed_positions.weight", "encoder.positional_embedding"),
             ("decoder.embed_positions.weight", "decoder.positional_embedding"), ("embed_tokens", "token_embedding"),
             ("encoder_attn_layer_norm", "cross_attn_ln"), ("self_attn_layer_norm", "attn_ln"), ("encoder_attn", "cross_attn"),
             ("self_attn", "attn"), ("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value"), ("out_proj", "out"),
             ("fc1", "mlp.0"), ("fc2", "mlp.2"), ("final_layer_norm", "mlp_ln"), ("encoder.layer_norm", "encoder.ln_post"),
             ("decoder.layer_norm", "decoder.ln")]
    state = {}
    for name, value in net.state_dict().items():
        for old, new in names:
            name = name.replace(old, new)
        if name != "proj_out.weight":
            state[name] = value
    buffers = {name: value for name, value in model.state_dict().items() if name not in state}
    model.load_state_dict({**state, **buffers})
    model.eval()
    whisper.model.Whisper.is_multilingual = property(lambda self: self.has_languages)
    whisper.model.Whisper.num_languages = property(lambda self: len(LANGUAGES))
    model.has_languages = languages

    def get_tokenizer(multilingual, *, num_languages=None, language=None, task=None):
        language, task = (language or "en", task or "transcribe") if multilingual else (None, None)
        return tokenizer.Tokenizer(encoding=encoding, num_languages=len(LANGUAGES), language=language, task=task)

    for module in (transcribing, decoder_module):
        module.get_tokenizer = get_tokenizer
    return model


class Narrow:
    """The narrowest margin of the choices that are made while it is watched."""

    def __init__(self):
        self.margin = float("inf")

    def see(self, values):
        top = values.topk(2, -1).values
        gap = (top[..., 0] - top[..., 1]).min().item()
        self.margin = min(self.margin, gap if np.isfinite(gap) else self.margin)


def watched(narrow):
    update = decoder_module.GreedyDecoder.update

    def greedy(self, tokens, logits, sums):
        if self.temperature == 0:
            open_rows = tokens[:, -1] != self.eot
            if open_rows.any():
                narrow.see(logits[open_rows])
        return update(self, tokens, logits, sums)

    decoder_module.GreedyDecoder.update = greedy
    return update


def sound():
    time = np.arange(5 * 16000) / 16000
    noise = np.random.default_rng(7).standard_normal(len(time))
    pitch = 300 + 250 * np.sin(2 * np.pi * 0.7 * time) + 120 * time
    voice = sum(np.sin(2 * np.pi * k * np.cumsum(pitch) / 16000) / k for k in range(1, 9))
    loud = np.clip(np.sin(2 * np.pi * 1.3 * time), 0, None)
    return np.round(12000 * (0.3 * voice * loud + 0.01 * noise)).astype(np.int16)


def run(model, samples, options):
    torch.manual_seed(5)
    return whisper.transcribe(model, samples.astype(np.float32) / 32768, fp16=False, verbose=None, **options)


@torch.no_grad()
def main():
    OUT.mkdir(parents=True, exist_ok=True)
    samples = sound()
    with wave.open(str(OUT / "sound.wav"), "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(16000)
        file.writeframes(samples.tobytes())
    for name, fields in NETS.items():
        hub, encoding = vocabulary(fields["languages"])
        for seed in range(1, 3000):
            net = hub_net(fields, hub, seed)
            model = reference(net, encoding, fields["languages"])
            if fields["alignment_heads"]:
                heads = torch.zeros(fields["decoder_layers"], fields["heads"], dtype=torch.bool)
                for layer, head in fields["alignment_heads"]:
                    heads[layer, head] = True
                model.register_buffer("alignment_heads", heads.to_sparse(), persistent=False)
            narrow = Narrow()
            update = watched(narrow)
            first = run(model, samples, CASES["greedy"])
            enough = len(first["segments"]) >= 4 and len(set(first["text"])) > 8 and len(first["text"]) < 900
            results = {}
            if enough and narrow.margin > MARGIN:
                for case, options in CASES.items():
                    if case == "german" and not fields["languages"]:
                        continue
                    results[case] = dict(options=options, result=run(model, samples, options))
            decoder_module.GreedyDecoder.update = update
            if __debug__ and len(sys.argv) > 1:
                print(seed, len(first["segments"]), round(narrow.margin, 5), repr(first["text"][:70]), file=sys.stderr)
            if not results or narrow.margin < MARGIN:
                continue
            lengths = {len(json.dumps(one["result"])) for one in results.values()}
            if len(lengths) < len(results) // 2:
                continue
            break
        folder = OUT / name
        folder.mkdir(exist_ok=True)
        config = net.config
        config.architectures = ["WhisperForConditionalGeneration"]
        with tempfile.TemporaryDirectory() as temporary:
            net.half().save_pretrained(temporary)
            weights = load_file(f"{temporary}/model.safetensors")
            save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
            (folder / "config.json").write_text((Path(temporary) / "config.json").read_text())
        generation = dict(is_multilingual=fields["languages"])
        if fields["alignment_heads"]:
            generation["alignment_heads"] = fields["alignment_heads"]
        (folder / "generation_config.json").write_text(json.dumps(generation, indent=1) + "\n")
        hub.save(str(folder / "tokenizer.json"), pretty=False)
        (folder / "expected.json").write_text(json.dumps(results, ensure_ascii=False) + "\n")
        counts = {case: len(one["result"]["segments"]) for case, one in results.items()}
        print(name, "seed", seed, "margin", narrow.margin, counts, repr(results["greedy"]["result"]["text"][:200]))


if __name__ == "__main__":
    main()
