//! Pictures from words: parse, find the model, draw, write.

mod cli;
mod commands;

use ::cli::Exit;

use crate::cli::{Cli, Verb};

/// The built-in model: the files of its folder, with licence and card.
const EMBEDDED: Option<hub::Embedded> = hub::embedded!(
    "../../../shared/models/image-gen/":
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "tokenizer/tokenizer_config.json",
    "tokenizer/special_tokens_map.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "README.md",
    "LICENSE",
);

fn main() -> std::process::ExitCode {
    ::cli::start();
    ::cli::report(run(::cli::parse()))
}

fn run(cli: Cli) -> anyhow::Result<Exit> {
    match cli.verb {
        None => commands::generate::run(&cli.generate),
        Some(Verb::Show(show)) => commands::show::run(&show),
        Some(Verb::Again(again)) => commands::again::run(&again),
        Some(Verb::Train(train)) => commands::train::run(&train),
        Some(Verb::Evaluate(evaluate)) => commands::evaluate::run(&evaluate),
        Some(Verb::Status(status)) => status.run(),
        Some(Verb::Models(models)) => models.run("image-gen", EMBEDDED, commands::WANTS).map(Exit::from),
        Some(Verb::Completions(completions)) => completions.run::<Cli>().map(Exit::from),
        Some(Verb::Man(man)) => man.run::<Cli>().map(Exit::from),
    }
}
