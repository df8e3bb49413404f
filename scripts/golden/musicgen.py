"""Tiny random MusicGens in the hub's layout, with what transformers makes of prompts, melodies and beginnings by them.

    python scripts/golden/musicgen.py [NAME ...]

writes shared/golden/musicgen/NAME/: config.json, generation_config.json, preprocessor_config.json, tokenizer.json,
model.safetensors (f16) and expected.safetensors, all computed in f32:

- `ids` of `PROMPT` and T5's `states` of them; `codes` (rows, time) and the `logits` (rows, codes) after them, of the prompt
  alone and `guided` by three times
- `greedy` (rows, 60), what follows greedily with guidance, its `wave` (channels, samples), and `plain`, without
- `sampled` (rows, 60) from SEED with temperature 1.2, top-k 20, top-p 0.9, and `free`, without a prompt
- `sound` (channels, samples), its codes `heard`, and `goes_on` (rows, 60), which begins with them
- `sung` (samples) and its pitch classes `melody`, with `greedy`, `plain` and `sampled` told by them, where the model takes
  a melody

A seed is taken only if the two best codes of every choice are further apart than ten times the tolerance of the tests, 2e-5
of the largest; of a draw, a five-thousandth. Needs torchaudio for melodies. Made with torch 2.15 and transformers 5.24.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import (
    EncodecConfig, MusicgenConfig, MusicgenForConditionalGeneration, MusicgenMelodyConfig, MusicgenMelodyFeatureExtractor,
    MusicgenMelodyForConditionalGeneration, T5Config, T5Tokenizer)
from transformers.models.musicgen.configuration_musicgen import MusicgenDecoderConfig
from transformers.models.musicgen_melody.configuration_musicgen_melody import MusicgenMelodyDecoderConfig

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "musicgen"
TOLERANCE, FRAMES, SEED, RATE = 2e-5, 60, 7, 2000
PROMPT = "a slow piano waltz"
SAMPLING = dict(do_sample=True, temperature=1.2, top_k=20, top_p=0.9)
CODEC = dict(sampling_rate=RATE, num_filters=3, hidden_size=8, upsampling_ratios=[5, 4, 2], use_causal_conv=False,
             use_conv_shortcut=False, codebook_size=64)
NETS = {
    "mono": (4, 1, dict(hidden_size=32, num_attention_heads=4, ffn_dim=48, num_hidden_layers=2), 24),
    # another size, and text as wide as the decoder
    "wide": (2, 1, dict(hidden_size=48, num_attention_heads=3, ffn_dim=64, num_hidden_layers=3), 48),
    "stereo": (4, 2, dict(hidden_size=32, num_attention_heads=2, ffn_dim=40, num_hidden_layers=2), 24),
    "melody": (4, 1, dict(hidden_size=40, num_attention_heads=4, ffn_dim=48, num_hidden_layers=2), 24),
    "stereo-melody": (2, 2, dict(hidden_size=24, num_attention_heads=2, ffn_dim=32, num_hidden_layers=3), 24),
}


def tokenizer():
    words = ["▁a", "▁slow", "▁fast", "▁piano", "▁waltz", "▁guitar", "▁drum", "ing", "s"]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -10.0)] + [(word, -2.0) for word in words]
    letters = "▁abcdefghijklmnopqrtuvwxyz0123456789,.'-"
    pieces += [(letter, -6.0) for letter in letters]
    return T5Tokenizer(vocab=pieces, extra_ids=0)


def fresh(name, size, seed):
    """A net whose parts matter, rounded as it is stored."""
    rows, channels, sizes, width = NETS[name]
    torch.manual_seed(seed)
    text = T5Config(vocab_size=size, d_model=width, d_kv=8, d_ff=40, num_layers=2, num_heads=3)
    codec = EncodecConfig(target_bandwidths=[0.3 * rows], **CODEC)
    own = dict(vocab_size=64, num_codebooks=rows * channels, audio_channels=channels, pad_token_id=64, bos_token_id=64,
               **sizes)
    if "melody" in name:
        config = MusicgenMelodyConfig(
            text_encoder=text.to_dict(), audio_encoder=codec.to_dict(), decoder=MusicgenMelodyDecoderConfig(**own).to_dict(),
            chroma_length=30)
        net = MusicgenMelodyForConditionalGeneration(config)
    else:
        config = MusicgenConfig(
            text_encoder=text.to_dict(), audio_encoder=codec.to_dict(), decoder=MusicgenDecoderConfig(**own).to_dict())
        net = MusicgenForConditionalGeneration(config)
    net.eval()
    for key, value in net.named_parameters():
        if key.endswith("original0"):
            value.fill_(1.2).mul_(1 + 0.3 * torch.randn_like(value))
        elif "relative_attention_bias" in key:
            value.normal_()
        elif "lstm.weight" in key:
            value.normal_().mul_(value.shape[1] ** -0.5)
        elif "embed_tokens" in key or "shared" in key:
            value.normal_()
        elif "audio_encoder" not in key and value.dim() > 1:
            value.normal_().mul_((1.5 / value[0].numel()) ** 0.5)
        elif value.dim() > 1:
            value.normal_()
        else:
            value.add_(0.1 * torch.randn_like(value))
    for value in net.parameters():
        value.copy_(value.half().float())
    fit(net.audio_encoder, torch.stack([sound(i) for i in range(4)])[:, None])
    net.generation_config.update(
        do_sample=True, guidance_scale=3.0, decoder_start_token_id=64, pad_token_id=64, bos_token_id=64, max_length=1500)
    return net


def fit(codec, samples):
    """Codebooks as wide as vectors are."""
    rest = codec.encoder(samples).transpose(1, 2)
    for layer in codec.quantizer.layers:
        book = layer.codebook.embed
        book.normal_().mul_(0.8 * rest.std((0, 1))).add_(rest.mean((0, 1)))
        book.copy_(book.half().float())
        rest = rest - book[layer.codebook.quantize(rest.flatten(0, 1))].reshape(rest.shape)


def sound(number, seconds=0.5):
    """Three partials and noise."""
    generator = torch.Generator().manual_seed(100 + number)
    time = torch.arange(int(seconds * RATE)) / RATE
    waves = sum(torch.sin(2 * torch.pi * f * time) for f in (110.0 + 40 * number, 251.0, 433.0)) / 6
    return waves + 0.05 * torch.randn(len(time), generator=generator)


class Close(Exception):
    """The two best of a choice are too close."""


class Watch:
    """Looks how far apart the two best of every choice are."""

    def __init__(self):
        self.multinomial = torch.multinomial

    def see(self, apart):
        if apart < 10 * TOLERANCE:
            raise Close

    def logits(self, _, scores):
        two = scores.topk(2).values
        self.see(((two[:, 0] - two[:, 1]) / scores.abs().amax(1)).min().item())
        return scores

    def draw(self, probabilities, num_samples):
        race = probabilities / torch.empty_like(probabilities).exponential_(1)
        two = race.topk(2)
        self.see((1 - two.values[:, 1] / two.values[:, 0]).min().item())
        return two.indices[:, :1]


def codes_apart(codec, samples):
    rest, least = codec.encoder(samples).transpose(1, 2), 1.0
    for layer in codec.quantizer.layers:
        book = layer.codebook.embed
        near = torch.cdist(rest.double(), book.double()[None]).square().topk(2, largest=False)
        least = min(least, ((near.values[..., 1] - near.values[..., 0]) / near.values[..., 1]).min().item())
        rest = rest - book[near.indices[..., 0]]
    return least


def made(net, watch, extra, **options):
    """Rows of codes, and their wave, as generate makes them."""
    kept, decode = [], net.audio_encoder.decode

    def listened(codes, **rest):
        kept.append(codes[0, 0])
        return decode(codes, **rest)

    net.audio_encoder.decode, torch.multinomial = listened, watch.draw
    try:
        new = FRAMES + net.decoder.num_codebooks // net.config.decoder.audio_channels - 1 - options.pop("known", 0)
        greedy = not options.get("do_sample")
        processors = [watch.logits] if greedy else []
        torch.manual_seed(SEED)
        wave = net.generate(**extra, **options, max_new_tokens=new, logits_processor=processors)
    finally:
        net.audio_encoder.decode, torch.multinomial = decode, watch.multinomial
    rows = kept[0] if len(kept) == 1 else torch.stack(kept, 1).flatten(0, 1)
    assert rows.shape[1] == FRAMES, rows.shape
    return rows, wave[0]


@torch.no_grad()
def write(name):
    words, melodic, channels = tokenizer(), "melody" in name, NETS[name][1]
    ids = words(PROMPT, return_tensors="pt").input_ids
    told = dict(input_ids=ids, attention_mask=torch.ones_like(ids))
    features = None
    if melodic:
        features = MusicgenMelodyFeatureExtractor(sampling_rate=RATE, hop_length=256, n_fft=1024, chunk_length=3)
        sung = torch.cat([sound(i, 0.4) for i in range(3)])
        melody = features(sung.numpy(), sampling_rate=RATE, return_tensors="pt").input_features
        told["input_features"] = melody
    beginning = torch.stack([sound(i) for i in range(channels)])
    for seed in range(1, 3000):
        net, watch = fresh(name, len(words), seed), Watch()
        expected = {}
        net.generation_config.update(guidance_scale=None)
        try:
            plain, _ = made(net, watch, dict(told), do_sample=False)
            greedy, wave = made(net, watch, dict(told), do_sample=False, guidance_scale=3.0)
            sampled, _ = made(net, watch, dict(told), guidance_scale=3.0, **SAMPLING)
            if not melodic:
                nothing = net.get_unconditional_inputs()
                nothing = dict(encoder_outputs=nothing.encoder_outputs, attention_mask=nothing.attention_mask)
                free, _ = made(net, watch, nothing, guidance_scale=1.0, **SAMPLING)
                watch.see(codes_apart(net.audio_encoder, beginning[:, None]))
                known = beginning.shape[1] // 40
                goes_on, _ = made(net, watch, told | dict(input_values=beginning[None]), do_sample=False,
                                  guidance_scale=3.0, known=known)
                expected |= dict(free=free, goes_on=goes_on, sound=beginning, heard=goes_on[:, :known])
        except Close:
            continue
        if len(greedy.unique()) >= 20:
            break
    else:
        raise SystemExit(f"{name}: no seed has such margins")
    rows = net.decoder.num_codebooks
    codes = torch.cat([torch.full((rows, 1), 64), torch.randint(64, (rows, 11))], 1)
    alone = net(**told, decoder_input_ids=codes).logits[:, -1]
    if melodic:
        silent = torch.zeros_like(melody)
        silent[..., 0] = 1
        untold = net(input_ids=ids, attention_mask=torch.zeros_like(ids), input_features=silent, decoder_input_ids=codes)
        expected |= dict(sung=sung, melody=melody[0].argmax(-1))
    else:
        states = torch.zeros(1, ids.shape[1], net.config.text_encoder.hidden_size)
        untold = net(encoder_outputs=(states,), attention_mask=torch.zeros_like(ids), decoder_input_ids=codes)
    untold = untold.logits[:, -1]
    expected |= dict(
        ids=ids[0], states=net.text_encoder(ids).last_hidden_state, codes=codes, logits=alone,
        guided=untold + 3 * (alone - untold), plain=plain, greedy=greedy, wave=wave, sampled=sampled)
    net.generation_config.update(guidance_scale=3.0)
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as temporary:
        net.half().save_pretrained(temporary)
        save_file(load_file(Path(temporary) / "model.safetensors"), folder / "model.safetensors", {"format": "pt"})
        shutil.copy(Path(temporary) / "config.json", folder / "config.json")
    (folder / "generation_config.json").write_text(json.dumps(dict(
        bos_token_id=64, decoder_start_token_id=64, do_sample=True, guidance_scale=3.0, max_length=1500, pad_token_id=64,
    ), indent=2) + "\n")
    if features is not None:
        kept = ["chunk_length", "feature_extractor_type", "feature_size", "hop_length", "n_fft", "num_chroma",
                "padding_side", "padding_value", "sampling_rate", "stem_indices"]
        described = features.to_dict() | dict(num_chroma=12)
        features = {key: described[key] for key in kept if key in described}
    else:
        features = dict(feature_extractor_type="EncodecFeatureExtractor", feature_size=channels, sampling_rate=RATE)
    (folder / "preprocessor_config.json").write_text(json.dumps(features, indent=2) + "\n")
    words.backend_tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    save_file({key: value.contiguous() for key, value in expected.items()}, folder / "expected.safetensors")
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(name, f"seed {seed}", len(greedy.unique()), "codes", tuple(wave.shape), f"largest {wave.abs().max():.2f}",
          size, "bytes", flush=True)


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    for name in sys.argv[1:] or NETS:
        write(name)
