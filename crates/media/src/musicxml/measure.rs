//! One measure of one part: what the elements say to notes at positions inside the measure.

use super::document::PartInfo;
use super::one_line as short;
use super::order::Marks;
use super::signs::{barline, metre, metronome, usable_tempo, velocity};
use super::tree::Element;
use crate::score::{Key, Metre};

/// Positions and lengths count in this part of a quarter note, which every usual division of it divides.
pub const UNIT: u64 = (1 << 10) * 27 * 25 * 7 * 11 * 13;

const MAX_STAVES: u8 = 16;
/// Longest measure in quarter notes.
const MAX_QUARTERS: f64 = 10_000.0;
/// MIDI velocity of a score without dynamics.
const DEFAULT_VELOCITY: u8 = 80;

/// What one part plays in one measure.
#[derive(Debug, Default)]
pub struct Measure {
    /// The sounding notes, sorted by start.
    pub notes: Vec<WrittenNote>,
    /// The last position that anything reaches, in [`UNIT`]s.
    pub length: u64,
    /// Changes of metre with their positions.
    pub metres: Vec<(u64, Metre)>,
    /// Changes of key, as it sounds.
    pub keys: Vec<(u64, Key)>,
    /// Changes of tempo, in quarter notes a minute.
    pub tempos: Vec<(u64, f64)>,
    /// Repeat signs.
    pub marks: Marks,
}

/// A note head that sounds.
#[derive(Debug, Clone, Copy)]
pub struct WrittenNote {
    /// Position in the measure, in [`UNIT`]s.
    pub start: u64,
    /// Length in [`UNIT`]s, at least 1.
    pub length: u64,
    /// Sounding MIDI note number.
    pub pitch: u8,
    /// Staff, from 0.
    pub staff: u8,
    /// Voice, where it is a number.
    pub voice: u16,
    /// MIDI velocity.
    pub velocity: u8,
    /// Whether it goes on in a later note.
    pub tie_start: bool,
    /// Whether it goes on from an earlier note.
    pub tie_stop: bool,
}

/// What holds from measure to measure in one part.
pub struct PartReader<'a> {
    info: &'a PartInfo,
    divisions: f64,
    staves: u8,
    /// Chromatic steps from the written to the sounding pitch, a staff.
    transpositions: [i32; MAX_STAVES as usize],
    /// The same in fifths, for key signatures.
    key_shift: i32,
    velocities: [u8; MAX_STAVES as usize],
}

/// Where the next element stands, and the dynamics met so far.
#[derive(Default)]
struct Cursor {
    now: u64,
    /// Onset of the last note that was no further member of a chord.
    chord: u64,
    dynamics: Vec<Dynamics>,
}

/// A dynamic mark; without a staff it holds for all.
struct Dynamics {
    at: u64,
    staff: Option<u8>,
    velocity: u8,
}

impl<'a> PartReader<'a> {
    /// A reader at the beginning of a part.
    pub fn new(info: &'a PartInfo) -> Self {
        let velocities = [DEFAULT_VELOCITY; MAX_STAVES as usize];
        Self {
            info,
            divisions: 1.0,
            staves: 1,
            transpositions: [0; MAX_STAVES as usize],
            key_shift: 0,
            velocities,
        }
    }

    /// The staves met so far.
    pub fn staves(&self) -> u8 {
        self.staves
    }

    /// Reads a `<measure>`. An error says what is wrong with it.
    pub fn measure(&mut self, element: &Element<'_>) -> Result<Measure, String> {
        let (mut measure, mut cursor) = (Measure::default(), Cursor::default());
        for child in element.all() {
            match child.name() {
                "note" => self.note(child, &mut cursor, &mut measure)?,
                "backup" => cursor.now = cursor.now.saturating_sub(self.duration(child)?),
                "forward" => cursor.now += self.duration(child)?,
                "attributes" => self.attributes(child, cursor.now, &mut measure)?,
                "direction" => self.direction(child, &mut cursor, &mut measure)?,
                "sound" => self.sound(child, cursor.now, None, &mut cursor, &mut measure),
                "barline" => barline(child, &mut measure.marks),
                _ => {}
            }
            measure.length = measure.length.max(cursor.now);
            if measure.length > (MAX_QUARTERS as u64) * UNIT {
                return Err(format!("it lasts longer than {MAX_QUARTERS} quarter notes"));
            }
        }
        measure.notes.sort_by_key(|note| note.start);
        self.apply_dynamics(cursor.dynamics, &mut measure.notes);
        Ok(measure)
    }

    fn duration(&self, element: &Element<'_>) -> Result<u64, String> {
        let Some(text) = element.text_of("duration") else { return Ok(0) };
        let duration = text.parse::<f64>().unwrap_or(f64::NAN);
        if !(0.0..=MAX_QUARTERS).contains(&(duration / self.divisions)) {
            return Err(format!("a duration of {:?} with {} divisions", short(text), self.divisions));
        }
        // multiplied first, so that what divides the unit stays exact
        Ok((duration * UNIT as f64 / self.divisions).round() as u64)
    }

    fn staff(&mut self, element: &Element<'_>) -> Result<Option<u8>, String> {
        let Some(text) = element.text_of("staff") else { return Ok(None) };
        let staff = text.parse::<u8>().ok().filter(|staff| (1..=MAX_STAVES).contains(staff));
        let staff = staff.ok_or_else(|| format!("staff {:?}, expected 1 to {MAX_STAVES}", short(text)))?;
        self.staves = self.staves.max(staff);
        Ok(Some(staff - 1))
    }

    fn note(
        &mut self,
        element: &Element<'_>,
        cursor: &mut Cursor,
        measure: &mut Measure,
    ) -> Result<(), String> {
        if element.child("grace").is_some() {
            return Ok(());
        }
        let length = self.duration(element)?;
        if element.child("chord").is_none() {
            cursor.chord = cursor.now;
            cursor.now += length;
        }
        let start = cursor.chord;
        let staff = self.staff(element)?.unwrap_or(0);
        let silent = ["rest", "cue"].iter().any(|name| element.child(name).is_some());
        if silent || length == 0 {
            return Ok(());
        }
        let pitch = match (element.child("pitch"), element.child("unpitched")) {
            (Some(pitch), _) => self.pitch(pitch, staff)?,
            (None, Some(_)) => match self.drum(element) {
                Some(drum) => drum,
                None => return Ok(()),
            },
            (None, None) => return Ok(()),
        };
        let tie =
            |kind: &str| element.children("tie").any(|tie| tie.attribute("type").as_deref() == Some(kind));
        let voice = element.text_of("voice").and_then(|voice| voice.parse().ok()).unwrap_or(0);
        // 0 stands for the dynamics that hold, which are known at the end of the measure
        let velocity = element.attribute("dynamics").and_then(|percent| velocity(&percent)).unwrap_or(0);
        let (tie_start, tie_stop) = (tie("start"), tie("stop"));
        measure.notes.push(WrittenNote { start, length, pitch, staff, voice, velocity, tie_start, tie_stop });
        Ok(())
    }

    fn pitch(&self, pitch: &Element<'_>, staff: u8) -> Result<u8, String> {
        let step = match pitch.text_of("step") {
            Some("C") => 0,
            Some("D") => 2,
            Some("E") => 4,
            Some("F") => 5,
            Some("G") => 7,
            Some("A") => 9,
            Some("B") => 11,
            other => return Err(format!("a pitch with step {:?}", short(other.unwrap_or_default()))),
        };
        let octave = pitch.text_of("octave").and_then(|octave| octave.parse::<i8>().ok());
        let octave = octave.ok_or("a pitch without an octave")?;
        let alter = pitch.text_of("alter").map_or(Ok(0.0), str::parse::<f64>);
        let alter = alter.ok().filter(|alter| alter.abs() <= 12.0).ok_or("a pitch with a damaged alter")?;
        // quarter tones go to the semitone above
        let key = 12 * (i32::from(octave) + 1) + step + (alter + 0.5).floor() as i32;
        let key = key + self.transpositions[usize::from(staff)];
        let sounding = u8::try_from(key).ok().filter(|key| *key < 128);
        sounding.ok_or_else(|| format!("a pitch beyond MIDI's range: note number {key}, expected 0 to 127"))
    }

    fn drum(&self, note: &Element<'_>) -> Option<u8> {
        let drums = &self.info.drums;
        let id = note.child("instrument").and_then(|instrument| instrument.attribute("id"));
        match id {
            Some(id) => drums.iter().find(|(drum, _)| *drum == id),
            None => drums.first().filter(|_| drums.len() == 1),
        }
        .map(|&(_, drum)| drum)
    }

    fn attributes(&mut self, element: &Element<'_>, now: u64, measure: &mut Measure) -> Result<(), String> {
        if let Some(text) = element.text_of("divisions") {
            let divisions = text.parse::<f64>().ok().filter(|divisions| (1e-3..=1e9).contains(divisions));
            self.divisions = divisions.ok_or_else(|| format!("divisions of {:?}", short(text)))?;
        }
        if let Some(text) = element.text_of("staves") {
            let staves = text.parse::<u8>().ok().filter(|staves| (1..=MAX_STAVES).contains(staves));
            let staves =
                staves.ok_or_else(|| format!("{:?} staves, expected 1 to {MAX_STAVES}", short(text)))?;
            self.staves = self.staves.max(staves);
        }
        for transpose in element.children("transpose") {
            self.transpose(transpose);
        }
        if let Some(key) = element.children("key").find_map(|key| self.key(key)) {
            measure.keys.push((now, key));
        }
        if let Some(time) = element.child("time")
            && let Some(metre) = metre(time)?
        {
            measure.metres.push((now, metre));
        }
        Ok(())
    }

    fn transpose(&mut self, transpose: &Element<'_>) {
        let steps =
            |name: &str| transpose.text_of(name).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        // the casts saturate, and no shift beyond ten octaves leaves a pitch to play
        let bounded = |steps: f64| (steps.round() as i32).clamp(-120, 120);
        let (chromatic, diatonic) = (bounded(steps("chromatic")), bounded(steps("diatonic")));
        let shift = chromatic + 12 * bounded(steps("octave-change"));
        let staff = transpose.attribute("number").and_then(|number| number.parse::<usize>().ok());
        match staff.and_then(|staff| self.transpositions.get_mut(staff.wrapping_sub(1))) {
            Some(transposition) => *transposition = shift,
            None => self.transpositions = [shift; MAX_STAVES as usize],
        }
        self.key_shift = if transpose.child("diatonic").is_some() {
            7 * chromatic - 12 * diatonic
        } else {
            (7 * chromatic + 6).rem_euclid(12) - 6
        };
    }

    fn key(&self, key: &Element<'_>) -> Option<Key> {
        let written = key.text_of("fifths")?.parse::<i8>().ok().filter(|fifths| (-7..=7).contains(fifths))?;
        let mut fifths = i32::from(written) + self.key_shift;
        if !(-7..=7).contains(&fifths) {
            // the same keys on the piano with fewer signs
            fifths = (fifths + 5).rem_euclid(12) - 5;
        }
        Some(Key { fifths: fifths as i8, minor: key.text_of("mode") == Some("minor") })
    }

    fn direction(
        &mut self,
        element: &Element<'_>,
        cursor: &mut Cursor,
        measure: &mut Measure,
    ) -> Result<(), String> {
        let staff = self.staff(element)?;
        let now = self.offset(element, cursor.now);
        let sounds = element.child("sound");
        if let Some(sound) = sounds {
            self.sound(sound, now, staff, cursor, measure);
        }
        if sounds.and_then(|sound| sound.attribute("tempo")).is_none() {
            let kinds = element.children("direction-type");
            let mark = kinds.filter_map(|kind| kind.child("metronome")).find_map(metronome);
            measure.tempos.extend(mark.map(|tempo| (now, tempo)));
        }
        Ok(())
    }

    /// The position with an `<offset>` that is meant for playback.
    fn offset(&self, element: &Element<'_>, now: u64) -> u64 {
        let Some(offset) = element.child("offset") else { return now };
        if element.name() == "direction" && offset.attribute("sound").as_deref() != Some("yes") {
            return now;
        }
        let quarters = offset.text().parse::<f64>().map_or(0.0, |offset| offset / self.divisions);
        if quarters.abs() > MAX_QUARTERS {
            return now;
        }
        now.saturating_add_signed((quarters * UNIT as f64).round() as i64)
    }

    fn sound(
        &self,
        sound: &Element<'_>,
        now: u64,
        staff: Option<u8>,
        cursor: &mut Cursor,
        measure: &mut Measure,
    ) {
        let now = self.offset(sound, now);
        let tempo = sound.attribute("tempo").and_then(|tempo| usable_tempo(&tempo));
        measure.tempos.extend(tempo.map(|tempo| (now, tempo)));
        let velocity = sound.attribute("dynamics").and_then(|percent| velocity(&percent));
        cursor.dynamics.extend(velocity.map(|velocity| Dynamics { at: now, staff, velocity }));
    }

    /// Gives each note the dynamics that hold where it starts.
    fn apply_dynamics(&mut self, mut dynamics: Vec<Dynamics>, notes: &mut [WrittenNote]) {
        dynamics.sort_by_key(|dynamics| dynamics.at);
        let mut pending = dynamics.into_iter().peekable();
        for note in notes {
            while let Some(dynamics) = pending.next_if(|dynamics| dynamics.at <= note.start) {
                self.hold(&dynamics);
            }
            if note.velocity == 0 {
                note.velocity = self.velocities[usize::from(note.staff)];
            }
        }
        pending.for_each(|dynamics| self.hold(&dynamics));
    }

    fn hold(&mut self, dynamics: &Dynamics) {
        match dynamics.staff {
            Some(staff) => self.velocities[usize::from(staff)] = dynamics.velocity,
            None => self.velocities = [dynamics.velocity; MAX_STAVES as usize],
        }
    }
}
