"""The MADLAD of shared/golden/translate as one GGUF file with its vocabulary, as llama.cpp's converter writes a T5.

    python scripts/golden/translate_gguf.py

reads shared/golden/translate/madlad/ and writes shared/golden/translate/madlad.gguf: what transformers answers is in the
expected.json of that folder. Made with gguf 0.19 and transformers 5.23.
"""

import json
from pathlib import Path

import gguf
from safetensors.numpy import load_file

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "golden" / "translate" / "madlad"
# gguf.TokenType: ordinary pieces, the one for what is unknown, those that are never text, and those that are taken whole
NORMAL, UNKNOWN, CONTROL, USER_DEFINED = 1, 2, 3, 4


def main():
    config = json.loads((FOLDER / "config.json").read_text())
    tokenizer = json.loads((FOLDER / "tokenizer.json").read_text())
    vocab = tokenizer["model"]["vocab"]
    added = {one["id"]: one["special"] for one in tokenizer["added_tokens"]}
    kinds = [(CONTROL if added[i] else USER_DEFINED) if i in added else NORMAL for i in range(len(vocab))]
    kinds[tokenizer["model"]["unk_id"]] = UNKNOWN
    writer = gguf.GGUFWriter(FOLDER.with_suffix(".gguf"), "t5")
    writer.add_context_length(512)
    writer.add_embedding_length(config["d_model"])
    writer.add_feed_forward_length(config["d_ff"])
    writer.add_block_count(config["num_layers"])
    writer.add_decoder_block_count(config["num_decoder_layers"])
    writer.add_head_count(config["num_heads"])
    writer.add_key_length(config["d_kv"])
    writer.add_value_length(config["d_kv"])
    writer.add_layer_norm_rms_eps(config["layer_norm_epsilon"])
    writer.add_relative_attn_buckets_count(config["relative_attention_num_buckets"])
    writer.add_decoder_start_token_id(config["decoder_start_token_id"])
    writer.add_tokenizer_model("t5")
    writer.add_token_list([mark for mark, _ in vocab])
    writer.add_token_scores([score for _, score in vocab])
    writer.add_token_types(kinds)
    writer.add_add_space_prefix(True)
    writer.add_remove_extra_whitespaces(True)
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.T5, max(config["num_layers"], config["num_decoder_layers"]))
    tensors = load_file(FOLDER / "model.safetensors")
    # an output layer of its own is what says, in such a file, that states are not scaled before it
    if not config["scale_decoder_outputs"]:
        tensors.setdefault("lm_head.weight", tensors["shared.weight"])
    for key, value in tensors.items():
        name = names.get_name(key, try_suffixes=(".weight",))
        assert name, key
        exact = value.ndim == 1 or "relative" in key
        writer.add_tensor(name, value.astype("f4") if exact else value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main()
