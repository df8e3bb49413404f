//! `image-gen again`: a picture once more, from what it says of itself.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use cli::{Device, Dtype, Exit, ModelArgs, Progress, Target, print_path};
use image_gen::recipe::Recipe;
use media::image_file::Format;

use super::studio::Studio;
use crate::cli::Again;

/// Makes it and writes it.
pub fn run(args: &Again) -> Result<Exit> {
    args.compute.apply()?;
    let name = || args.file.display().to_string();
    let recipe = Recipe::read(&std::fs::read(&args.file).with_context(name)?).with_context(name)?;
    let path = place(args)?;
    if path.exists() && !args.output.force {
        bail!("{}: exists; --force overwrites it", path.display());
    }
    let format = path.extension().and_then(|end| Format::of_extension(&end.to_string_lossy()));
    let format =
        format.ok_or_else(|| anyhow!("{}: the extension must be .png, .jpg or .webp", path.display()))?;
    let progress = Progress::new(&args.output.talk);
    let mut compute = args.compute.clone();
    if compute.dtype == Dtype::Auto {
        compute.dtype = recipe.dtype.parse().map_err(|why| anyhow!("{}: dtype: {why}", name()))?;
    }
    let model = match &recipe.revision {
        Some(revision) if !recipe.model.contains('@') => format!("{}@{revision}", recipe.model),
        _ => recipe.model.clone(),
    };
    let asked = ModelArgs { model, offline: args.offline };
    let studio = Studio::open(&asked, recipe.vae.as_deref(), &compute, &progress)?;
    if studio.weights != recipe.weights {
        bail!("{}: it was made with other weights than {} has now", name(), recipe.model);
    }
    if compute.device != Device::Auto && compute.device != Device::Cpu {
        progress.detail("another device than a processor rounds in another way");
    }
    let drawn = studio.draw(&recipe, false)?;
    batch::write_bytes(&path, &recipe.file(&drawn.picture, format, true)?, args.output.force)?;
    print_path(&path)?;
    Ok(Exit::Done)
}

/// `-o`, or the file's name with `-again`.
fn place(args: &Again) -> Result<PathBuf> {
    let stem = args.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let named = |folder: &Path| {
        let numbers = std::iter::once(String::new()).chain((2u32..).map(|number| format!("-{number}")));
        let mut names = numbers.map(|number| folder.join(format!("{stem}-again{number}.png")));
        names.find(|path| args.output.force || !path.exists()).unwrap_or_default()
    };
    Ok(match args.output.target() {
        Target::Default => named(args.file.parent().unwrap_or(Path::new(""))),
        Target::Folder(folder) => named(&folder),
        Target::File(path) => path,
        Target::Stdout => return Err(cli::usage("-o -: name a file")),
    })
}
