"""Tiny random VITS in the hub's layout, with what transformers computes from them.

    python scripts/golden/vits.py [NAME ...]

writes shared/golden/vits/NAME/: config.json, vocab.json, tokenizer_config.json, the weights as model.safetensors in f16,
and expected.safetensors with `ids` (batch of one, time), the encoder's `states`, `means` and `log_spreads`, each (1,
channels, time), `log_durations` (1, 1, time), `frames` (time), the `latents` that the decoder hears (1, channels, frames)
and the `samples` (1, time); computed in f32 after torch.manual_seed(SEED). For the app, text.json has a line of text with
the ids that VitsTokenizer gives it and say.safetensors what the model makes of it from the same seed. A seed of the
weights is taken only if no duration is so near to a whole number of frames that rounding could tell it otherwise. Made
with torch 2.15 and transformers 5.24.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import VitsConfig, VitsModel, VitsTokenizer

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "vits"
SEED = 7
# a duration must be further from a whole number than this share of itself
MARGIN = 1e-3
TEXT = "The quick brown fox, it's said, jumps over 13 lazy dogs!"

DECODER = dict(
    upsample_initial_channel=16, upsample_rates=[4, 3], upsample_kernel_sizes=[8, 7], resblock_kernel_sizes=[3, 5],
    resblock_dilation_sizes=[[1, 3], [1, 2]],
)
# name: configuration, tokenizer, speaker and rate of `samples`, spelling of the normed weights
NETS = {
    # as MMS-TTS: one speaker, drawn durations, lower case without punctuation, the blank is a letter
    "mms": (
        VitsConfig(
            vocab_size=30, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, window_size=4, ffn_dim=40,
            flow_size=16, duration_predictor_num_flows=4, prior_encoder_num_flows=2, wavenet_kernel_size=5,
            posterior_encoder_num_wavenet_layers=1, spectrogram_bins=9, **DECODER,
        ),
        dict(letters="k'zyudhesrwbfoqmgxtlnacipvj -", pad_token="k", phonemize=False, language="eng"), None, 1.0,
        ("weight_g", "weight_v"),
    ),
    # as VCTK: many speakers, foretold durations, everything else otherwise than usual
    "speakers": (
        VitsConfig(
            vocab_size=40, hidden_size=24, num_hidden_layers=3, num_attention_heads=4, window_size=3, ffn_dim=48,
            ffn_kernel_size=4, hidden_act="gelu", use_bias=False, layer_norm_eps=1e-3, flow_size=12,
            use_stochastic_duration_prediction=False, duration_predictor_kernel_size=5,
            duration_predictor_filter_channels=20, num_speakers=5, speaker_embedding_size=10,
            prior_encoder_num_flows=3, prior_encoder_num_wavenet_layers=3, wavenet_kernel_size=3,
            wavenet_dilation_rate=2, noise_scale=0.3, sampling_rate=22050, leaky_relu_slope=0.2,
            posterior_encoder_num_wavenet_layers=1, spectrogram_bins=9, **DECODER,
        ),
        dict(letters="_;:,.!? abcdefghijklmnopqrstuvwxyzE'13", pad_token="_", phonemize=False), 3, 1.25,
        ("parametrizations.weight.original0", "parametrizations.weight.original1"),
    ),
    # several speakers with drawn durations, short windows, and the rest of LJ Speech's: phonemes, which come as they are
    "phonemes": (
        VitsConfig(
            vocab_size=48, hidden_size=16, num_hidden_layers=1, num_attention_heads=1, window_size=1, ffn_dim=24,
            ffn_kernel_size=1, hidden_act="silu", flow_size=8, num_speakers=2, speaker_embedding_size=6,
            depth_separable_num_layers=2, duration_predictor_flow_bins=6, duration_predictor_tail_bound=3.0,
            duration_predictor_num_flows=3, prior_encoder_num_flows=1, prior_encoder_num_wavenet_layers=2,
            noise_scale_duration=0.5, speaking_rate=0.8, sampling_rate=22050, posterior_encoder_num_wavenet_layers=1,
            spectrogram_bins=9, **DECODER,
        ),
        dict(letters="_;:,.!? abdefhijklmnopstuvwzæðŋɐɑɔəɛɡɪɹʃʊʌʒˈːθɚ", pad_token="_", phonemize=True), 1, 1.0,
        ("weight_g", "weight_v"),
    ),
    # one speaker, foretold durations, neither blanks nor change of the text
    "plain": (
        VitsConfig(
            vocab_size=60, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, window_size=2, ffn_dim=20,
            ffn_kernel_size=2, flow_size=4, use_stochastic_duration_prediction=False,
            duration_predictor_filter_channels=12, prior_encoder_num_flows=2, prior_encoder_num_wavenet_layers=1,
            sampling_rate=8000, posterior_encoder_num_wavenet_layers=1, spectrogram_bins=9, **DECODER,
        ),
        dict(
            letters=" abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ,!'", pad_token="<pad>", phonemize=False,
            add_blank=False, normalize=False,
        ),
        None, 1.0, ("parametrizations.weight.original0", "parametrizations.weight.original1"),
    ),
}
IPA = "ðə kwˈɪk bɹˈaʊn fˈɑːks, ɪts sˈɛd, dʒˈʌmps ˈoʊvɚ θˈɚːɾiːn lˈeɪzi dˈɑːɡz!".replace("ɾ", "t")


def fresh(config, seed):
    """A net whose parts all show in the samples, and whose durations are a few frames."""
    torch.manual_seed(seed)
    net = VitsModel(config).eval()
    for name, value in net.named_parameters():
        if name.endswith("original0"):
            value.uniform_(0.5, 1.2)
        elif "log_scale" in name:
            value.normal_().mul_(0.1)
        elif "emb_rel" in name:
            value.normal_().mul_(0.5)
        elif value.dim() > 1:
            value.normal_().mul_((1.2 / value[0].numel()) ** 0.5)
        else:
            value.add_(0.2 * torch.randn_like(value))
    # wide latents would drown the words
    project = net.text_encoder.project
    project.bias[config.flow_size:] -= 0.5
    for value in [*net.parameters(), *net.buffers()]:
        value.copy_(value.half().float())
    return net


def stages(net, ids, speaker, rate):
    """What each stage of a forward pass computes, caught where it is handed on."""
    caught = {}
    hooks = [
        net.text_encoder.register_forward_hook(lambda _, __, out: caught.update(text=out)),
        net.duration_predictor.register_forward_hook(lambda _, __, out: caught.update(log_durations=out)),
        net.flow.register_forward_hook(lambda _, __, out: caught.update(latents=out)),
    ]
    torch.manual_seed(SEED)
    result = net(ids, speaker_id=speaker, speaking_rate=rate)
    for hook in hooks:
        hook.remove()
    durations = caught["log_durations"].exp() / rate
    margin = ((durations - durations.round()).abs() / durations).min().item()
    text = caught["text"]
    return margin, dict(
        ids=ids, states=text.last_hidden_state.mT, means=text.prior_means.mT, log_spreads=text.prior_log_variances.mT,
        log_durations=caught["log_durations"], frames=durations.ceil().long().flatten(), latents=caught["latents"],
        samples=result.waveform,
    )


def tokenizer(folder, options, config):
    options = dict(options)
    letters = options.pop("letters")
    assert len(letters) <= config.vocab_size and len(set(letters)) == len(letters), letters
    words = list(letters)
    if options["pad_token"] not in words:
        words.append(options["pad_token"])
    (folder / "vocab.json").write_text(
        json.dumps({word: i for i, word in enumerate(words)}, ensure_ascii=False, indent=0) + "\n")
    written = {"add_blank": True, "is_uroman": False, "language": None, "normalize": True, "unk_token": "<unk>"}
    written |= options | {"tokenizer_class": "VitsTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(written, indent=2) + "\n")
    return VitsTokenizer.from_pretrained(folder)


def tokens(tokens, text):
    """The ids of a text; phonemes are taken as they are, which is what phonemizer would hand on."""
    if not tokens.phonemize:
        return tokens(text)["input_ids"]
    tokens.phonemize = False
    ids = tokens(text, normalize=False)["input_ids"]
    tokens.phonemize = True
    return ids


@torch.no_grad()
def main():
    for name, (config, options, speaker, rate, spelling) in NETS.items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        words = tokenizer(folder, options, config)
        text = IPA if words.phonemize else TEXT if words.normalize else "Jump, lazy dog!"
        text_ids = torch.tensor([tokens(words, text)])
        assert text_ids.max() < config.vocab_size, text_ids
        usual = config.speaking_rate
        for seed in range(1, 4000):
            net = fresh(config, seed)
            ids = torch.randint(config.vocab_size, (1, 21))
            margin, expected = stages(net, ids, speaker, rate * usual)
            first, said = stages(net, text_ids, 0 if config.num_speakers > 1 else None, usual)
            if min(margin, first) > MARGIN and 40 < expected["frames"].sum() < 250 and said["frames"].sum() < 500:
                break
        else:
            raise SystemExit(f"{name}: no seed has such durations")
        with tempfile.TemporaryDirectory() as saved:
            net.half().save_pretrained(saved)
            (folder / "config.json").write_text((Path(saved) / "config.json").read_text())
            weights = load_file(Path(saved) / "model.safetensors")
        # what speaks, and of what only learns one tensor, which must not disturb
        only_learns = ("posterior_encoder.", "duration_predictor.post_")
        kept = {key: value for key, value in weights.items() if not key.startswith(only_learns)}
        kept |= {key: value for key, value in weights.items() if key == "posterior_encoder.conv_pre.bias"}
        found = ("parametrizations.weight.original0", "parametrizations.weight.original1")
        for old, new in zip(found, spelling):
            kept = {key.replace(old, new): value for key, value in kept.items()}
        save_file({key: value.contiguous() for key, value in kept.items()}, folder / "model.safetensors",
                  metadata={"format": "pt"})
        save_file({key: value.contiguous() for key, value in expected.items()}, folder / "expected.safetensors")
        (folder / "text.json").write_text(
            json.dumps(dict(text=text, seed=SEED, ids=text_ids[0].tolist()), ensure_ascii=False) + "\n")
        save_file(dict(samples=said["samples"].contiguous(), frames=said["frames"]), folder / "say.safetensors")
        size = sum(file.stat().st_size for file in folder.iterdir())
        samples = expected["samples"]
        print(name, f"seed {seed}, frames {expected['frames'].tolist()}, {tuple(samples.shape)}",
              f"largest {samples.abs().max():.3f}, mean {samples.abs().mean():.3f}, {size} bytes")


if __name__ == "__main__":
    main()
