"""Ids of texts by CLIP's tokenizer with its real vocabulary.

    python scripts/golden/clip_tokens.py

reads shared/samples/clip/merges.txt and writes shared/golden/clip_tokens.json: a list of [text, ids], the ids with beginning
and end, not filled up. Made with transformers 5.23.
"""

import json
import random
import tempfile
import unicodedata
from pathlib import Path

from transformers import CLIPTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

ROOT = Path(__file__).resolve().parents[2]
MERGES = ROOT / "shared" / "samples" / "clip" / "merges.txt"
TEXTS = [
    "", " ", "a photo of a cat", "A PHOTO of a Cat", "a  photo\tof\n\na cat ", "it's John's, they're we'll I'd you've I'm don't",
    "1girl, masterpiece, best quality, 4k, 8K", "3.14159 and 1,000,000", "(red:1.3) [blue] {green} <lora:x:1>", "a---b___c...d!!!?",
    "naïve café Ärger ÅNGSTRÖM Straße", "e\u0301 combined, ﬁ ligature, Ⅷ, ①, ½", "привет мир", "γειά σου Κόσμε", "مرحبا بالعالم", "שלום עולם",
    "नमस्ते दुनिया", "你好，世界", "こんにちは世界", "안녕하세요 세계", "สวัสดีชาวโลก", "🐱🐶 👩‍👩‍👧‍👦 🏳️‍🌈", "<|startoftext|>", "<|endoftext|> in the middle <|endoftext|>",
    "\u00a0no\u00a0break\u2003em\u3000wide", "zero\u200bwidth", "İstanbul ıI", "x" * 120, "!" * 30, "&amp; &lt;b&gt;", "\u0000\u0001\u007f control",
    "an astronaut riding a horse on mars, trending on artstation, by greg rutkowski",
]


def main():
    words = list(bytes_to_unicode().values())
    words += [word + "</w>" for word in words]
    lines = MERGES.read_text().splitlines()[1:]
    words += ["".join(line.split()) for line in lines] + ["<|startoftext|>", "<|endoftext|>"]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
        (Path(folder) / "merges.txt").write_text(MERGES.read_text())
        tokenizer = CLIPTokenizer.from_pretrained(folder)
    draw = random.Random(1)
    letters = [chr(i) for i in range(32, 0x2600) if unicodedata.category(chr(i))[0] in "LNPSZM"]
    texts = TEXTS + ["".join(draw.choice(letters) if draw.random() < 0.3 else draw.choice("abcdefghij  .,'0123") for _ in range(24)) for _ in range(150)]
    found = [[text, tokenizer(text)["input_ids"]] for text in texts]
    out = ROOT / "shared" / "golden" / "clip_tokens.json"
    out.write_text("[\n" + ",\n".join(json.dumps(pair, separators=(",", ":")) for pair in found) + "\n]\n")
    print(len(found), "texts,", len(words), "tokens,", out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
