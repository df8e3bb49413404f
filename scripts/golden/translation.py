"""Small tokenizers of the families that translate, with what transformers makes of texts by them.

    python scripts/golden/translation.py [FOLDER LINES OUT]

writes shared/golden/translation/: lines.json, texts, NAME.spm, vocabularies of SentencePiece, and FAMILY/ with the other
files of a tokenizer; its `expected.safetensors` has the ids of the texts in a row and their counts, as `source` and `target`, `decoded.json` what is decoded from the first of the latter. The ids of NLLB and mBART-50
from pieces alone are those of sentencepiece in fairseq's order, as transformers had them until its version 4, whose fast
tokenizers of today differ from sentencepiece on odd white space; so are T5's. With three paths, what a real Marian in
FOLDER makes of the lines of a file becomes OUT, for the test of real vocabularies. Made with sentencepiece 0.2, gguf 0.19
and transformers 5.23, without sacremoses.
"""

import json
import random
import shutil
import sys
from pathlib import Path

import gguf
import numpy as np
import sentencepiece
from safetensors.numpy import save_file
from tokens import finish, lines
from transformers import M2M100Tokenizer, MarianTokenizer, NllbTokenizer, T5Tokenizer
from transformers.models.mbart50.tokenization_mbart50 import FAIRSEQ_LANGUAGE_CODES as MBART50
from transformers.models.m2m_100.tokenization_m2m_100 import FAIRSEQ_LANGUAGE_CODES as M2M100
from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES as NLLB

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "translation"
DECODED = 250
MARKS = ["</s>", "<unk>", "<pad>", "<s>", ">>fra<<", ">>xyz<<", "__fr__", "fra_Latn", "<2fr>", "<extra_id_3>", "<mask>"]


def texts():
    """The lines, and some with what means something to a tokenizer."""
    rng = random.Random(11)
    made = lines()
    for i in range(20, 140):
        at = rng.randint(0, len(made[i]))
        made[i] = made[i][:at] + rng.choice(["", " "]) + rng.choice(MARKS) + rng.choice(["", " "]) + made[i][at:]
    for i in range(140, 160):
        made[i] = rng.choice([">>fra<<", ">>xyz<< ", ">>por<<  "]) + made[i]
    return made


def train(name, **options):
    corpus = (line.replace("\n", " ").replace("\0", "") for line in lines())
    with open(OUT / f"{name}.spm", "wb") as model:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=corpus, model_writer=model, hard_vocab_limit=False, minloglevel=2, num_threads=1, **options)


def family(name, config=None, **files):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if config is not None:
        files["tokenizer_config"] = config
    for file, value in files.items():
        (folder / f"{file}.json").write_text(json.dumps(value, ensure_ascii=False, indent=0 if file.endswith("vocab") else 1) + "\n")
    return folder


def keep(folder, source, target, decode):
    arrays = {}
    for side, ids in (("source", source), ("target", target)):
        arrays[side] = np.array([i for row in ids for i in row], np.uint32)
        arrays[f"{side}_counts"] = np.array([len(row) for row in ids], np.uint32)
        assert arrays[side].max() < 1 << 16
        arrays = {key: value.astype(np.uint16) for key, value in arrays.items()}
    save_file(arrays, folder / "expected.safetensors")
    decoded = [decode(ids) for ids in target[:DECODED]]
    (folder / "decoded.json").write_text(json.dumps(decoded, ensure_ascii=False, indent=0) + "\n")
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder.name}: {len(arrays['source'])} and {len(arrays['target'])} ids, {size} bytes", flush=True)


def pieces(*processors):
    """All pieces of some vocabularies, but a few that are left out, and characters that none has."""
    found = sorted({one.id_to_piece(i) for one in processors for i in range(len(one)) if not one.is_control(i) and not one.is_unknown(i)})
    kept = [piece for i, piece in enumerate(found) if i % 37]
    return kept + [piece for piece in ("☃", "𝔘", "文") if piece not in kept]


def marian():
    source, target = (sentencepiece.SentencePieceProcessor(model_file=str(OUT / f"{n}.spm")) for n in ("unigram", "plain"))
    special = ["</s>", "<unk>"]
    vocab = {piece: i for i, piece in enumerate([*special, *pieces(source, target), ">>fra<<", ">>por<<", "<pad>"])}
    shared = family("marian", dict(source_lang="en", target_lang="fr"), vocab=vocab)
    # special ids are one for both sides: transformers has but one number for each
    ours = {piece: i for i, piece in enumerate([*special, "<pad>", *pieces(source), ">>fra<<"])}
    theirs = {piece: i for i, piece in enumerate([*special, "<pad>", *pieces(target)])}
    apart = family("marian-apart", dict(separate_vocabs=True, clean_up_tokenization_spaces=True), vocab=ours, target_vocab=theirs)
    for folder in (shared, apart):
        options = json.loads((folder / "tokenizer_config.json").read_text())
        if folder == apart:
            options["target_vocab_file"] = str(folder / "target_vocab.json")
        tokenizer = MarianTokenizer(str(OUT / "unigram.spm"), str(OUT / "plain.spm"), str(folder / "vocab.json"), **options)
        keep(folder, *marian_ids(tokenizer, texts()), lambda ids: tokenizer.decode(ids, skip_special_tokens=True))


def marian_ids(tokenizer, texts):
    return [tokenizer(text).input_ids for text in texts], [tokenizer(text_target=text).input_ids for text in texts]


def m2m100():
    bpe = sentencepiece.SentencePieceProcessor(model_file=str(OUT / "bpe.spm"))
    vocab = {piece: i for i, piece in enumerate(["<s>", "<pad>", "</s>", "<unk>", *pieces(bpe)])}
    marks = [f"__{code}__" for code in M2M100["m2m100"]]
    folder = family("m2m100", dict(tokenizer_class="M2M100Tokenizer"), vocab=vocab, special_tokens_map=dict(additional_special_tokens=marks))
    tokenizer = M2M100Tokenizer(str(folder / "vocab.json"), str(OUT / "bpe.spm"), additional_special_tokens=list(marks), src_lang="pt", tgt_lang="fr")
    tokenizer.src_lang = "pt"
    keep(folder, *marian_ids(tokenizer, texts()), lambda ids: tokenizer.decode(ids, skip_special_tokens=True))


def cut(text, marks, encode):
    """Ids of a text in which some marks are found first."""
    found = [(text.find(mark), -len(mark), mark) for mark in marks if mark in text]
    if not found:
        return encode(text) if text else []
    at, _, mark = min(found)
    return cut(text[:at], marks, encode) + [marks[mark]] + cut(text[at + len(mark):], marks, encode)


def fairseq(name, spm, codes, source, target):
    """From pieces alone: sentencepiece's ids in fairseq's order."""
    processor = sentencepiece.SentencePieceProcessor(model_file=str(OUT / f"{spm}.spm"))
    first = len(processor) + 1
    marks = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, **{code: first + i for i, code in enumerate(codes)}}
    marks["<mask>"] = first + len(codes)

    def ids(text):
        return cut(text, marks, lambda text: [3 if i == 0 else i + 1 for i in processor.encode(text)])

    def decode(ids):
        return processor.decode([i - 1 for i in ids if 3 < i < first]).strip()

    folder = family(name, dict(legacy_behaviour=True) if name == "nllb-legacy" else dict())
    if name == "nllb-legacy":
        rows = [[[*ids(text), 2, marks[code]] for text in texts()] for code in (source, target)]
    else:
        rows = [[[marks[code], *ids(text), 2] for text in texts()] for code in (source, target)]
    keep(folder, *rows, decode)


def nllb():
    """tokenizer.json, by transformers."""
    processor = sentencepiece.SentencePieceProcessor(model_file=str(OUT / "bpe.spm"))
    vocab = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    for i in range(3, len(processor)):
        vocab.setdefault(processor.id_to_piece(i), len(vocab))
    merges = []
    for piece in sorted(vocab, key=vocab.get):
        merges += [(piece[:at], piece[at:]) for at in range(1, len(piece)) if piece[:at] in vocab and piece[at:] in vocab and vocab[piece] > 3]
    tokenizer = NllbTokenizer(vocab=vocab, merges=merges, src_lang="por_Latn", tgt_lang="fra_Latn")
    folder = family("nllb-json", {})
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    keep(folder, *marian_ids(tokenizer, texts()), lambda ids: tokenizer.decode(ids, skip_special_tokens=True))


def t5():
    """By transformers, and from pieces alone as sentencepiece has it: white space that is no space is a character there."""
    processor = sentencepiece.SentencePieceProcessor(model_file=str(OUT / "t5.spm"))
    vocab = [(processor.id_to_piece(i), processor.get_score(i)) for i in range(len(processor))]
    vocab += [(f"<extra_id_{i}>", 0.0) for i in range(99, -1, -1)]
    tokenizer = T5Tokenizer(vocab=vocab)
    tokenizer.add_tokens(["<2fr>", "<2pt>"])
    folder = family("t5-json", {})
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    ids = [tokenizer(text).input_ids for text in texts()]
    keep(folder, ids, ids, lambda ids: tokenizer.decode(ids, skip_special_tokens=True))
    marks = {mark: i for i, (mark, _) in enumerate(vocab) if i < 3 or mark.startswith(("<2", "<extra"))}
    special = [i for mark, i in marks.items() if not mark.startswith("<2")]
    ids = [[*cut(text, marks, processor.encode), 1] for text in texts()]
    folder = family("t5", {})
    # llama.cpp's converter lists masks as well
    writer = gguf.GGUFWriter(folder / "model.gguf", "t5")
    writer.add_tokenizer_model("t5")
    writer.add_token_list([mark for mark, _ in vocab])
    writer.add_token_scores([score for _, score in vocab])
    writer.add_token_types([2 if i == 2 else 3 if i in special else 4 if mark.startswith("<2") else 1 for i, (mark, _) in enumerate(vocab)])
    writer.add_add_space_prefix(True)
    writer.add_remove_extra_whitespaces(True)
    writer.add_eos_token_id(1)
    finish(writer)
    keep(folder, ids, ids, lambda ids: processor.decode([i for i in ids if i not in special]).strip())


def real(folder, read, out):
    """What a real Marian makes of lines."""
    read = Path(read).read_text().split("\n")
    tokenizer = MarianTokenizer.from_pretrained(folder)
    source, target = marian_ids(tokenizer, read)
    decoded = [tokenizer.decode(ids, skip_special_tokens=True) for ids in target]
    Path(out).write_text(json.dumps(dict(lines=read, source=source, target=target, decoded=decoded)))
    print(len(read), "lines,", sum(map(len, source)), "and", sum(map(len, target)), "ids")


def main():
    if len(sys.argv) > 1:
        return real(*sys.argv[1:4])
    OUT.mkdir(parents=True, exist_ok=True)
    train("unigram", vocab_size=500, model_type="unigram", normalization_rule_name="nmt_nfkc", character_coverage=0.98)
    train("plain", vocab_size=450, model_type="unigram", normalization_rule_name="identity", character_coverage=0.98)
    train("bpe", vocab_size=600, model_type="bpe", normalization_rule_name="identity", character_coverage=0.98)
    train("t5", vocab_size=400, model_type="unigram", normalization_rule_name="identity", pad_id=0, eos_id=1, unk_id=2,
          bos_id=-1, user_defined_symbols=["<2fr>", "<2pt>"])
    (OUT / "lines.json").write_text(json.dumps(texts(), ensure_ascii=False, indent=0) + "\n")
    marian()
    m2m100()
    fairseq("nllb", "bpe", NLLB, "por_Latn", "fra_Latn")
    fairseq("nllb-legacy", "bpe", NLLB, "por_Latn", "fra_Latn")
    fairseq("mbart50", "plain", MBART50, "en_XX", "fr_XX")
    nllb()
    t5()


if __name__ == "__main__":
    main()
