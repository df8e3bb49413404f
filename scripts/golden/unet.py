"""Tiny random UNets in diffusers' layout, with what diffusers computes from them.

    python scripts/golden/unet.py

writes shared/golden/unet/NAME/: config.json, the weights as model.safetensors in f16, and expected.safetensors with
`noisy` (batch, channels, height, width), `times` (batch), `context`, what else the net takes (`pooled`, `sizes`,
`guidance`), and the `prediction`, computed in f32. Made with torch 2.15 and diffusers 0.35.
"""

import json
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "unet"

NETS = {
    # Stable Diffusion 1's kinds of blocks
    "sd1": (
        dict(
            block_out_channels=(4, 8), down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), norm_num_groups=2, attention_head_dim=2,
            cross_attention_dim=6, layers_per_block=2,
        ),
        (2, 4, 8, 6),
    ),
    # a prompt that the net pools itself
    "pooled-text": (
        dict(
            block_out_channels=(4, 8), down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), norm_num_groups=2, attention_head_dim=2,
            cross_attention_dim=6, layers_per_block=1, addition_embed_type="text", addition_embed_type_num_heads=3,
        ),
        (2, 4, 6, 4),
    ),
    # SDXL's, with the guidance as an input, and sides that cannot be halved evenly
    "sdxl-lcm": (
        dict(
            in_channels=5, block_out_channels=(4, 8, 8),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), norm_num_groups=4,
            attention_head_dim=(1, 2, 4), transformer_layers_per_block=(1, 2, 1), cross_attention_dim=5,
            layers_per_block=1, use_linear_projection=True, addition_embed_type="text_time",
            addition_time_embed_dim=8, projection_class_embeddings_input_dim=6 * 8 + 3, time_cond_proj_dim=7,
            norm_eps=1e-6,
        ),
        (2, 5, 7, 10),
    ),
}


@torch.no_grad()
def main():
    for name, (options, shape) in NETS.items():
        torch.manual_seed(1)
        net = UNet2DConditionModel(**options).eval()
        for value in net.parameters():
            if value.dim() > 1:
                value.normal_().mul_((1.2 / value[0].numel()) ** 0.5)
            else:
                value.add_(0.3 * torch.randn_like(value))
        net = net.half().float()
        inputs = dict(
            noisy=torch.randn(shape), times=torch.tensor([3.0, 871.0]),
            context=torch.randn(2, 4, options["cross_attention_dim"]),
        )
        extra = {}
        if options.get("addition_embed_type") == "text_time":
            inputs |= dict(pooled=torch.randn(2, 3), sizes=torch.tensor([[64.0, 48, 0, 3, 64, 48]] * 2))
            extra["added_cond_kwargs"] = dict(text_embeds=inputs["pooled"], time_ids=inputs["sizes"])
        if "time_cond_proj_dim" in options:
            inputs["guidance"] = torch.randn(2, options["time_cond_proj_dim"])
            extra["timestep_cond"] = inputs["guidance"]
        prediction = net(inputs["noisy"], inputs["times"], inputs["context"], **extra).sample
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        config = {key: value for key, value in net.config.items() if key != "_name_or_path"}
        (folder / "config.json").write_text(json.dumps({"_class_name": "UNet2DConditionModel"} | config, indent=2) + "\n")
        weights = {key: value.half().contiguous() for key, value in net.state_dict().items()}
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        save_file(dict(inputs, prediction=prediction), folder / "expected.safetensors")
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(name, tuple(prediction.shape), f"largest {prediction.abs().max():.3f}", f"{size} bytes")


if __name__ == "__main__":
    main()
