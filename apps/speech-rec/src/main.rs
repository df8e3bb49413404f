//! Speech as text with times: parse, find the model, listen, write.

mod cli;
mod commands;
mod output;

use ::cli::Exit;

use crate::cli::{Cli, Verb};

/// The built-in model: the files of its folder.
const EMBEDDED: Option<hub::Embedded> = if cfg!(feature = "embedded") { Some(embedded::FILES) } else { None };

mod embedded {
    #[cfg(feature = "embedded")]
    macro_rules! file {
        ($name:literal) => {
            ($name, include_bytes!(concat!("../../../shared/models/speech-rec/", $name)) as &[u8])
        };
    }

    /// Licence and card travel with the weights.
    #[cfg(feature = "embedded")]
    pub const FILES: hub::Embedded = &[
        file!("config.json"),
        file!("generation_config.json"),
        file!("preprocessor_config.json"),
        file!("tokenizer.json"),
        file!("tokenizer_config.json"),
        file!("model.safetensors"),
        file!("README.md"),
        file!("LICENSE"),
    ];
    #[cfg(not(feature = "embedded"))]
    pub const FILES: hub::Embedded = &[];
}

fn main() -> std::process::ExitCode {
    ::cli::start();
    ::cli::report(run(::cli::parse()))
}

fn run(cli: Cli) -> anyhow::Result<Exit> {
    match cli.verb {
        None => commands::transcribe::run(&cli.transcribe),
        Some(Verb::Train(train)) => commands::train::run(&train),
        Some(Verb::Score(score)) => commands::score::run(&score),
        Some(Verb::Status(status)) => status.run(),
        Some(Verb::Models(models)) => models.run("speech-rec", EMBEDDED, commands::WANTS).map(Exit::from),
        Some(Verb::Completions(completions)) => completions.run::<Cli>().map(Exit::from),
        Some(Verb::Man(man)) => man.run::<Cli>().map(Exit::from),
    }
}
