//! Music as MIDI, as sound and as a picture: parse, find the model, compose or play, write.

mod cli;
mod commands;

use ::cli::Exit;

use crate::cli::{Cli, Verb};

/// The built-in model: the files of its folder, with licence and card.
const EMBEDDED: Option<hub::Embedded> = hub::embedded!(
    "../../../shared/models/music-gen/":
    "config.json",
    "music.json",
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
        None => commands::run(&cli.compose),
        Some(Verb::Train(train)) => commands::train::run(&train),
        Some(Verb::Evaluate(evaluate)) => commands::evaluate::run(&evaluate),
        Some(Verb::Codes(codes)) => commands::codes::run(&codes),
        Some(Verb::Status(status)) => status.run(),
        Some(Verb::Models(models)) => models.run("music-gen", EMBEDDED, commands::WANTS).map(Exit::from),
        Some(Verb::Completions(completions)) => completions.run::<Cli>().map(Exit::from),
        Some(Verb::Man(man)) => man.run::<Cli>().map(Exit::from),
    }
}
