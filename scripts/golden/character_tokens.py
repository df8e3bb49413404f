"""Ids of texts by transformers' VitsTokenizer, for several vocabularies and options.

    python scripts/golden/character_tokens.py

reads shared/golden/tokens/lines.json, a thousand lines of many scripts, and writes shared/golden/character_tokens/NAME/:
vocab.json, tokenizer_config.json, and expected.safetensors with all `ids` one after the other and the `lengths` of the
lines. Made with transformers 5.24.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import VitsTokenizer

ROOT = Path(__file__).resolve().parents[2] / "shared" / "golden"
LATIN = "abcdefghijklmnopqrstuvwxyz"
# name: words of the vocabulary in order, options
TOKENIZERS = {
    # MMS-TTS: the blank is a letter, which is thereby a special word
    "mms": (list("k'zyudhesrwbfoqmgxtlnacipvj -6_"), dict(pad_token="k", language="eng", phonemize=False)),
    "accents": (["_", *" -'", *LATIN, *"áàâãéêíóôõúçñüß0123456789"], dict(pad_token="_", phonemize=False)),
    "capitals": (["<pad>", " ", *LATIN, *"ABEÉ", "Th", "she", "<unk>"], dict(pad_token="<pad>", phonemize=False)),
    "romanian": (list("ă ațţsșieunr"), dict(pad_token="ă", language="ron", phonemize=False)),
    "cyrillic": (list("а бвгдежзийклмнопрстуфхцчшщъыьэюя-"), dict(pad_token="а", phonemize=False, language="rus")),
    "greek": (list("ς αβγδεζηθικλμνξοπρσς"[2:]) + ["ά", "ΐ"], dict(pad_token="α", phonemize=False)),
    # nothing is changed, nothing left out: what is not known becomes <unk>
    "asis": (
        ["<pad>", "<unk>", " ", *LATIN, *LATIN.upper(), *",.!?"],
        dict(pad_token="<pad>", phonemize=False, normalize=False),
    ),
    "noblank": (["<pad>", "<unk>", "[x]", *" .,", *LATIN], dict(
        pad_token="<pad>", phonemize=False, add_blank=False, additional_special_tokens=["[x]", "the"])),
    # phonemes that come as they are
    "phonemes": (["_", "<unk>", *";:,.!? ", *LATIN, *"æðŋɐɑɔəɛɡɪɹʃʊʌʒˈːθɚ"], dict(pad_token="_", phonemize=True)),
}
MORE = ["kk", "k", "like a kite", "<unk>", "a <pad> b", "<pad><pad>", "The THE the", "[x] the [x][x]", "ɡɪv mˈiː ðə bˈɔːl", "Σίσυφος", "İstanbul",
        "Țară ț ţ", "She said: she", "<un k>", "'tis - 'twas _6_"]


def main():
    lines = json.loads((ROOT / "tokens" / "lines.json").read_text()) + MORE
    for name, (words, options) in TOKENIZERS.items():
        folder = ROOT / "character_tokens" / name
        folder.mkdir(parents=True, exist_ok=True)
        words = list(dict.fromkeys(words))
        (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}, ensure_ascii=False) + "\n")
        written = dict(add_blank=True, is_uroman=False, normalize=True, tokenizer_class="VitsTokenizer", unk_token="<unk>")
        more = options.pop("additional_special_tokens", [])
        special = [word for word in [options["pad_token"], "<unk>", *more] if word in words]
        token = dict(lstrip=False, normalized=False, rstrip=False, single_word=False, special=True)
        written |= options | dict(added_tokens_decoder={str(words.index(word)): token | {"content": word} for word in special})
        (folder / "tokenizer_config.json").write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n")
        tokenizer = VitsTokenizer.from_pretrained(folder)
        how = {}
        if tokenizer.phonemize:
            tokenizer.phonemize, how = False, dict(normalize=False)
        text = (lambda line: " ".join(line.split())) if how else (lambda line: line)
        ids = [tokenizer(text(line), **how)["input_ids"] for line in lines]
        assert all(i is not None and i < len(words) for line in ids for i in line), name
        expected = dict(ids=torch.tensor([i for line in ids for i in line], dtype=torch.uint8),
                        lengths=torch.tensor([len(line) for line in ids]))
        save_file(expected, folder / "expected.safetensors")
        print(name, len(words), "words,", sum(map(len, ids)), "ids of", len(lines), "lines")
    (ROOT / "character_tokens" / "more.json").write_text(json.dumps(MORE, ensure_ascii=False, indent=0) + "\n")


if __name__ == "__main__":
    main()
