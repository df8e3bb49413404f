//! Text that goes on: parse, find the model, generate, write.

mod cli;
mod commands;

use ::cli::Exit;

use crate::cli::{Cli, Verb};

/// The built-in model: the files of its folder, with licence and card.
const EMBEDDED: Option<hub::Embedded> = hub::embedded!(
    "../../../shared/models/text-gen/":
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
        None if cli.generate.chat => commands::chat::run(&cli.generate),
        None => commands::generate::run(&cli.generate),
        Some(Verb::Train(train)) => commands::train::run(&train),
        Some(Verb::Score(score)) => commands::score::run(&score),
        Some(Verb::Evaluate(evaluate)) => commands::evaluate::run(&evaluate),
        Some(Verb::Status(status)) => status.run(),
        Some(Verb::Models(models)) => models.run("text-gen", EMBEDDED, commands::WANTS).map(Exit::from),
        Some(Verb::Completions(completions)) => completions.run::<Cli>().map(Exit::from),
        Some(Verb::Man(man)) => man.run::<Cli>().map(Exit::from),
    }
}
