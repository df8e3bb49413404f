//! A document's segments -> what they are in another language, with what must stay as it is and where words came from.

use std::ops::ControlFlow;

use anyhow::Result;
use media::document::{Segment, Target, inline};

use crate::text::{Hop, Text, translate};

/// Translates segments of a document. What a translation would have lost (placeholders, code, addresses) is kept by
/// translating around it. `on_done` as for [`translate`]; where it stops the work, nothing comes back.
///
/// # Errors
/// What a tokenizer or a net refuses.
pub fn segments(
    hops: &[&Hop],
    segments: &[Segment],
    on_done: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Vec<(Target, Text)>>> {
    let texts: Vec<&str> = segments.iter().map(|segment| segment.text.as_str()).collect();
    let found = translate(hops, &texts, on_done)?;
    if found.len() < segments.len() {
        return Ok(None);
    }
    let mut targets = Vec::new();
    for (segment, mut text) in segments.iter().zip(found) {
        let keeps = segment.keeps();
        let mut target = Target::from(text.target.clone());
        if !keeps.is_empty() && !inline::held(&segment.text, &keeps, &text.target) {
            let between: Vec<&str> =
                inline::parts(&segment.text, &keeps).into_iter().map(|range| &segment.text[range]).collect();
            let parts = translate(hops, &between, &mut |_| ControlFlow::Continue(()))?;
            let translations: Vec<Target> =
                parts.iter().map(|part| Target::from(part.target.clone())).collect();
            target = inline::joined(&segment.text, &keeps, &translations);
            text.segments = parts.into_iter().flat_map(|part| part.segments).collect();
            text.target = target.text.clone();
        }
        targets.push((target, text));
    }
    Ok(Some(targets))
}
