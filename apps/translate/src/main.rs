//! Text and documents in another language: parse, find the model, translate, write.

mod cli;
mod commands;

use ::cli::Exit;

use crate::cli::{Cli, Verb};

/// The built-in model: the files of its folder, with licence and card.
const EMBEDDED: Option<hub::Embedded> = hub::embedded!(
    "../../../shared/models/translate/":
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "model.safetensors",
    "README.md",
    "LICENSE",
);

fn main() -> std::process::ExitCode {
    ::cli::start();
    ::cli::report(run(::cli::parse()))
}

fn run(cli: Cli) -> anyhow::Result<Exit> {
    match cli.verb {
        None => commands::translate::run(&cli.translate),
        Some(Verb::Train(train)) => commands::train::run(&train),
        Some(Verb::Score(score)) => commands::score::run(&score),
        Some(Verb::Status(status)) => status.run(),
        Some(Verb::Models(models)) => models.run("translate", EMBEDDED, commands::WANTS).map(Exit::from),
        Some(Verb::Completions(completions)) => completions.run::<Cli>().map(Exit::from),
        Some(Verb::Man(man)) => man.run::<Cli>().map(Exit::from),
    }
}
