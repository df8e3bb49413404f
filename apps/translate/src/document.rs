//! A document's segments -> what they are in another language, with what must stay as it is and where words came from.

use std::ops::ControlFlow;

use anyhow::Result;
use media::document::{Segment, Target, inline};

use crate::align::align;
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
        let placed = |source: &str, text: &Text| -> Result<Target> {
            // through two models words cannot be followed
            let alignment = match hops {
                [hop] if segment.is_marked() => align(hop, source, text)?,
                _ => Vec::new(),
            };
            Ok(Target { text: text.target.clone(), alignment })
        };
        let target = if !keeps.is_empty() && !inline::held(&segment.text, &keeps, &text.target) {
            let between: Vec<&str> =
                inline::parts(&segment.text, &keeps).into_iter().map(|range| &segment.text[range]).collect();
            let parts = translate(hops, &between, &mut |_| ControlFlow::Continue(()))?;
            let translations = between.iter().zip(&parts).map(|(source, part)| placed(source, part));
            let target = inline::joined(&segment.text, &keeps, &translations.collect::<Result<Vec<_>>>()?);
            text.segments = parts.into_iter().flat_map(|part| part.segments).collect();
            text.target = target.text.clone();
            target
        } else {
            placed(&segment.text, &text)?
        };
        targets.push((target, text));
    }
    Ok(Some(targets))
}
