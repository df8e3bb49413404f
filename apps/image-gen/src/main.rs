//! Pictures from words: parse, find the model, draw, write.

mod cli;
mod commands;

use ::cli::Exit;

use crate::cli::{Cli, Verb};

/// The built-in model: the files of its folder.
const EMBEDDED: Option<hub::Embedded> = if cfg!(feature = "embedded") { Some(embedded::FILES) } else { None };

mod embedded {
    #[cfg(feature = "embedded")]
    macro_rules! file {
        ($name:literal) => {
            ($name, include_bytes!(concat!("../../../shared/models/image-gen/", $name)) as &[u8])
        };
    }

    /// Licence and card travel with the weights.
    #[cfg(feature = "embedded")]
    pub const FILES: hub::Embedded = &[
        file!("model_index.json"),
        file!("scheduler/scheduler_config.json"),
        file!("text_encoder/config.json"),
        file!("text_encoder/model.safetensors"),
        file!("tokenizer/vocab.json"),
        file!("tokenizer/merges.txt"),
        file!("tokenizer/tokenizer_config.json"),
        file!("tokenizer/special_tokens_map.json"),
        file!("unet/config.json"),
        file!("unet/diffusion_pytorch_model.safetensors"),
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
