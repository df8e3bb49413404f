//! HE-AAC by its core: symphonia decodes AAC-LC and refuses what says that it is more.

use symphonia::core::codecs::audio::AudioCodecParameters;

/// Object types of an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).
const LC: u32 = 2;
const SBR: u32 = 5;
const PS: u32 = 29;
/// A rate that is written out, instead of its number in a table.
const WRITTEN_OUT: u32 = 15;

/// Parameters of the AAC-LC stream within HE-AAC: half the rate, so that the upper half of the band is missing, and
/// one channel where parametric stereo would make two. `None` where there is no such stream.
pub(super) fn core(parameters: &AudioCodecParameters) -> Option<AudioCodecParameters> {
    let config = parameters.extra_data.as_deref()?;
    let word = config.iter().take(4).fold(0, |word, byte| word << 8 | u32::from(*byte));
    let word = word << (8 * (4 - config.len().min(4)));
    let bits = |at: u32, count: u32| word << at >> (32 - count);
    let (rate, channels) = (bits(5, 4), bits(9, 4));
    // what follows says how many samples a frame has, 1024 if 0
    let rest = match bits(0, 5) {
        LC => 13,
        SBR | PS if bits(13, 4) != WRITTEN_OUT && bits(17, 5) == LC => 22,
        _ => return None,
    };
    if rate == WRITTEN_OUT || bits(rest, 3) != 0 {
        return None;
    }
    let plain = (LC << 11 | rate << 7 | channels << 3) as u16;
    let mut parameters = parameters.clone();
    parameters.extra_data = Some(Box::new(plain.to_be_bytes()));
    Some(parameters)
}
