"""Tiny random CLIP text encoders in the hub's layout, with what transformers computes from them.

    python scripts/golden/clip.py

writes shared/golden/clip/NAME/: config.json, the weights as model.safetensors in f16, and expected.safetensors with
`ids` (batch, time), `hidden` (states, batch, time, size: the embeddings, then what each layer gives), `last` (after the
last norm), `pooled` and, where there is a projection, `embeds`, computed in f32. Made with torch 2.15 and
transformers 5.23.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "clip"

NETS = {
    # Stable Diffusion 1 and 2: the end of the text is the largest id, whatever the configuration says
    "sd1": (
        CLIPTextModel,
        dict(
            vocab_size=40, hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=4,
            max_position_embeddings=12, hidden_act="quick_gelu", eos_token_id=2, bos_token_id=0, projection_dim=16,
        ),
        [[38, 5, 7, 39, 39, 39, 39, 39, 39, 39, 39, 39], [38, 2, 9, 11, 12, 30, 31, 3, 4, 2, 1, 39]],
    ),
    # Stable Diffusion XL's second, as OpenCLIP has it, with an end that is named and not the largest; fewer positions
    "sdxl-2": (
        CLIPTextModelWithProjection,
        dict(
            vocab_size=33, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2,
            max_position_embeddings=9, hidden_act="gelu", eos_token_id=17, bos_token_id=16, projection_dim=10,
            layer_norm_eps=1e-6,
        ),
        [[16, 5, 17, 0, 32, 0, 0], [16, 1, 2, 3, 32, 4, 17], [16, 17, 17, 17, 17, 17, 17]],
    ),
}


@torch.no_grad()
def main():
    for name, (kind, options, ids) in NETS.items():
        torch.manual_seed(1)
        net = kind(CLIPTextConfig(**options, attn_implementation="eager")).eval()
        for value in net.parameters():
            if value.dim() > 1:
                value.normal_().mul_((1.2 / value[0].numel()) ** 0.5)
            else:
                value.add_(0.3 * torch.randn_like(value))
        net = net.half().float()
        ids = torch.tensor(ids)
        found = net(ids, output_hidden_states=True)
        states = found.hidden_states
        # some versions put the normed states in the place of the last layer's
        assert len(states) == options["num_hidden_layers"] + 1
        text = getattr(net, "text_model", net)
        assert torch.equal(text.final_layer_norm(states[-1]), found.last_hidden_state)
        tensors = dict(ids=ids.to(torch.uint32), hidden=torch.stack(states), last=found.last_hidden_state)
        tensors["pooled"] = text(ids).pooler_output
        if kind is CLIPTextModelWithProjection:
            tensors["embeds"] = found.text_embeds
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        config = net.config.to_dict() | {"architectures": [kind.__name__]}
        config = {key: value for key, value in config.items() if key not in ("_name_or_path", "dtype")}
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        weights = {}
        for key, value in net.state_dict().items():
            # the hub's checkpoints have this prefix in either kind
            key = key if key.startswith(("text_model.", "text_projection.")) else f"text_model.{key}"
            weights[key] = value.half().contiguous()
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        save_file({key: value.contiguous() for key, value in tensors.items()}, folder / "expected.safetensors")
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(name, {key: tuple(value.shape) for key, value in tensors.items()}, f"{size} bytes")


if __name__ == "__main__":
    main()
