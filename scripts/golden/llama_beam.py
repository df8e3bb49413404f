"""What transformers' beam search finds for the checkpoints of shared/golden/llama.

    python scripts/golden/llama_beam.py

writes shared/golden/llama/beam.json: for each checkpoint the prompt of expected.safetensors, and the ids that
`generate(num_beams=4)` adds with their score, with and without the token that ends a text, and with another length
penalty. Only searches that come out the same in 64 bits are kept. Made with torch 2.15 and transformers 5.23.
"""

import json

import torch
from llama import OUT
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

SEARCHES = {
    "plain": dict(num_beams=4, max_new_tokens=24, eos_token_id=None),
    "ends": dict(num_beams=4, max_new_tokens=24),
    "short": dict(num_beams=3, max_new_tokens=16, length_penalty=-0.5),
    "early": dict(num_beams=4, max_new_tokens=16, length_penalty=2.0, early_stopping=True, eos_token_id=[2, 5, 7, 11]),
}


@torch.no_grad()
def search(net, prompt, options):
    # a net that remembers how long the last text was would give another answer
    out = net.generate(
        prompt[None].long(), do_sample=False, pad_token_id=0, return_dict_in_generate=True, output_scores=True, **options)
    return out.sequences[0, len(prompt):].tolist(), out.sequences_scores[0].item()


def main():
    found = {}
    for folder in sorted(path for path in OUT.iterdir() if path.is_dir()):
        prompt = load_file(folder / "expected.safetensors")["prompt"].flatten()
        for name, options in SEARCHES.items():
            kinds = [torch.float32, torch.float64]
            nets = [AutoModelForCausalLM.from_pretrained(folder, dtype=kind, attn_implementation="eager").eval() for kind in kinds]
            (ids, score), (exact, _) = (search(net, prompt, options) for net in nets)
            if ids != exact:
                print(f"{folder.name} {name}: too close to call")
                continue
            options = {key: value for key, value in options.items() if key != "num_beams"}
            found.setdefault(folder.name, []).append(dict(
                beams=SEARCHES[name]["num_beams"], max_tokens=options["max_new_tokens"],
                length_penalty=options.get("length_penalty", 1.0), early_stopping=options.get("early_stopping", False),
                eos=options.get("eos_token_id", 2), prompt=prompt.tolist(), ids=ids, score=score))
    for searches in found.values():
        for one in searches:
            one["eos"] = [] if one["eos"] is None else one["eos"] if isinstance(one["eos"], list) else [one["eos"]]
    (OUT / "beam.json").write_text(json.dumps(found, indent=None, separators=(",", ":")).replace("]},", "]},\n") + "\n")
    print({name: len(searches) for name, searches in found.items()})


if __name__ == "__main__":
    main()
