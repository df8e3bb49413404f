//! What `torch.save` wrote, as safetensors: parse, open, write.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use candle_core::DType;
use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use cli::{CompletionsCommand, ManCommand};
use models::checkpoint::{Checkpoint, Files, save_weights};
use serde_json::json;

/// Converts a checkpoint of PyTorch to safetensors; its pickle is read for tensors alone, and nothing in it is executed
#[derive(Parser)]
#[command(name = "convert-checkpoint", version)]
#[command(subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// A file that torch.save wrote (.bin, .pt, .pth, .ckpt), or a folder with pytorch_model.bin or its index
    #[arg(required = true)]
    input: Option<PathBuf>,
    /// The file to write [default: the input's name with .safetensors, in a folder model.safetensors]
    output: Option<PathBuf>,
    /// Convert floats to this; whole numbers and flags stay as they are
    #[arg(long, value_name = "FORMAT", value_parser = PossibleValuesParser::new(["f32", "f16", "bf16"]))]
    dtype: Option<String>,
    /// Print name, number format and sizes of each tensor, and write nothing
    #[arg(long, conflicts_with_all = ["output", "dtype"])]
    list: bool,
    /// Print JSON instead of lines for people
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum Verb {
    /// Print a completion script for a shell
    Completions(CompletionsCommand),
    /// Print the manual page
    Man(ManCommand),
}

fn main() -> ExitCode {
    cli::start();
    cli::report(run(&cli::parse()))
}

fn run(args: &Args) -> Result<()> {
    match (&args.verb, &args.input) {
        (Some(Verb::Completions(completions)), _) => completions.run::<Args>(),
        (Some(Verb::Man(man)), _) => man.run::<Args>(),
        (None, Some(input)) => convert(args, input),
        (None, None) => Ok(()),
    }
}

fn convert(args: &Args, input: &Path) -> Result<()> {
    let folder = input.is_dir();
    let checkpoint =
        if folder { Checkpoint::open(Files::Dir(input.into()))? } else { Checkpoint::open_file(input)? };
    if args.list {
        return list(&checkpoint, args.json);
    }
    let output = args.output.clone().unwrap_or_else(|| match folder {
        true => input.join("model.safetensors"),
        false => input.with_extension("safetensors"),
    });
    check(&output)?;
    let dtype = args.dtype.as_deref().map(|name| match name {
        "f16" => DType::F16,
        "bf16" => DType::BF16,
        _ => DType::F32,
    });
    save_weights(&output, &checkpoint, dtype)?;
    match args.json {
        true => cli::print_json(&json!({
            "outputs": [output],
            "tensors": checkpoint.tensors().count(),
            "bytes": output.metadata()?.len(),
        })),
        false => cli::print_path(&output),
    }
}

/// What is there already may be the checkpoint itself, and is nobody's to lose.
fn check(output: &Path) -> Result<()> {
    if output.extension().is_none_or(|extension| extension != "safetensors") {
        return Err(cli::usage(format!("{}: its name must end in .safetensors", output.display())));
    }
    if output.exists() {
        bail!("{}: is there already; name another file, or remove it", output.display());
    }
    Ok(())
}

fn list(checkpoint: &Checkpoint, json: bool) -> Result<()> {
    for (name, stored) in checkpoint.tensors() {
        if json {
            cli::print_json(&json!({ "name": name, "dtype": stored.dtype, "shape": stored.shape }))?;
        } else {
            cli::print_line(format!("{}\t{}\t{:?}", cli::one_line(name), stored.dtype, stored.shape))?;
        }
    }
    Ok(())
}
