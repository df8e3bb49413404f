//! What a loaded SoundFont would do for a key, proved before the key is struck.
//!
//! rustysynth 1.3 follows a loop by stepping back once a sample; a step longer than the loop would run away and
//! read outside of the samples. How long a step can become follows from the region's tuning and modulation.

use rustysynth::{InstrumentRegion, LoopMode, PresetRegion, SoundFont};

use super::super::RATE;
use super::{SoundError, refused};

/// Most pairs of regions that a preset may try for every note.
const MOST_PAIRS: usize = 20_000;
/// Longest step through samples in a frame, far above what is audible.
const LONGEST_STEP: f64 = 65_536.0;

/// Refuses presets that would take long for every note.
pub(super) fn check(font: &SoundFont) -> Result<(), SoundError> {
    let instruments = font.get_instruments();
    for preset in font.get_presets() {
        let pairs: usize = preset
            .get_regions()
            .iter()
            .map(|r| instruments[r.get_instrument_id()].get_regions().len() + 1)
            .sum();
        if pairs > MOST_PAIRS {
            let name = preset.get_name();
            return Err(refused(format!("its preset '{name}' has {pairs} regions, more than {MOST_PAIRS}")));
        }
    }
    Ok(())
}

/// The index of the preset that rustysynth takes for a bank and a patch.
pub(super) fn preset(font: &SoundFont, bank: i32, patch: i32) -> usize {
    let presets = font.get_presets();
    let id = |i: &usize| (presets[*i].get_bank_number() << 16) | presets[*i].get_patch_number();
    let last = |wanted: i32| (0..presets.len()).rev().find(|i| id(i) == wanted);
    let fallback = if bank < 128 { patch } else { 128 << 16 };
    last((bank << 16) | patch)
        .or_else(|| last(fallback))
        .or_else(|| (0..presets.len()).min_by_key(|i| id(i)))
        .unwrap_or(0)
}

/// Refuses a key whose samples could not be read as rustysynth would.
pub(super) fn check_key(font: &SoundFont, preset: usize, key: i32, velocity: i32) -> Result<(), SoundError> {
    let Some(preset) = font.get_presets().get(preset) else { return Err(refused("it has no presets")) };
    for above in preset.get_regions().iter().filter(|region| region.contains(key, velocity)) {
        let instrument = &font.get_instruments()[above.get_instrument_id()];
        for region in instrument.get_regions().iter().filter(|region| region.contains(key, velocity)) {
            let rate = font.get_sample_headers()[region.get_sample_id()].get_sample_rate();
            if rate <= 0 {
                let name = instrument.get_name();
                return Err(refused(format!("a sample of its instrument '{name}' has a rate of {rate} Hz")));
            }
            let step = longest_step(above, region, rate, key);
            let length = region.get_sample_end_loop() - region.get_sample_start_loop();
            let loops = region.get_sample_modes() != LoopMode::NoLoop && length > 0;
            let most = if loops { f64::from(length).min(LONGEST_STEP) } else { LONGEST_STEP };
            if step.is_nan() || step > most {
                let (name, step) = (preset.get_name(), step.min(1e6));
                return Err(refused(format!(
                    "key {key} of its preset '{name}' steps {step:.1} samples at once in a loop of {length}"
                )));
            }
        }
    }
    Ok(())
}

/// The most samples that a key can move on in a frame, whatever its modulation does.
fn longest_step(above: &PresetRegion, region: &InstrumentRegion, rate: i32, key: i32) -> f64 {
    let sum = |a: i32, b: i32| f64::from(a) + f64::from(b);
    let scale = sum(above.get_scale_tuning(), region.get_scale_tuning()) / 100.0;
    let tune = sum(above.get_coarse_tune(), region.get_coarse_tune())
        + sum(above.get_fine_tune(), region.get_fine_tune()) / 100.0;
    let bend = (sum(above.get_vibrato_lfo_to_pitch(), region.get_vibrato_lfo_to_pitch()).abs()
        + sum(above.get_modulation_lfo_to_pitch(), region.get_modulation_lfo_to_pitch()).abs()
        + sum(above.get_modulation_envelope_to_pitch(), region.get_modulation_envelope_to_pitch()).abs())
        / 100.0;
    let semitones = scale * f64::from(key - region.get_root_key()) + scale.abs() * bend + tune;
    // a little more than exact, since rustysynth computes in 32 bits
    f64::from(rate) / f64::from(RATE) * (semitones / 12.0).exp2() * 1.001
}
