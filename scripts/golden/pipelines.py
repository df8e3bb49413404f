"""Tiny random diffusion models in diffusers' layout, with the pictures that diffusers' pipelines make of them.

    python scripts/golden/pipelines.py MERGES

MERGES is merges.txt of CLIP's vocabulary (openai/clip-vit-large-patch14); its first lines make the tiny tokenizers. Writes
shared/golden/pipelines/NAME/: the folders of a model, with weights in f16, and under the name of its case each picture
as a PNG, with cases.json, which says how it was made. All is computed in f32. Made with torch 2.15, transformers 5.23 and
diffusers 0.42.
"""

import json
import shutil
import sys
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers import (
    AutoencoderKL, AutoencoderTiny, DDIMScheduler, EulerAncestralDiscreteScheduler, EulerDiscreteScheduler, LCMScheduler,
    PNDMScheduler, StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline, StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline, StableDiffusionXLInpaintPipeline, StableDiffusionXLPipeline, UNet2DConditionModel,
)
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "pipelines"
SIDE = 32
SD = dict(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1)
SAMPLERS = {
    "ddim": ("DDIMScheduler", {}), "ddpm": ("DDPMScheduler", {}), "pndm": ("PNDMScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}), "euler-a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}), "unipc": ("UniPCMultistepScheduler", {}), "lcm": ("LCMScheduler", {}),
    "dpmpp-2m-karras": ("DPMSolverMultistepScheduler", dict(algorithm_type="dpmsolver++", use_karras_sigmas=True)),
    "dpmpp-sde": ("DPMSolverMultistepScheduler", dict(algorithm_type="sde-dpmsolver++")),
}


def lively(net, gain=1.2):
    """Weights that give pictures with contrast."""
    torch.manual_seed(1)
    for value in net.parameters():
        if value.dim() > 1:
            value.data.normal_().mul_((gain / value[0].numel()) ** 0.5)
        else:
            value.data.add_(0.2 * torch.randn_like(value))
    return net.half().float().eval()


def tokenizer(folder, merges, length, pad):
    lines = Path(merges).read_text().splitlines()
    lines = [line for line in lines if not line.startswith("#version")][:300]
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    words = letters + [letter + "</w>" for letter in letters] + ["".join(line.split()) for line in lines]
    words += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(lines) + "\n")
    special = dict(bos_token="<|startoftext|>", eos_token="<|endoftext|>", unk_token="<|endoftext|>", pad_token=pad)
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2))
    config = dict(special, tokenizer_class="CLIPTokenizer", model_max_length=length, do_lower_case=True, add_prefix_space=False)
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2))
    return CLIPTokenizer.from_pretrained(folder), len(words)


def text(vocabulary, size, act="quick_gelu", layers=3, project=None, end=None):
    config = CLIPTextConfig(
        vocab_size=vocabulary, hidden_size=size, intermediate_size=2 * size, num_hidden_layers=layers, num_attention_heads=2,
        max_position_embeddings=77, hidden_act=act, projection_dim=project or size, bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1 if end is None else end, pad_token_id=1,
    )
    return lively((CLIPTextModelWithProjection if project else CLIPTextModel)(config), 0.8)


def unet(context, **options):
    plain = dict(
        sample_size=SIDE // 4, block_out_channels=(8, 16), down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), norm_num_groups=4, attention_head_dim=2, layers_per_block=1,
        cross_attention_dim=context,
    )
    return lively(UNet2DConditionModel(**plain | options))


def kl():
    return lively(AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 3, up_block_types=["UpDecoderBlock2D"] * 3, block_out_channels=[4, 4, 8],
        latent_channels=4, norm_num_groups=2, sample_size=SIDE,
    ), 1.5)


PICTURE = Image.fromarray(np.stack([
    np.add.outer(np.arange(SIDE) * 5, np.arange(SIDE) * 2) % 256, np.add.outer(np.arange(SIDE) * 1, np.arange(SIDE) * 7) % 256,
    np.multiply.outer(np.arange(SIDE), np.arange(SIDE)) % 256], -1).astype(np.uint8))
MASK = Image.fromarray((255 * np.add.outer(np.abs(np.arange(SIDE) - 14) < 9, np.abs(np.arange(SIDE) - 18) < 7)).astype(np.uint8))


@torch.no_grad()
def main(merges):
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    PICTURE.save(OUT / "init.png")
    MASK.save(OUT / "mask.png")
    safety = dict(safety_checker=None, feature_extractor=None, requires_safety_checker=False)

    def base(name, length=77, pad="<|endoftext|>", number=""):
        return tokenizer(OUT / name / f"tokenizer{number}", merges, length, pad)

    def sd(name, net, scheduler, vae=None, words=None, made=StableDiffusionPipeline, **options):
        tokens, count = base(name, **(words or {}))
        encoder = options.pop("encoder", lambda count: text(count, 12))(count)
        return made(vae=vae or kl(), text_encoder=encoder, tokenizer=tokens, unet=net, scheduler=scheduler, **safety)

    def xl(name, net, scheduler):
        (tokens, count), (second, _) = base(name), base(name, pad="!", number="_2")
        return StableDiffusionXLPipeline(
            vae=kl(), text_encoder=text(count, 12), text_encoder_2=text(count, 10, act="gelu", project=6, end=2),
            tokenizer=tokens, tokenizer_2=second, unet=net, scheduler=scheduler, add_watermarker=False)

    xl_net = dict(
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        use_linear_projection=True, transformer_layers_per_block=(1, 2), attention_head_dim=(1, 2),
        addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=6 * 8 + 6)
    tiny = lambda: lively(AutoencoderTiny(encoder_block_out_channels=(8, 8, 8), decoder_block_out_channels=(8, 8, 8), num_encoder_blocks=(1, 1, 1), num_decoder_blocks=(1, 1, 1)), 1.5)
    models = {
        "sd1": lambda n: sd(n, unet(12), PNDMScheduler(**SD, skip_prk_steps=True)),
        "sd2": lambda n: sd(n, unet(12, use_linear_projection=True, attention_head_dim=(1, 2)),
            DDIMScheduler(**SD, clip_sample=False, set_alpha_to_one=False, prediction_type="v_prediction", timestep_spacing="trailing", rescale_betas_zero_snr=True),
            words=dict(pad="!"), encoder=lambda count: text(count, 12, act="gelu", layers=2, end=2)),
        "turbo": lambda n: sd(n, unet(12), EulerAncestralDiscreteScheduler(**SD, timestep_spacing="trailing")),
        "lcm": lambda n: sd(n, unet(12, time_cond_proj_dim=10), LCMScheduler(**{k: v for k, v in SD.items() if k != "steps_offset"})),
        "inpaint": lambda n: sd(n, unet(12, in_channels=9), DDIMScheduler(**SD, clip_sample=False, set_alpha_to_one=False)),
        "taesd": lambda n: sd(n, unet(12), EulerDiscreteScheduler(**SD), vae=tiny()),
        "sdxl": lambda n: xl(n, unet(22, **xl_net), EulerDiscreteScheduler(**SD)),
        "sdxl-v": lambda n: xl(n, unet(22, **xl_net | dict(layers_per_block=2)), DDIMScheduler(**SD, clip_sample=False, prediction_type="v_prediction")),
    }
    plain = dict(prompt="a red cat on the moon", steps=8, guidance=7.5, seed=3)
    all_samplers = [dict(plain, scheduler=name) for name in SAMPLERS]
    kinds = {
        "sd1": all_samplers + [
            plain, dict(plain, negative="blurry, dark", seed=2**33 + 5, rescale=0.7), dict(plain, clip_skip=1, guidance=1.0, steps=3),
            dict(plain, width=48, height=24), dict(plain, prompt="", steps=2),
            dict(plain, init=True, strength=0.6), dict(plain, init=True, strength=0.7, scheduler="dpmpp-sde"), dict(plain, init=True, strength=0.5, scheduler="heun"),
            dict(plain, init=True, mask=True, strength=0.7), dict(plain, init=True, mask=True, strength=1.0, scheduler="euler-a"),
            dict(plain, init=True, mask=True, strength=0.6, scheduler="unipc"), dict(plain, init=True, mask=True, strength=0.8, scheduler="ddpm"),
            dict(plain, negative="dark", clip_skip=2),
            dict(plain, tiled=True, width=64, height=48), dict(plain, tiled=True, width=72, height=64, init=True, mask=True, strength=0.8),
        ],
        "sd2": [plain, dict(plain, scheduler="euler", rescale=0.5), dict(plain, scheduler="dpmpp-2m-karras"), dict(plain, scheduler="unipc")],
        "turbo": [dict(plain, steps=1, guidance=0.0), dict(plain, steps=4, guidance=0.0), dict(plain, steps=4, guidance=0.0, init=True, strength=0.5)],
        "lcm": [dict(plain, steps=4, guidance=8.5), dict(plain, steps=2, guidance=1.0, init=True, strength=0.6)],
        "inpaint": [dict(plain, init=True, mask=True, strength=1.0), dict(plain, init=True, mask=True, strength=0.7, scheduler="euler-a")],
        "taesd": [plain, dict(plain, init=True, strength=0.6)],
        "sdxl": all_samplers + [plain, dict(plain, negative="blurry", clip_skip=1), dict(plain, init=True, strength=0.6), dict(plain, init=True, mask=True, strength=0.7)],
        "sdxl-v": [plain, dict(plain, rescale=0.7, guidance=5.0, width=40)],
    }
    for name, make in models.items():
        folder = OUT / name
        pipe = make(name)
        pipe.set_progress_bar_config(disable=True)
        for part in [pipe.unet, pipe.vae, pipe.text_encoder, getattr(pipe, "text_encoder_2", None)]:
            part is not None and part.half()
        shards = dict(max_shard_size="30KB") if name == "sdxl-v" else dict(variant="fp16") if name == "sdxl" else {}
        pipe.save_pretrained(folder, safe_serialization=True, **shards)
        for extra in folder.glob("tokenizer*/tokenizer.json"):
            extra.unlink()
        base(name, pad="!" if name == "sd2" else "<|endoftext|>")
        if (folder / "tokenizer_2").exists():
            base(name, pad="!", number="_2")
        pipe.to(torch.float32)
        # diffusers asks for an attribute that transformers 5 has no more
        object.__setattr__(pipe.text_encoder, "text_model", pipe.text_encoder)
        is_xl = name.startswith("sdxl")
        stored = pipe.scheduler
        for number, case in enumerate(kinds[name]):
            options = dict(
                prompt=case["prompt"], negative_prompt=case.get("negative"), num_inference_steps=case["steps"],
                guidance_scale=case["guidance"], generator=torch.Generator("cpu").manual_seed(case["seed"]), clip_skip=case.get("clip_skip"))
            if "rescale" in case:
                options["guidance_rescale"] = case["rescale"]
            made = StableDiffusionXLPipeline if is_xl else StableDiffusionPipeline
            if case.get("init"):
                options |= dict(image=PICTURE, strength=case["strength"])
                made = StableDiffusionXLImg2ImgPipeline if is_xl else StableDiffusionImg2ImgPipeline
                if case.get("mask"):
                    options |= dict(mask_image=MASK)
                    made = StableDiffusionXLInpaintPipeline if is_xl else StableDiffusionInpaintPipeline
            if not case.get("init") or case.get("mask"):
                options |= dict(width=case.get("width", SIDE), height=case.get("height", SIDE))
            parts = {key: value for key, value in pipe.components.items() if key != "image_encoder"}
            used = made(**parts) if is_xl else made(**parts | dict(requires_safety_checker=False))
            used.set_progress_bar_config(disable=True)
            if "scheduler" in case:
                kind, more = SAMPLERS[case["scheduler"]]
                # as someone would who has the file before them
                config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
                used.scheduler = getattr(diffusers, kind).from_config({k: v for k, v in config.items() if not k.startswith("_")}, **more)
            else:
                used.scheduler = type(stored).from_config(stored.config)
            if case.get("init") and "width" in case:
                large = (case["width"], case["height"])
                options |= dict(image=PICTURE.resize(large, Image.NEAREST), mask_image=MASK.resize(large, Image.NEAREST))
                options["image"].save(folder / f"{number}-init.png")
                options["mask_image"].save(folder / f"{number}-mask.png")
            if case.get("tiled"):
                used.vae.enable_tiling()
            picture = used(**options).images[0]
            if case.get("tiled"):
                used.vae.disable_tiling()
            picture.save(folder / f"{number}.png")
            values = np.asarray(picture).astype(float)
            assert values.std() > 12, (name, number, values.std())
        (folder / "cases.json").write_text(json.dumps(kinds[name], indent=1) + "\n")
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(name, len(kinds[name]), "pictures,", size, "bytes", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
