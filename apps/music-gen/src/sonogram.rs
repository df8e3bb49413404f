//! A sound to see: which frequencies are heard when, and how far it swings.

use media::picture::{Align, Color, Picture, Rect, TextStyle};
use rayon::prelude::*;
use realfft::RealFftPlanner;

use crate::sound::Audio;

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;
/// Where frequencies are drawn, and below them the swings.
const PLOT: Rect = Rect::new(80.0, 32.0, 1168.0, 456.0);
const SWINGS: Rect = Rect::new(80.0, 520.0, 1168.0, 144.0);
const PAPER: Color = Color(252, 252, 250);
const SOFT: Color = Color(118, 124, 136);
const WAVE: Color = Color(37, 99, 176);
/// From silence to the loudest.
const SHADES: [Color; 5] =
    [Color(12, 13, 34), Color(74, 25, 106), Color(178, 50, 92), Color(244, 134, 42), Color(252, 240, 170)];
/// Samples of a moment.
const MOMENT: usize = 2048;
/// The lowest frequency that is drawn, in Hz.
const LOWEST: f32 = 40.0;
/// The softest that is told from silence, in decibels below the loudest.
const RANGE: f32 = 80.0;

/// Draws a sound: time to the right, frequencies upwards on a logarithmic scale.
pub fn draw(audio: &Audio) -> Picture {
    let mut picture = Picture::new(WIDTH, HEIGHT, PAPER);
    let channels = usize::from(audio.channels.max(1));
    let mean = |frame: &[f32]| frame.iter().sum::<f32>() / channels as f32;
    let sound: Vec<f32> = audio.samples.chunks_exact(channels).map(mean).collect();
    let rate = audio.rate.max(1) as f32;
    let seconds = sound.len() as f32 / rate;
    frequencies(&mut picture, &sound, rate);
    swings(&mut picture, &sound);
    let style = TextStyle { size: 11.5, color: SOFT, bold: false, align: Align::Right };
    for (hertz, name) in [(100.0, "100 Hz"), (1000.0, "1 kHz"), (10_000.0, "10 kHz")] {
        if let Some(height) = height_of(hertz, rate) {
            picture.text((PLOT.x - 8.0, PLOT.y + PLOT.height * (1.0 - height) + 4.0), name, style);
        }
    }
    let steps = [0.1f32, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0];
    let step = steps.into_iter().find(|step| seconds / step <= 12.0).unwrap_or(600.0);
    let style = TextStyle { align: Align::Center, ..style };
    let mut number = 0;
    while number as f32 * step <= seconds && seconds > 0.0 {
        let (at, x) = (number as f32 * step, PLOT.x + PLOT.width * number as f32 * step / seconds);
        let name = if step < 1.0 { format!("{at:.1} s") } else { format!("{at:.0} s") };
        picture.text((x, HEIGHT as f32 - 24.0), &name, style);
        number += 1;
    }
    picture
}

/// How high a frequency stands, 0 to 1; `None` where it is not drawn.
fn height_of(hertz: f32, rate: f32) -> Option<f32> {
    let height = (hertz / LOWEST).ln() / (rate / 2.0 / LOWEST).ln();
    (0.0..=1.0).contains(&height).then_some(height)
}

fn frequencies(picture: &mut Picture, sound: &[f32], rate: f32) {
    let (columns, rows) = (PLOT.width as usize, PLOT.height as usize);
    let transform = RealFftPlanner::<f32>::new().plan_fft_forward(MOMENT);
    let turn = std::f32::consts::TAU / MOMENT as f32;
    let window: Vec<f32> = (0..MOMENT).map(|i| 0.5 - 0.5 * (turn * i as f32).cos()).collect();
    let column = |column: usize| -> Vec<f32> {
        let middle = sound.len() * column / columns;
        let mut moment = transform.make_input_vec();
        for (i, (to, weight)) in moment.iter_mut().zip(&window).enumerate() {
            *to =
                (middle + i).checked_sub(MOMENT / 2).and_then(|at| sound.get(at)).map_or(0.0, |x| x * weight);
        }
        let mut bins = transform.make_output_vec();
        let transformed = transform.process(&mut moment, &mut bins);
        debug_assert!(transformed.is_ok(), "the buffers are the transform's own");
        let row = |row: usize| {
            let hertz = LOWEST * (rate / 2.0 / LOWEST).powf((row as f32 + 0.5) / rows as f32);
            let place = (hertz * MOMENT as f32 / rate).min((MOMENT / 2) as f32 - 1.0);
            let (bin, part) = (place as usize, place.fract());
            10.0 * ((1.0 - part) * bins[bin].norm_sqr() + part * bins[bin + 1].norm_sqr() + 1e-12).log10()
        };
        (0..rows).map(row).collect()
    };
    let levels: Vec<Vec<f32>> = (0..columns).into_par_iter().map(column).collect();
    let loudest = levels.iter().flatten().fold(-60.0f32, |most, level| most.max(*level));
    for (x, column) in levels.iter().enumerate() {
        for (y, level) in column.iter().enumerate() {
            let at = Rect::new(PLOT.x + x as f32, PLOT.y + (rows - 1 - y) as f32, 1.0, 1.0);
            picture.fill(at, shade(1.0 + (level - loudest) / RANGE), 1.0);
        }
    }
}

/// A shade from 0, the softest, to 1.
fn shade(level: f32) -> Color {
    let place = level.clamp(0.0, 1.0) * (SHADES.len() - 1) as f32;
    let first = (place as usize).min(SHADES.len() - 2);
    SHADES[first].towards(SHADES[first + 1], place - first as f32)
}

fn swings(picture: &mut Picture, sound: &[f32]) {
    let columns = SWINGS.width as usize;
    let middle = SWINGS.y + SWINGS.height / 2.0;
    for column in 0..columns {
        let part = &sound[sound.len() * column / columns..sound.len() * (column + 1) / columns];
        let lowest = part.iter().fold(0f32, |a, x| a.min(*x)).max(-1.0);
        let highest = part.iter().fold(0f32, |a, x| a.max(*x)).min(1.0);
        let top = middle - highest * SWINGS.height / 2.0;
        let height = ((highest - lowest) * SWINGS.height / 2.0).max(1.0);
        picture.fill(Rect::new(SWINGS.x + column as f32, top, 1.0, height), WAVE, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_stands_at_its_height_while_it_sounds() {
        let rate = 16_000;
        let sample = |i: usize| {
            if i < rate { (i as f32 * 1000.0 * std::f32::consts::TAU / rate as f32).sin() * 0.5 } else { 0.0 }
        };
        let audio = Audio { rate: rate as u32, channels: 1, samples: (0..2 * rate).map(sample).collect() };
        let picture = draw(&audio);
        let y = PLOT.y + PLOT.height * (1.0 - height_of(1000.0, rate as f32).unwrap());
        let bright = |x: f32, y: f32| {
            let Color(red, green, blue) = picture.pixel(x as u32, y as u32);
            u32::from(red) + u32::from(green) + u32::from(blue)
        };
        let (sounding, silent) = (PLOT.x + PLOT.width * 0.25, PLOT.x + PLOT.width * 0.75);
        assert!(bright(sounding, y) > 500 && bright(sounding, y - 100.0) < 300 && bright(silent, y) < 200);
        assert!(picture.pixel(sounding as u32, 560) == WAVE && picture.pixel(silent as u32, 560) == PAPER);
        for samples in [vec![], vec![0.0; 10], vec![1.0]] {
            draw(&Audio { rate: 8000, channels: 1, samples }).to_png().unwrap();
        }
    }
}
