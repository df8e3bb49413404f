//! Text read aloud: parse, find the voice, speak, write.

mod cli;
mod commands;

use ::cli::Exit;

use crate::cli::{Cli, Verb};

/// The built-in voice: the files of its folder.
const EMBEDDED: Option<hub::Embedded> = if cfg!(feature = "embedded") { Some(embedded::FILES) } else { None };

mod embedded {
    #[cfg(feature = "embedded")]
    macro_rules! file {
        ($name:literal) => {
            ($name, include_bytes!(concat!("../../../shared/models/speech-synth/", $name)) as &[u8])
        };
    }

    /// Licence and card travel with the weights, what spells English with the voice.
    #[cfg(feature = "embedded")]
    pub const FILES: hub::Embedded = &[
        file!("config.json"),
        file!("model.safetensors"),
        file!("README.md"),
        file!("LICENSE"),
        file!("g2p/words.bin"),
        file!("g2p/config.json"),
        file!("g2p/model.safetensors"),
        file!("g2p/README.md"),
        file!("g2p/LICENSE"),
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
        None => commands::speak::run(&cli.speak),
        Some(Verb::Train(train)) => commands::train::run(&train),
        Some(Verb::Evaluate(evaluate)) => commands::evaluate::run(&evaluate),
        Some(Verb::Status(status)) => status.run(),
        Some(Verb::Models(models)) => models.run("speech-synth", EMBEDDED, commands::WANTS).map(Exit::from),
        Some(Verb::Completions(completions)) => completions.run::<Cli>().map(Exit::from),
        Some(Verb::Man(man)) => man.run::<Cli>().map(Exit::from),
    }
}
