//! `music-gen codes FILE`: the codes that a sound becomes; `--from-codes`: codes as sound.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use batch::FileSet;
use cli::{Exit, OutputArgs, Progress, Timings, print_bytes, print_json, print_line, print_path, usage};
use hub::{Resolved, Want};
use models::nets::musicgen::Codec;
use music_gen::finish::Finish;
use music_gen::player::{load_codec, sound};
use music_gen::sound::Audio;
use music_gen::{Kind, sonogram};
use serde::Serialize;

use super::given;
use super::places::{Places, Plan, path_of};
use crate::cli::{Codes, ComposeArgs};

/// What a repository must hold to have a codec: one of its own, or a MusicGen.
pub const WANTS: &[Want<'static>] = &[
    Want::required(&["config.json"]),
    studio::model::WEIGHTS,
    studio::model::SHARDS,
    Want::optional(&["README.md"]),
    Want::optional(&["LICENSE*"]),
];

/// One line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    model: &'a str,
    revision: Option<&'a str>,
    file: String,
    sample_rate: u32,
    channels: usize,
    samples: usize,
    seconds: f64,
    codes: &'a [Vec<u32>],
    timings: Timings,
}

/// One line of `--json` for codes that were made heard.
#[derive(Serialize)]
struct Heard<'a> {
    model: &'a str,
    revision: Option<&'a str>,
    from_codes: String,
    outputs: Vec<String>,
    sample_rate: u32,
    channels: u16,
    samples: usize,
    seconds: f64,
    timings: Timings,
}

/// Prints the codes of a sound, or makes codes heard.
pub fn run(args: &Codes) -> Result<Exit> {
    args.compute.apply()?;
    if args.model.model == "embedded" {
        return Err(usage(
            "the built-in model writes notes and has no codec: use --model facebook/musicgen-small or \
             facebook/encodec_24khz",
        ));
    }
    let progress = Progress::new(&args.output.talk);
    let find = || args.model.resolve(crate::EMBEDDED, WANTS, &progress);
    if let Some(from) = &args.from_codes {
        super::places::refuse_existing(&args.output)?;
        let hearing = Hearing { from, output: &args.output, finish: args.finish.finish(), picture: false };
        return hearing.run(&find()?, &args.compute.device.to_string(), &progress);
    }
    let finish = &args.finish;
    if args.output.output.is_some() || finish.bits.is_some() || finish.lufs.is_some() || finish.fade.is_some()
    {
        return Err(usage("codes are printed: -o, --bits, --lufs and --fade are for --from-codes"));
    }
    let Some(file) = &args.file else { return Err(usage("codes of which FILE?")) };
    let found = find()?;
    let began = Instant::now();
    let codec = open(&found, &args.compute.device.to_string(), &progress)?;
    if let Some(asked) = args.bandwidth {
        codec.config().codebooks_at(Some(asked)).map_err(|why| usage(format!("--bandwidth: {why}")))?;
    }
    let load_s = began.elapsed().as_secs_f64();
    let rate = codec.config().sampling_rate as u32;
    let heard = given::sound(file, rate, codec.channels())?;
    let samples = heard[0].len();
    let began = Instant::now();
    let spinner = progress.spinner("listening");
    let codes = codec.encode(&heard, args.bandwidth).with_context(|| file.display().to_string());
    spinner.finish();
    let codes = codes?;
    let generate_s = began.elapsed().as_secs_f64();
    let seconds = samples as f64 / f64::from(rate);
    if args.output.talk.json {
        print_json(&Line {
            model: &found.name,
            revision: found.revision.as_deref(),
            file: file.display().to_string(),
            sample_rate: rate,
            channels: codec.channels(),
            samples,
            seconds,
            codes: &codes,
            timings: Timings { load_s, generate_s, ..Timings::default() },
        })?;
        return Ok(Exit::Done);
    }
    progress.status(format!("{} rows of {} codes for {seconds:.2} s", codes.len(), codes[0].len()));
    for row in &codes {
        print_line(row.iter().map(u32::to_string).collect::<Vec<_>>().join(" "))?;
    }
    Ok(Exit::Done)
}

/// `music-gen --from-codes`: the same beside the other ways to a sound.
pub fn hear_codes(args: &ComposeArgs, found: &Resolved, progress: &Progress) -> Result<Exit> {
    let Some(from) = &args.playing.from_codes else { return Err(usage("codes of which file?")) };
    let picture = args.playing.picture;
    let hearing = Hearing { from, output: &args.output, finish: args.finish.finish(), picture };
    hearing.run(found, &args.compute.device.to_string(), progress)
}

fn open(found: &Resolved, device: &str, progress: &Progress) -> Result<Codec> {
    studio::model::load_found(found, progress, |place| load_codec(place, device))
}

/// Codes that are to be heard.
struct Hearing<'a> {
    from: &'a Path,
    output: &'a OutputArgs,
    finish: Finish,
    picture: bool,
}

impl Hearing<'_> {
    fn run(&self, found: &Resolved, device: &str, progress: &Progress) -> Result<Exit> {
        let usual = usual(self.picture);
        let (possible, also) = (&Kind::OF_SOUND, self.picture.then_some(Kind::Png));
        let plan = Plan { output: self.output, count: 1, files: 1, possible, usual, also };
        let places = plan.places(Some(self.finish.bits))?;
        let codes = given::codes(self.from)?;
        let began = Instant::now();
        let codec = open(found, device, progress)?;
        let load_s = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let bar = progress.bar(codes[0].len() as u64, "decoding");
        let audio = sound(&codec, &codes, &mut |frames| bar.set(frames as u64));
        bar.finish();
        let audio = audio.with_context(|| self.from.display().to_string())?;
        let generate_s = began.elapsed().as_secs_f64();
        let (rate, channels, seconds) = (audio.rate, audio.channels, audio.seconds());
        let samples = audio.samples.len() / usize::from(channels);
        let (base, kinds) = match places {
            Places::Stdout => {
                print_bytes(&self.finish.bytes(audio, Kind::Wav)?)?;
                return Ok(Exit::Done);
            }
            Places::Files(bases, kinds) => (bases[0].clone(), kinds),
            Places::Folder(folder) => {
                let stem = self.from.file_stem().filter(|stem| *stem != "-");
                (folder.join(stem.unwrap_or("music".as_ref())), usual.to_vec())
            }
        };
        let written = write(audio, &base, &kinds, &self.finish, self.output.force)?;
        if !self.output.talk.json {
            progress.status(format!("{seconds:.2} s"));
            written.iter().try_for_each(print_path)?;
            return Ok(Exit::Done);
        }
        print_json(&Heard {
            model: &found.name,
            revision: found.revision.as_deref(),
            from_codes: self.from.display().to_string(),
            outputs: written.iter().map(|path| path.display().to_string()).collect(),
            sample_rate: rate,
            channels,
            samples,
            seconds,
            timings: Timings { load_s, generate_s, ..Timings::default() },
        })?;
        Ok(Exit::Done)
    }
}

/// The kinds of file that are written of a sound where nobody says.
pub fn usual(picture: bool) -> &'static [Kind] {
    if picture { &[Kind::Wav, Kind::Png] } else { &[Kind::Wav] }
}

/// Writes a sound as one set: all appear, or none.
pub fn write(
    mut audio: Audio,
    base: &Path,
    kinds: &[Kind],
    finish: &Finish,
    force: bool,
) -> Result<Vec<std::path::PathBuf>> {
    finish.apply(&mut audio);
    let mut set = FileSet::new(force);
    for kind in kinds {
        let bytes = match kind {
            Kind::Png => sonogram::draw(&audio).to_png().context("the picture cannot be drawn")?,
            kind => finish.encode(&audio, *kind)?,
        };
        set.add(path_of(base, *kind), |writer| std::io::Write::write_all(writer, &bytes))?;
    }
    Ok(set.commit()?.into_iter().map(|(path, _)| path).collect())
}
