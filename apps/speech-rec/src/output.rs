//! A transcript as text of a format.

use media::subtitles::{self, Cue, Layout, Word};
use speech_rec::Transcript;

use crate::cli::Format;

/// The text of a file.
pub fn write(transcript: &Transcript, format: Format, layout: &Layout) -> String {
    let cues = cues(transcript);
    match format {
        Format::Txt => subtitles::txt(&cues),
        Format::Srt => subtitles::srt(&cues, layout),
        Format::Vtt => subtitles::vtt(&cues, layout),
        Format::Tsv => subtitles::tsv(&cues),
        Format::Lrc => subtitles::lrc(&cues),
        // numbers and text always become JSON
        Format::Json => serde_json::to_string(transcript).unwrap_or_default() + "\n",
    }
}

fn cues(transcript: &Transcript) -> Vec<Cue> {
    let word = |word: &speech_rec::Word| Word { start: word.start, end: word.end, text: word.word.clone() };
    let said = transcript.segments.iter().filter(|segment| !segment.text.trim().is_empty());
    said.map(|segment| Cue {
        start: segment.start,
        end: segment.end,
        text: segment.text.trim().into(),
        words: segment.words.iter().flatten().map(word).collect(),
    })
    .collect()
}
