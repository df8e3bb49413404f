"""Tiny random T5s in the hub's layout, with what transformers computes from them.

    python scripts/golden/t5.py

writes shared/golden/t5/NAME/: config.json, the weights as model.safetensors in f16, and expected.safetensors with
`source` (batch, time) and its `mask`, `states`, what the encoder makes of it, zero where there is padding, `target`
(batch, target time), the `logits` of the target, and the ids that follow `start` greedily, `greedy` (batch, steps), none
twice in a row of the batch, since random nets say one id for ever, and none of it the padding; computed in f32. A seed is
taken only if the two largest logits of every step are further apart than ten times the tolerance of the test, 1e-4 of
the largest. The same nets as GGUF files: `llama.gguf` under llama.cpp's names, or `hub.gguf` under the hub's, as
candle's tools write them. Made with torch 2.15, transformers 5.23 and gguf 0.19.
"""

import json

import gguf
import torch
from safetensors.torch import save_file
from seq2seq import OUT, TOLERANCE, greedy
from transformers import T5Config, T5ForConditionalGeneration

OUT = OUT.parent / "t5"
NETS = {
    # the first T5: one table, whose logits are scaled
    "plain": (True, dict(vocab_size=83, d_model=48, d_kv=12, d_ff=64, num_layers=2, num_heads=3,
                         relative_attention_max_distance=24)),
    # version 1.1 and Flan: a gate, an output layer of its own, another depth of the decoder
    "gated": (False, dict(vocab_size=96, d_model=40, d_kv=16, d_ff=56, num_layers=1, num_decoder_layers=3, num_heads=4,
                          feed_forward_proj="gated-gelu", relative_attention_num_buckets=16,
                          relative_attention_max_distance=18)),
    # MADLAD-400
    "madlad": (False, dict(vocab_size=112, d_model=64, d_kv=8, d_ff=96, num_layers=2, num_decoder_layers=2, num_heads=6,
                           feed_forward_proj="gated-gelu", eos_token_id=2, pad_token_id=1)),
}


def fresh(tied, options, seed):
    """A net whose layers matter, rounded as it is stored."""
    torch.manual_seed(seed)
    config = T5Config(decoder_start_token_id=0, tie_word_embeddings=tied, **options)
    config._attn_implementation = "eager"
    net = T5ForConditionalGeneration(config).eval()
    if not tied:
        net.lm_head.weight = torch.nn.Parameter(torch.empty_like(net.lm_head.weight))
    for name, value in net.named_parameters():
        if "relative_attention_bias" in name:
            value.normal_()
        elif value.dim() > 1:
            # scores are not scaled
            heads = (config.d_kv ** -0.5) if name.endswith("Attention.q.weight") else 1
            value.normal_().mul_(heads * (1.5 / value[0].numel()) ** 0.5)
        else:
            value.add_(0.3 * torch.randn_like(value))
    if tied:
        net.shared.weight.mul_(config.d_model ** 0.5)
    for value in net.parameters():
        value.copy_(value.half().float())
    return net


def write_gguf(path, net, llama):
    """The net as a GGUF file: with llama.cpp's metadata and names, or with the hub's names alone."""
    config = net.config
    writer = gguf.GGUFWriter(path, "t5") if llama else gguf.GGUFWriter(path, "")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.T5, max(config.num_layers, config.num_decoder_layers))
    if llama:
        writer.add_tokenizer_model("no_vocab")
        writer.add_vocab_size(config.vocab_size)
        writer.add_context_length(512)
        writer.add_embedding_length(config.d_model)
        writer.add_feed_forward_length(config.d_ff)
        writer.add_block_count(config.num_layers)
        writer.add_decoder_block_count(config.num_decoder_layers)
        writer.add_head_count(config.num_heads)
        writer.add_key_length(config.d_kv)
        writer.add_value_length(config.d_kv)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
        writer.add_layer_norm_rms_eps(config.layer_norm_epsilon)
        writer.add_relative_attn_buckets_count(config.relative_attention_num_buckets)
        writer.add_decoder_start_token_id(config.decoder_start_token_id)
        writer.add_eos_token_id(config.eos_token_id)
        writer.add_pad_token_id(config.pad_token_id)
    for key, value in net.named_parameters():
        there = names.get_name(key, try_suffixes=(".weight",)) if llama else key
        assert there, key
        exact = value.dim() == 1 or "relative" in key
        writer.add_tensor(there, (value if exact else value.half()).detach().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@torch.no_grad()
def main():
    for name, (tied, options) in NETS.items():
        for seed in range(1, 2000):
            net = fresh(tied, options, seed)
            config = net.config
            special = [config.pad_token_id, config.eos_token_id, config.decoder_start_token_id]
            words = torch.tensor([i for i in range(config.vocab_size) if i not in special])
            lengths = torch.tensor([27, 9, 18])
            source = words[torch.randint(len(words), (3, 27))]
            mask = (torch.arange(27) < lengths[:, None]).long()
            source = torch.where(mask == 1, source, config.pad_token_id)
            ids, margin = greedy(net, source, mask)
            if margin > 10 * TOLERANCE:
                break
        else:
            raise SystemExit(f"{name}: no seed has such margins")
        target = words[torch.randint(len(words), (3, 29))]
        target[:, 0] = config.decoder_start_token_id
        result = net(input_ids=source, attention_mask=mask, decoder_input_ids=target, use_cache=False)
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        written = config.to_dict()
        kept = ["vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads", "pad_token_id",
                "relative_attention_num_buckets", "relative_attention_max_distance", "dropout_rate", "eos_token_id",
                "layer_norm_epsilon", "initializer_factor", "feed_forward_proj", "decoder_start_token_id", "model_type"]
        written = {key: written[key] for key in kept} | dict(
            architectures=["T5ForConditionalGeneration"], is_encoder_decoder=True, tie_word_embeddings=tied,
            torch_dtype="float16", use_cache=True)
        (folder / "config.json").write_text(json.dumps(written, indent=2) + "\n")
        weights = {key: value.half().contiguous() for key, value in net.named_parameters()}
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        write_gguf(folder / ("hub.gguf" if name == "madlad" else "llama.gguf"), net, name != "madlad")
        expected = dict(
            source=source, mask=mask, states=result.encoder_last_hidden_state * mask[..., None], target=target,
            logits=result.logits, greedy=ids, start=torch.tensor([config.decoder_start_token_id]),
        )
        save_file({key: value.contiguous() for key, value in expected.items()}, folder / "expected.safetensors")
        again = T5ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        apart = (again(input_ids=source, attention_mask=mask, decoder_input_ids=target).logits - result.logits).abs().max()
        assert apart < 1e-5, f"{name}: another net is read from the files: {apart}"
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(name, f"seed {seed}, margin {margin:.5f} of the largest, {len(ids.unique())} ids, {size} bytes", flush=True)


if __name__ == "__main__":
    main()
