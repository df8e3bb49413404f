//! The document's frame: titles, the list of parts, and the measures inside each part.

use super::measure::{Measure, PartReader};
use super::tree::{Element, Reader, Tag, attribute};
use super::{Error, one_line};

/// Drums of one part; MIDI has no more.
const MAX_DRUMS: usize = 128;
const MAX_PARTS: usize = 256;
/// Measures over all parts.
const MAX_MEASURES: usize = 500_000;
/// Sounding notes over all parts, before ties are joined.
pub const MAX_NOTES: usize = 1_000_000;

/// A document as it is written.
#[derive(Debug, Default)]
pub struct Document {
    /// The title of the movement, else of the work.
    pub title: Option<String>,
    /// The parts that have music, in the order of the file.
    pub parts: Vec<WrittenPart>,
}

/// One part (an instrument) of the document.
#[derive(Debug, Default)]
pub struct WrittenPart {
    /// What the part list says.
    pub info: PartInfo,
    /// How many staves it has, at least 1.
    pub staves: u8,
    /// Its measures in written order.
    pub measures: Vec<Measure>,
}

/// What the part list says about a part.
#[derive(Debug, Default, Clone)]
pub struct PartInfo {
    /// The part's id.
    pub id: String,
    /// Its printed name; may be empty.
    pub name: String,
    /// General MIDI program, from 0.
    pub program: u8,
    /// Whether it plays on MIDI's drum channel.
    pub percussion: bool,
    /// The drum (MIDI note number) of each of its instruments that has one, by the instrument's id.
    pub drums: Vec<(String, u8)>,
}

/// Reads a whole document.
pub fn parse(text: &str) -> Result<Document, Error> {
    let mut reader = Reader::new(text);
    let root = reader.root()?;
    match root.local_name().into_inner() {
        "score-partwise" => {}
        "score-timewise" => return Err(Error::Timewise),
        other => return Err(Error::NotScore(one_line(other))),
    }
    let (mut document, mut infos) = (Document::default(), Vec::new());
    let (mut work, mut movement) = (None, None);
    let (mut notes, mut measures) = (0, 0);
    while let Tag::Start(start) = reader.tag()? {
        let own = |text: &str| Some(single_spaced(text)).filter(|text| !text.is_empty());
        match start.local_name().into_inner() {
            "work" => work = reader.subtree(start)?.text_of("work-title").and_then(own),
            "movement-title" => movement = own(reader.subtree(start)?.text()),
            "part-list" => infos = part_list(&reader.subtree(start)?)?,
            "part" => {
                if document.parts.len() >= MAX_PARTS {
                    return Err(Error::Limit(format!("more than {MAX_PARTS} parts")));
                }
                let id = attribute(&start, "id").unwrap_or_default();
                let known = infos.iter().find(|info: &&PartInfo| info.id == id).cloned();
                let info = known.unwrap_or(PartInfo { id, ..PartInfo::default() });
                document.parts.push(part(&mut reader, info, &mut notes, &mut measures)?);
            }
            _ => reader.skip()?,
        }
    }
    document.title = movement.or(work);
    if document.parts.iter().all(|part| part.measures.is_empty()) {
        return Err(Error::NoMeasures);
    }
    Ok(document)
}

fn part<'a>(
    reader: &mut Reader<'a>,
    info: PartInfo,
    notes: &mut usize,
    measures: &mut usize,
) -> Result<WrittenPart, Error> {
    let mut part = PartReader::new(&info);
    let mut read = Vec::new();
    while let Tag::Start(start) = reader.tag()? {
        if start.local_name().into_inner() != "measure" {
            reader.skip()?;
            continue;
        }
        let element = reader.subtree(start)?;
        let measure = part.measure(&element).map_err(|what| Error::Measure {
            part: one_line(&info.id),
            measure: one_line(&element.attribute("number").unwrap_or_default()),
            what,
        })?;
        *notes += measure.notes.len();
        *measures += 1;
        if *notes > MAX_NOTES || *measures > MAX_MEASURES {
            return Err(Error::Limit(format!("more than {MAX_NOTES} notes or {MAX_MEASURES} measures")));
        }
        read.push(measure);
    }
    let staves = part.staves();
    Ok(WrittenPart { info, staves, measures: read })
}

fn part_list(list: &Element<'_>) -> Result<Vec<PartInfo>, Error> {
    let parts = list.children("score-part").map(part_info);
    let infos: Vec<PartInfo> = parts.take(MAX_PARTS + 1).collect();
    if infos.len() > MAX_PARTS {
        return Err(Error::Limit(format!("more than {MAX_PARTS} parts")));
    }
    Ok(infos)
}

fn part_info(part: &Element<'_>) -> PartInfo {
    // MusicXML counts programs, channels and drums from 1
    let number = |element: &Element<'_>, name: &str| {
        let number = element.text_of(name).and_then(|text| text.parse::<u8>().ok());
        number.filter(|number| (1..=128).contains(number)).map(|number| number - 1)
    };
    let mut info = PartInfo {
        id: part.attribute("id").unwrap_or_default(),
        name: part.text_of("part-name").map(single_spaced).unwrap_or_default(),
        ..PartInfo::default()
    };
    let mut program = None;
    for instrument in part.children("midi-instrument") {
        program = program.or(number(instrument, "midi-program"));
        info.percussion |= number(instrument, "midi-channel") == Some(9);
        if let Some(drum) = number(instrument, "midi-unpitched")
            && info.drums.len() < MAX_DRUMS
        {
            info.drums.push((instrument.attribute("id").unwrap_or_default(), drum));
        }
    }
    info.program = program.unwrap_or(0);
    info
}

fn single_spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
