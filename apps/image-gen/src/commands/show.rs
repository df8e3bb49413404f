//! `image-gen show`: how a picture was made.

use anyhow::{Context, Result};
use cli::{Exit, print_json, print_line};
use image_gen::recipe::{Recipe, told};

use crate::cli::Show;

/// Says what each file says of itself.
pub fn run(args: &Show) -> Result<Exit> {
    for (number, path) in args.files.iter().enumerate() {
        let name = || path.display().to_string();
        let bytes = std::fs::read(path).with_context(name)?;
        if args.talk.json {
            print_json(&Recipe::read(&bytes).with_context(name)?)?;
            continue;
        }
        let text = told(&bytes).with_context(name)?;
        if args.files.len() > 1 {
            print_line(format!("{}{}:", if number > 0 { "\n" } else { "" }, path.display()))?;
        }
        for line in text.lines() {
            print_line(cli::one_line(line))?;
        }
    }
    Ok(Exit::Done)
}
