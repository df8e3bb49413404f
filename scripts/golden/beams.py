"""What transformers' searches find for the checkpoints of shared/golden/seq2seq and shared/golden/t5.

    python scripts/golden/beams.py [NAME ...]

writes beams.json beside each checkpoint: for several sets of options the hypotheses of every source of
expected.safetensors, best first, that `generate` adds, with their scores. Ids end with the token that ended them. Only
searches that come out the same in 64 bits are kept. Made with torch 2.15 and transformers 5.23.
"""

import json
import sys

import torch
from safetensors.torch import load_file
from seq2seq import OUT
from transformers import AutoModelForSeq2SeqLM, GenerationConfig

SEARCHES = {
    "plain": dict(num_beams=4, max_new_tokens=20),
    "early": dict(num_beams=4, max_new_tokens=20, early_stopping=True, length_penalty=0.6, many_ends=True),
    "late": dict(num_beams=4, max_new_tokens=20, length_penalty=2.0, many_ends=True, renormalize_logits=True),
    "short": dict(num_beams=3, max_new_tokens=16, length_penalty=-0.5, many_ends=True, no_repeat_ngram_size=2),
    "forced": dict(num_beams=4, max_new_tokens=12, no_repeat_ngram_size=3, first=True, last=True, early_stopping=True),
    "forced-late": dict(num_beams=4, max_new_tokens=12, first=True, last=True, many_ends=True, renormalize_logits=True),
    "greedy": dict(num_beams=1, max_new_tokens=16, no_repeat_ngram_size=2),
    "greedy-ends": dict(num_beams=1, max_new_tokens=16, first=True, many_ends=True, no_repeat_ngram_size=1),
}


def search(net, source, mask, options):
    options, config = dict(options), net.config
    ends = [config.eos_token_id]
    if options.pop("many_ends", False):
        ends += [i for i in range(10, config.vocab_size, 7) if i != config.pad_token_id]
    asked = dict(
        beams=options["num_beams"], max_tokens=options["max_new_tokens"], ends=ends, banned=[config.pad_token_id],
        length_penalty=options.get("length_penalty", 1.0), early_stopping=options.get("early_stopping", False),
        no_repeat=options.get("no_repeat_ngram_size", 0), renormalises=options.get("renormalize_logits", False),
        first=8 if options.pop("first", False) else None, last=options.pop("last", False), start=config.decoder_start_token_id,
    )
    net.generation_config = GenerationConfig()
    # transformers takes the depth of the encoder for that of the cache
    options["use_cache"] = getattr(config, "num_decoder_layers", 0) == getattr(config, "num_layers", 0)
    out = net.generate(input_ids=source, attention_mask=mask, generation_config=GenerationConfig(
        do_sample=False, return_dict_in_generate=True, output_scores=True, num_return_sequences=asked["beams"],
        eos_token_id=ends, pad_token_id=config.pad_token_id, decoder_start_token_id=config.decoder_start_token_id,
        bad_words_ids=[asked["banned"]], forced_bos_token_id=asked["first"],
        forced_eos_token_id=config.eos_token_id if asked["last"] else None, **options))
    found = []
    for row, ids in enumerate(out.sequences[:, 1:].tolist()):
        length = next((i + 1 for i, id in enumerate(ids) if id in ends), len(ids))
        score = out.sequences_scores[row].item() if asked["beams"] > 1 else None
        found.append(dict(ids=ids[:length], score=score))
    count = asked["beams"]
    return asked | dict(found=[found[i:i + count] for i in range(0, len(found), count)])


@torch.no_grad()
def main():
    for folder in sorted(file.parent for kind in ("seq2seq", "t5") for file in (OUT.parent / kind).glob("*/config.json")):
        if len(sys.argv) > 1 and folder.name not in sys.argv[1:]:
            continue
        golden, kept = load_file(folder / "expected.safetensors"), {}
        nets = [AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=kind, attn_implementation="eager").eval()
                for kind in (torch.float32, torch.float64)]
        for name, options in SEARCHES.items():
            found, exact = (search(net, golden["source"], golden["mask"], options) for net in nets)
            ids = [[[one["ids"] for one in row] for row in kind["found"]] for kind in (found, exact)]
            if ids[0] != ids[1]:
                print(f"{folder.name} {name}: too close to call")
                continue
            kept[name] = found
        lines = ",\n".join(f"{json.dumps(name)}:{json.dumps(one, separators=(',', ':'))}" for name, one in kept.items())
        (folder / "beams.json").write_text("{" + lines + "}\n")
        ended = sum(one["ids"][-1] in search["ends"] for search in kept.values() for row in search["found"] for one in row)
        print(folder.name, list(kept), f"{ended} hypotheses ended", (folder / "beams.json").stat().st_size, "bytes", flush=True)


if __name__ == "__main__":
    main()
