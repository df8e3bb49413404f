//! What each verb does at the terminal.

pub mod again;
pub mod evaluate;
pub mod generate;
mod preview;
pub mod show;
mod studio;
pub mod train;

use hub::Want;

/// What a repository must hold to be a model of this app.
pub const WANTS: &[Want<'static>] = &[
    Want::required(&["model_index.json"]),
    Want::required(&["scheduler/scheduler_config.json"]),
    Want::required(&["unet/config.json"]),
    Want::required(&[
        "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model-*-of-*.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.fp16-*-of-*.safetensors",
        "unet/diffusion_pytorch_model.bin",
    ]),
    Want::required(&["text_encoder/config.json"]),
    Want::required(&[
        "text_encoder/model.safetensors",
        "text_encoder/model-*-of-*.safetensors",
        "text_encoder/model.fp16.safetensors",
        "text_encoder/model.fp16-*-of-*.safetensors",
        "text_encoder/pytorch_model.bin",
    ]),
    Want::required(&["tokenizer/*.*"]),
    Want::optional(&["unet/*.index*.json"]),
    Want::optional(&["text_encoder/*.index*.json"]),
    Want::optional(&["text_encoder_2/config.json"]),
    Want::optional(&[
        "text_encoder_2/model.safetensors",
        "text_encoder_2/model-*-of-*.safetensors",
        "text_encoder_2/model.fp16.safetensors",
        "text_encoder_2/model.fp16-*-of-*.safetensors",
        "text_encoder_2/pytorch_model.bin",
    ]),
    Want::optional(&["text_encoder_2/*.index*.json"]),
    Want::optional(&["tokenizer_2/*.*"]),
    Want::optional(&["vae/config.json"]),
    Want::optional(&[
        "vae/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model-*-of-*.safetensors",
        "vae/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.bin",
    ]),
    Want::optional(&["README.md"]),
    Want::optional(&["LICENSE*"]),
];

/// What a repository must hold to stand in for an autoencoder: one alone, or a whole model.
pub const VAE_WANTS: &[Want<'static>] = &[
    Want::required(&["config.json", "vae/config.json"]),
    Want::required(&[
        "diffusion_pytorch_model.safetensors",
        "diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.fp16.safetensors",
        "diffusion_pytorch_model.bin",
        "vae/diffusion_pytorch_model.bin",
    ]),
];
