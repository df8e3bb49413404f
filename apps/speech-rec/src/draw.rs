//! What a net is shown: windows of sound made of clips, and the ids that it should say.

use anyhow::{Context, Result, anyhow, bail};
use models::features::log_mel::LogMel;
use models::layers::loss::IGNORED;
use training::Rng;

use crate::augment::{level, noise, pace, surroundings, tones};
use crate::corpus::Clip;
use crate::sound::{HOP, RATE};
use crate::vocabulary::{TICK, Vocabulary};

/// A window.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Log-mel (bands, frames).
    pub mel: Vec<f32>,
    /// What the decoder is given.
    pub ids: Vec<u32>,
    /// What it should say after each; `IGNORED` where that is given.
    pub targets: Vec<u32>,
    /// The words alone.
    pub labels: Vec<u32>,
}

/// Makes windows of clips.
pub struct Drawer<'a> {
    /// What ids mean.
    pub vocabulary: &'a Vocabulary,
    /// The token of the language, where the vocabulary has such.
    pub language: Option<u32>,
    /// Frames of a window.
    pub frames: usize,
    /// Ids that the decoder takes.
    pub positions: usize,
    /// Values of a frame.
    pub bands: usize,
    /// Share of the windows that sound as if they came from another room, by a telephone, amid noise.
    pub changed: f64,
    /// The transform.
    pub mel: LogMel,
}

/// A segment of a window, by samples.
struct Said {
    start: usize,
    /// None where the window ends before it does.
    end: Option<usize>,
    text: Vec<u32>,
}

/// A clip counts as a word that is said in a row with others if it is shorter than this, in seconds.
const SHORT: f64 = 1.2;
/// Windows that are drawn again if their text is too long.
const TRIES: usize = 8;

impl Drawer<'_> {
    /// A window for a generator: of several clips, one, or none, with what may have been around them.
    ///
    /// # Errors
    /// Clips that cannot be read any more, or whose text has no room.
    pub fn draw(&self, clips: &[Clip], lists: &[Vec<usize>], rng: &mut Rng) -> Result<Window> {
        for _ in 0..TRIES {
            let (nobody, changed) = (rng.uniform() < 0.06, rng.uniform() < self.changed);
            let (mut sound, said) =
                if nobody { (Vec::new(), Vec::new()) } else { self.speech(clips, lists, rng)? };
            if nobody {
                sound = self.nobody(rng);
            } else {
                if rng.uniform() < 0.5 {
                    sound.resize(self.frames * HOP, 0.);
                }
                if changed {
                    surroundings(&mut sound, rng);
                }
            }
            let times = rng.uniform() < 0.7;
            let earlier = match rng.uniform() < 0.25 {
                true => self.text(&clips[rng.below(clips.len())].text)?,
                false => Vec::new(),
            };
            let Some(mut window) = self.window(&sound, &said, times, &earlier)? else { continue };
            if changed {
                hide(&mut window.mel, self.frames, rng);
            }
            return Ok(window);
        }
        bail!("the words of the clips have more tokens than the {} that the net takes", self.positions)
    }

    /// A clip as it is, from the beginning of a window on.
    ///
    /// # Errors
    /// As `draw`.
    pub fn plain(&self, clip: &Clip) -> Result<Window> {
        let mut sound = clip.samples().map_err(|why| anyhow!(why))?;
        sound.truncate(self.frames * HOP);
        let said = Said { start: 0, end: Some(sound.len()), text: self.text(&clip.text)? };
        let window = self.window(&sound, &[said], true, &[])?;
        window.with_context(|| format!("{}: its text is too long", clip.path.display()))
    }

    fn text(&self, text: &str) -> Result<Vec<u32>> {
        self.vocabulary.encode(&format!(" {text}"))
    }

    /// Clips one after the other, with pauses; the last one may be cut off by the end.
    fn speech(&self, clips: &[Clip], lists: &[Vec<usize>], rng: &mut Rng) -> Result<(Vec<f32>, Vec<Said>)> {
        let size = self.frames * HOP;
        let (fills, late) = (rng.uniform() < 0.6, rng.uniform() < 0.1);
        let mut sound = vec![0.; samples(rng.uniform() * if late { 3. } else { 0.5 })];
        let (mut said, mut ends) = (Vec::new(), false);
        while !ends {
            let (mut start, mut end, mut text) = (sound.len(), None, Vec::new());
            for place in self.run(clips, lists, rng) {
                let mut spoken = spoken(&clips[place], self.frames * HOP, rng)?;
                if said.is_empty() && end.is_none() && sound.len() + spoken.len() > size {
                    sound.clear();
                    start = 0;
                }
                let room = size - sound.len();
                if spoken.len() > room {
                    ends = true;
                    if end.is_none() && rng.uniform() < 0.5 && room > samples(0.2) {
                        spoken.truncate(room);
                        sound.extend(spoken);
                        said.push(Said { start, end: None, text: Vec::new() });
                    }
                    break;
                }
                sound.extend(spoken);
                text.extend(self.text(&clips[place].text)?);
                end = Some(sound.len());
                let pause = samples(rng.uniform() * 0.45).min(size - sound.len());
                sound.resize(sound.len() + pause, 0.);
            }
            if end.is_some() {
                said.push(Said { start, end, text });
            }
            let pause = samples(0.1 + rng.uniform() * if rng.uniform() < 0.1 { 2.5 } else { 0.8 });
            ends |= !fills || sound.len() + pause + samples(0.3) > size;
            if !ends {
                sound.resize(sound.len() + pause, 0.);
            }
        }
        Ok((sound, said))
    }

    /// The places of clips that make one segment: one, or some short ones of the same list.
    fn run(&self, clips: &[Clip], lists: &[Vec<usize>], rng: &mut Rng) -> Vec<usize> {
        let first = rng.below(clips.len());
        let mut run = vec![first];
        if clips[first].seconds < SHORT && rng.uniform() < 0.9 {
            let list = &lists[clips[first].list];
            let most = 1 + rng.below(9);
            for _ in 0..rng.below(most) {
                let next = list[rng.below(list.len())];
                if clips[next].seconds < SHORT {
                    run.push(next);
                }
            }
        }
        run
    }

    /// A window in which nobody speaks: silence, noise, tones, or both.
    fn nobody(&self, rng: &mut Rng) -> Vec<f32> {
        let count = samples(0.3 + rng.uniform() * 40.).min(self.frames * HOP);
        let mut sound = match rng.below(4) {
            0 => return vec![0.; count],
            1 => noise(count, rng),
            2 => tones(count, rng),
            _ => {
                let share = rng.uniform() as f32;
                let (noise, tones) = (noise(count, rng), tones(count, rng));
                noise.iter().zip(&tones).map(|(a, b)| share * a + (1. - share) * b).collect()
            }
        };
        let gain = 10f32.powf((-70. + 60. * rng.uniform()) as f32 / 20.);
        sound.iter_mut().for_each(|x| *x = (*x * gain).clamp(-1., 1.));
        sound
    }

    /// Sound and words as numbers; nothing where there are too many.
    fn window(&self, sound: &[f32], said: &[Said], times: bool, earlier: &[u32]) -> Result<Option<Window>> {
        let vocabulary = self.vocabulary;
        let labels: Vec<u32> = said.iter().flat_map(|said| &said.text).copied().collect();
        let mut body = Vec::new();
        let tick = |sample: usize| {
            let most = self.frames / 2;
            vocabulary.zero + ((sample as f64 / f64::from(RATE) / TICK).round() as u32).min(most as u32)
        };
        if times {
            for said in said {
                body.push(tick(said.start));
                body.extend(&said.text);
                body.extend(said.end.map(tick));
            }
            if said.is_empty() {
                body.push(vocabulary.zero);
            }
        } else {
            body.extend(&labels);
        }
        body.push(vocabulary.end);
        let mut ids = Vec::new();
        if let (Some(previous), false) = (vocabulary.previous, earlier.is_empty()) {
            let most = (self.positions / 2).saturating_sub(1);
            ids.push(previous);
            ids.extend(&earlier[earlier.len().saturating_sub(most)..]);
        }
        let start = ids.len();
        ids.extend(vocabulary.beginning(self.language, false));
        ids.extend((!times).then_some(vocabulary.no_times));
        let given = ids.len();
        ids.extend(body);
        if ids.len() - 1 > self.positions {
            return Ok(None);
        }
        let mut targets = ids[1..].to_vec();
        targets[..given - 1].fill(IGNORED);
        targets[start] = match vocabulary.no_speech {
            Some(no_speech) if said.is_empty() => no_speech,
            _ => ids[start + 1],
        };
        ids.pop();
        Ok(Some(Window { mel: self.log_mel(sound)?, ids, targets, labels }))
    }

    /// (bands, frames); zeros follow the sound, as when it is heard.
    fn log_mel(&self, sound: &[f32]) -> Result<Vec<f32>> {
        let frames = self.mel.compute(sound, samples(0.05))?;
        let mut mel = vec![0.; self.bands * self.frames];
        for (frame, values) in frames.values.chunks(self.bands).take(sound.len() / HOP).enumerate() {
            for (band, value) in values.iter().enumerate() {
                mel[band * self.frames + frame] = *value;
            }
        }
        Ok(mel)
    }
}

fn samples(seconds: f64) -> usize {
    (seconds * f64::from(RATE)) as usize
}

/// A clip at another pace and level, without the silence around it.
fn spoken(clip: &Clip, most: usize, rng: &mut Rng) -> Result<Vec<f32>> {
    let whole = clip.samples().map_err(|why| anyhow!(why))?;
    let mut sound = trimmed(&whole).to_vec();
    if rng.uniform() < 0.8 {
        let factor = 0.87 + 0.28 * rng.uniform();
        let paced = pace(&sound, factor);
        if paced.len() <= most {
            sound = paced;
        }
    }
    sound.truncate(most);
    let gain = 0.1 / level(&sound).max(1e-4) * 10f32.powf((rng.uniform() * 8. - 4.) as f32 / 20.);
    sound.iter_mut().for_each(|x| *x *= gain);
    Ok(sound)
}

/// What is louder than a hundredth of the loudest, and 50 ms around it.
fn trimmed(samples: &[f32]) -> &[f32] {
    let loud = samples.iter().fold(0f32, |most, x| most.max(x.abs())) / 100.;
    let (first, last) =
        (samples.iter().position(|x| x.abs() > loud), samples.iter().rposition(|x| x.abs() > loud));
    let around = RATE as usize / 20;
    match (first, last) {
        (Some(first), Some(last)) => {
            &samples[first.saturating_sub(around)..(last + around).min(samples.len())]
        }
        _ => samples,
    }
}

/// Hides some bands and some moments (Park et al., 2019).
fn hide(mel: &mut [f32], frames: usize, rng: &mut Rng) {
    let bands = mel.len() / frames;
    for _ in 0..rng.below(3) {
        let width = rng.below(bands / 6);
        let first = rng.below(bands - width);
        mel[first * frames..(first + width) * frames].fill(0.);
    }
    for _ in 0..rng.below(4) {
        let width = rng.below(20);
        let first = rng.below(frames.saturating_sub(width).max(1));
        mel.chunks_mut(frames).for_each(|band| band[first..(first + width).min(frames)].fill(0.));
    }
}
