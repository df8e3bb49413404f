"""Tiny random translators with their tokenizers, whole folders as the hub has them, and what transformers makes of them.

    python scripts/golden/translate.py [NAME...]

writes shared/golden/translate/NAME/: config.json, generation_config.json, model.safetensors (f16) and the tokenizer's own
files, with expected.json: for each line of LINES the ids of the source, and what `generate` answers greedily and with four
beams: ids, `sequences_scores` and the text. A seed is taken only if weights that differ by a hundred-thousandth lead to the
same ids, so that rounding does not decide. Made with torch 2.15, transformers 5.23 and sentencepiece 0.2.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import sentencepiece
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    MarianConfig, MarianMTModel, MarianTokenizer, M2M100Config, M2M100ForConditionalGeneration, M2M100Tokenizer,
    T5Config, T5ForConditionalGeneration, T5Tokenizer,
)

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "translate"

ENGLISH = """Where is the library? It stands behind the old church, on the left side of the market. We open at nine and close at
six. My sister reads three books a week. The train to Paris leaves at 7:45 from platform 2. I would like a cup of tea, please.
Nobody knows what tomorrow brings. The children were playing in the garden when it began to rain. How much does this cost?
Twelve euros and fifty cents. She has lived here for twenty years. Could you speak more slowly? The water is cold, but the sun
is warm. He sold his house and bought a boat. Every window was open. Thank you for your letter; it made me very happy.""".split("\n")
FRENCH = """Où est la bibliothèque ? Elle se trouve derrière la vieille église, à gauche du marché. Nous ouvrons à neuf heures et
fermons à six heures. Ma sœur lit trois livres par semaine. Le train pour Paris part à 7 h 45 du quai 2. Je voudrais une tasse de
thé, s'il vous plaît. Personne ne sait ce que demain apportera. Les enfants jouaient dans le jardin quand il a commencé à pleuvoir.
Combien cela coûte-t-il ? Douze euros et cinquante centimes. Elle habite ici depuis vingt ans. Pourriez-vous parler plus lentement ?
L'eau est froide, mais le soleil est chaud. Il a vendu sa maison et acheté un bateau. Toutes les fenêtres étaient ouvertes.""".split("\n")
LINES = [
    "Where is the library?", "The train leaves at 7:45.", "My sister reads.", "It rains – and how!", "Zürich, Łódź, 東京",
    "  Every window   was open. ", "I would like a cup of tea, please.",
]


def pieces(folder, name, kind, size, lines, **options):
    text = folder / "lines.txt"
    text.write_text("\n".join(lines))
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / name), vocab_size=size, model_type=kind, character_coverage=1.0,
        hard_vocab_limit=False, minloglevel=2, **options,
    )
    text.unlink()
    (folder / f"{name}.vocab").unlink()
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / f"{name}.model"))


def marian(folder):
    source = pieces(folder, "source", "unigram", 150, ENGLISH, bos_id=-1, eos_id=0, unk_id=1)
    target = pieces(folder, "target", "unigram", 160, FRENCH, bos_id=-1, eos_id=0, unk_id=1)
    shutil.move(folder / "source.model", folder / "source.spm")
    shutil.move(folder / "target.model", folder / "target.spm")
    both = [one.id_to_piece(i) for one in (source, target) for i in range(one.get_piece_size())]
    words = list(dict.fromkeys(["</s>", "<unk>", *both, ">>fra<<", ">>por<<", "<pad>"]))
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}, ensure_ascii=False))
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "source_lang": "eng", "target_lang": "roa", "separate_vocabs": False, "tokenizer_class": "MarianTokenizer",
    }))
    pad = len(words) - 1
    config = MarianConfig(
        vocab_size=len(words), pad_token_id=pad, decoder_start_token_id=pad, eos_token_id=0, forced_eos_token_id=0,
        activation_function="swish", scale_embedding=True, max_position_embeddings=64, static_position_embeddings=True,
        d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=48, decoder_ffn_dim=48,
    )
    tokenizer = MarianTokenizer.from_pretrained(folder)
    return config, MarianMTModel, tokenizer, dict(
        bad_words_ids=[[pad]], num_beams=4, max_length=20, renormalize_logits=True,
        decoder_start_token_id=pad, pad_token_id=pad, eos_token_id=0, forced_eos_token_id=0,
    ), lambda line: ">>fra<< " + line, {}


def m2m100(folder):
    model = pieces(folder, "sentencepiece.bpe", "bpe", 200, ENGLISH + FRENCH)
    words = ["<s>", "<pad>", "</s>", "<unk>"]
    words += [model.id_to_piece(i) for i in range(model.get_piece_size()) if model.id_to_piece(i) not in words]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}, ensure_ascii=False))
    shutil.move(folder / "sentencepiece.bpe.model", folder / "spm.model")
    tokenizer = M2M100Tokenizer(str(folder / "vocab.json"), str(folder / "spm.model"), src_lang="en", tgt_lang="fr")
    shutil.move(folder / "spm.model", folder / "sentencepiece.bpe.model")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "M2M100Tokenizer", "num_madeup_words": 8}))
    config = M2M100Config(
        vocab_size=len(words) + 100 + 8, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=64,
    )
    first = tokenizer.get_lang_id("fr")
    return config, M2M100ForConditionalGeneration, tokenizer, dict(
        num_beams=5, max_length=20, early_stopping=True, decoder_start_token_id=2, bos_token_id=0, pad_token_id=1,
        eos_token_id=2,
    ), lambda line: line, dict(forced_bos_token_id=first)


def madlad(folder):
    words = ["<2en>", "<2fr>", "<2de>"]
    model = pieces(
        folder, "spiece", "unigram", 180, ENGLISH + FRENCH, pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        normalization_rule_name="identity", user_defined_symbols=words,
    )
    (folder / "spiece.model").unlink()
    tokenizer = T5Tokenizer(vocab=[(model.id_to_piece(i), model.get_score(i)) for i in range(len(model))], extra_ids=0)
    tokenizer.add_tokens(words)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    size = len(tokenizer)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T5Tokenizer", "extra_ids": 0}))
    config = T5Config(
        vocab_size=size, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_decoder_layers=2, num_heads=4,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
        relative_attention_num_buckets=16,
    )
    return config, T5ForConditionalGeneration, tokenizer, dict(
        num_beams=1, max_length=20, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
    ), lambda line: "<2fr> " + line, {}


def fresh(kind, config, seed):
    torch.manual_seed(seed)
    net = kind(config).eval()
    for value in net.parameters():
        if value.requires_grad:
            if value.dim() > 1:
                value.data.normal_().mul_((1.5 / value[0].numel()) ** 0.5)
            else:
                value.data.add_(0.3 * torch.randn_like(value))
            value.data.copy_(value.half().float())
    return net


@torch.no_grad()
def answers(net, tokenizer, lines, options, beams):
    found = []
    # transformers 5 does not know that a language is no text
    names = [tokenizer.get_lang_id(code) for code in getattr(tokenizer, "lang_code_to_token", [])]
    for line in lines:
        given = tokenizer(line, return_tensors="pt")
        if "token_type_ids" in given:
            del given["token_type_ids"]
        out = net.generate(**given, **{**options, "num_beams": beams}, do_sample=False, return_dict_in_generate=True, output_scores=True)
        ids = out.sequences[0].tolist()
        score = out.sequences_scores[0].item() if beams > 1 else None
        found.append(dict(source=given["input_ids"][0].tolist(), ids=ids[1:], score=score,
                          text=tokenizer.decode([i for i in ids if i not in names], skip_special_tokens=True)))
    return found


def main():
    for make in (marian, m2m100, madlad):
        if make.__name__ not in (sys.argv[1:] or make.__name__):
            continue
        folder = OUT / make.__name__
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        config, kind, tokenizer, generation, told, forced = make(folder)
        lines = [told(line) for line in LINES]
        for seed in range(200):
            net = fresh(kind, config, seed)
            options = {**generation, **forced}
            results = []
            for shift in (0, 1e-5, -1e-5):
                for value in net.parameters():
                    value.data.mul_(1 + shift * torch.randn_like(value))
                results.append([answers(net, tokenizer, lines, options, beams) for beams in (1, 4)])
            ids = [[[one["ids"] for one in part] for part in result] for result in results]
            various = len({tuple(one) for one in ids[0][1]}) > 3
            if ids[0] == ids[1] == ids[2] and various:
                break
        else:
            raise SystemExit(f"{make.__name__}: no seed is clear enough")
        net = fresh(kind, config, seed)
        with tempfile.TemporaryDirectory() as temporary:
            net.half().save_pretrained(temporary)
            save_file(load_file(Path(temporary) / "model.safetensors"), folder / "model.safetensors", {"format": "pt"})
            shutil.copy(Path(temporary) / "config.json", folder / "config.json")
        (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
        greedy, beam = results[0]
        rows = [dict(line=line, greedy=g, beam=b) for line, g, b in zip(LINES, greedy, beam)]
        (folder / "expected.json").write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(make.__name__, "seed", seed, size, "bytes", [row["beam"]["ids"][:6] for row in rows])


main()
