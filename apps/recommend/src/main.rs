//! What comes next for somebody: parse, find the model, recommend, write.

mod cli;
mod commands;

use ::cli::Exit;

use crate::cli::{Cli, Verb};

/// The built-in model: the files of its folder, with licence and card.
const EMBEDDED: Option<hub::Embedded> = hub::embedded!(
    "../../../shared/models/recommend/":
    "config.json",
    "items.csv",
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
        None => commands::recommend::run(&cli.recommend),
        Some(Verb::Train(train)) => commands::train::run(&train),
        Some(Verb::Evaluate(evaluate)) => commands::evaluate::run(&evaluate),
        Some(Verb::Compare(compare)) => commands::compare::run(&compare),
        Some(Verb::Models(models)) => models.run("recommend", EMBEDDED, commands::WANTS).map(Exit::from),
        Some(Verb::Completions(completions)) => completions.run::<Cli>().map(Exit::from),
        Some(Verb::Man(man)) => man.run::<Cli>().map(Exit::from),
    }
}
