//! Pictures in files (PNG, JPEG, WebP, GIF, BMP) and their pixels.

use std::borrow::Cow;
use std::io::Cursor;

use image::codecs::{jpeg::JpegEncoder, webp::WebPEncoder};
use image::imageops::{FilterType, crop_imm, resize};
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageReader, Limits, RgbaImage};

/// Pixels of 8 bits with how opaque each is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Red, green, blue and opacity of each, in rows from the top.
    pub rgba: Vec<u8>,
}

/// A kind of file that pictures are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Without loss, with texts.
    Png,
    /// With loss, without opacity.
    Jpeg,
    /// Without loss.
    WebP,
}

/// What is wrong with a picture.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file is none, or is damaged.
    #[error("not a picture that can be read: {0}")]
    Decode(String),
    /// It would take too much memory.
    #[error("a picture of {width}x{height}: the most is {side} pixels a side and {pixels} in all")]
    Large {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// The longest side.
        side: u32,
        /// The most pixels.
        pixels: u64,
    },
    /// It cannot be written.
    #[error("a picture of {width}x{height} cannot be written: {why}")]
    Encode {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// What the encoder says.
        why: String,
    },
}

/// The longest side that is read.
pub const MOST_SIDE: u32 = 16_384;
/// The most pixels that are read.
pub const MOST_PIXELS: u64 = 100_000_000;

impl Format {
    /// By the extension of a file's name, without the dot.
    pub fn of_extension(extension: &str) -> Option<Self> {
        Some(match extension.to_ascii_lowercase().as_str() {
            "png" => Self::Png,
            "jpg" | "jpeg" => Self::Jpeg,
            "webp" => Self::WebP,
            _ => return None,
        })
    }
}

impl Pixels {
    /// Of one colour.
    pub fn new(width: u32, height: u32, rgba: [u8; 4]) -> Self {
        Self { width, height, rgba: rgba.repeat(width as usize * height as usize) }
    }

    /// Reads a picture; one of a camera that was held on its side is turned.
    ///
    /// # Errors
    /// What is no picture, is damaged, or has more than [`MOST_SIDE`] or [`MOST_PIXELS`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ImageError> {
        let failed = |error: image::ImageError| ImageError::Decode(one_line(&error.to_string()));
        let mut reader = ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|error| ImageError::Decode(error.to_string()))?;
        if reader.format().is_none() {
            return Err(ImageError::Decode("neither PNG, JPEG, WebP, GIF nor BMP".into()));
        }
        let mut limits = Limits::default();
        limits.max_alloc = Some(MOST_PIXELS * 16);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(failed)?;
        let (width, height) = decoder.dimensions();
        if width.max(height) > MOST_SIDE || u64::from(width) * u64::from(height) > MOST_PIXELS {
            return Err(ImageError::Large { width, height, side: MOST_SIDE, pixels: MOST_PIXELS });
        }
        if width == 0 || height == 0 {
            return Err(ImageError::Decode("it has no pixels".into()));
        }
        let orientation = decoder.orientation().map_err(failed)?;
        let mut picture = DynamicImage::from_decoder(decoder).map_err(failed)?;
        picture.apply_orientation(orientation);
        Ok(Self::of(picture.into_rgba8()))
    }

    /// As a file. `texts` are a PNG's (keyword, text); other kinds have none.
    ///
    /// # Errors
    /// A picture without pixels, or of more than its kind of file can hold.
    pub fn encode(&self, format: Format, texts: &[(String, String)]) -> Result<Vec<u8>, ImageError> {
        let mut bytes = Vec::new();
        let failed =
            |why: String| ImageError::Encode { width: self.width, height: self.height, why: one_line(&why) };
        let (width, height) = (self.width, self.height);
        match format {
            Format::Png => self.write_png(&mut bytes, texts).map_err(|error| failed(error.to_string()))?,
            Format::Jpeg => JpegEncoder::new_with_quality(&mut bytes, 95)
                .encode(&self.over([255; 3]).rgb(), width, height, ExtendedColorType::Rgb8)
                .map_err(|error| failed(error.to_string()))?,
            Format::WebP => {
                let (pixels, kind) = self.packed();
                WebPEncoder::new_lossless(&mut bytes)
                    .encode(&pixels, width, height, kind)
                    .map_err(|error| failed(error.to_string()))?;
            }
        }
        Ok(bytes)
    }

    fn write_png(&self, bytes: &mut Vec<u8>, texts: &[(String, String)]) -> Result<(), png::EncodingError> {
        let mut encoder = png::Encoder::new(bytes, self.width, self.height);
        let (pixels, kind) = self.packed();
        encoder.set_color(if kind == ExtendedColorType::Rgb8 {
            png::ColorType::Rgb
        } else {
            png::ColorType::Rgba
        });
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Balanced);
        for (keyword, text) in texts {
            let is_latin = text.chars().all(|c| matches!(c, '\n' | ' '..='~' | '\u{a1}'..='\u{ff}'));
            match is_latin {
                true => encoder.add_text_chunk(keyword.clone(), text.clone())?,
                false => encoder.add_itxt_chunk(keyword.clone(), text.clone())?,
            }
        }
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&pixels)?;
        writer.finish()
    }

    /// The bytes that are needed: opacity is left out where everything is opaque.
    fn packed(&self) -> (Cow<'_, [u8]>, ExtendedColorType) {
        match self.is_opaque() {
            true => (self.rgb().into(), ExtendedColorType::Rgb8),
            false => (Cow::Borrowed(&self.rgba), ExtendedColorType::Rgba8),
        }
    }

    /// Whether nothing shines through.
    pub fn is_opaque(&self) -> bool {
        self.rgba.chunks_exact(4).all(|pixel| pixel[3] == 255)
    }

    /// Red, green and blue alone.
    pub fn rgb(&self) -> Vec<u8> {
        self.rgba.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
    }

    /// The picture before a background of one colour.
    pub fn over(&self, colour: [u8; 3]) -> Self {
        let mix = |pixel: &[u8]| {
            let alpha = u32::from(pixel[3]);
            let part = |i: usize| {
                ((u32::from(pixel[i]) * alpha + u32::from(colour[i]) * (255 - alpha) + 127) / 255) as u8
            };
            [part(0), part(1), part(2), 255]
        };
        Self { rgba: self.rgba.chunks_exact(4).flat_map(mix).collect(), ..*self }
    }

    /// Whole pixels repeated, so that edges stay sharp.
    pub fn enlarged(&self, times: u32) -> Self {
        let row = |row: &[u8]| -> Vec<u8> {
            row.chunks_exact(4).flat_map(|pixel| pixel.repeat(times as usize)).collect()
        };
        let rows = self.rgba.chunks_exact(4 * self.width.max(1) as usize);
        Self {
            width: self.width * times,
            height: self.height * times,
            rgba: rows.flat_map(|pixels| row(pixels).repeat(times as usize)).collect(),
        }
    }

    /// Of other sides, by Lanczos' filter.
    pub fn resized(&self, width: u32, height: u32) -> Self {
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        Self::of(resize(&self.image(), width, height, FilterType::Lanczos3))
    }

    /// Cut to the sides' ratio around the middle, then of these sides.
    pub fn fitted(&self, width: u32, height: u32) -> Self {
        let scale =
            (f64::from(self.width) / f64::from(width)).min(f64::from(self.height) / f64::from(height));
        let kept = |side: u32, most: u32| ((f64::from(side) * scale).round() as u32).clamp(1, most);
        let (wide, high) = (kept(width, self.width), kept(height, self.height));
        let (left, top) = ((self.width - wide) / 2, (self.height - high) / 2);
        Self::of(crop_imm(&self.image(), left, top, wide, high).to_image()).resized(width, height)
    }

    /// Laid over this picture with its upper left corner at a place; what lies outside is left out.
    pub fn put(&mut self, other: &Self, left: u32, top: u32) {
        let wide = other.width.min(self.width.saturating_sub(left)) as usize * 4;
        let (from, to) = (other.width as usize * 4, self.width as usize * 4);
        for row in 0..other.height.min(self.height.saturating_sub(top)) as usize {
            let start = (top as usize + row) * to + left as usize * 4;
            self.rgba[start..start + wide].copy_from_slice(&other.rgba[row * from..row * from + wide]);
        }
    }

    /// Pictures in rows of `columns`, with `gap` pixels of a colour around each; all have the first one's sides.
    pub fn sheet(pictures: &[Self], columns: u32, gap: u32, colour: [u8; 4]) -> Self {
        let Some(first) = pictures.first() else { return Self::new(0, 0, colour) };
        let (wide, high) = (first.width + gap, first.height + gap);
        let columns = columns.clamp(1, pictures.len() as u32);
        let rows = (pictures.len() as u32).div_ceil(columns);
        let mut sheet = Self::new(columns * wide + gap, rows * high + gap, colour);
        for (picture, place) in pictures.iter().zip(0..) {
            sheet.put(picture, gap + place % columns * wide, gap + place / columns * high);
        }
        sheet
    }

    fn of(image: RgbaImage) -> Self {
        Self { width: image.width(), height: image.height(), rgba: image.into_raw() }
    }

    fn image(&self) -> RgbaImage {
        let expected = self.width as usize * self.height as usize * 4;
        let mut rgba = self.rgba.clone();
        rgba.resize(expected, 0);
        RgbaImage::from_raw(self.width, self.height, rgba).unwrap_or_default()
    }
}

/// The texts of a PNG as (keyword, text), in its order of kinds.
///
/// # Errors
/// What is no PNG, or is damaged before its pixels.
pub fn png_texts(bytes: &[u8]) -> Result<Vec<(String, String)>, ImageError> {
    let failed = |error: &dyn std::fmt::Display| ImageError::Decode(one_line(&error.to_string()));
    let reader = png::Decoder::new(Cursor::new(bytes)).read_info().map_err(|error| failed(&error))?;
    let info = reader.info();
    let latin = info.uncompressed_latin1_text.iter().map(|chunk| Ok((&chunk.keyword, chunk.text.clone())));
    let packed = info.compressed_latin1_text.iter().map(|chunk| Ok((&chunk.keyword, chunk.get_text()?)));
    let unicode = info.utf8_text.iter().map(|chunk| Ok((&chunk.keyword, chunk.get_text()?)));
    let all = latin.chain(packed).chain(unicode);
    all.map(|chunk: Result<_, png::DecodingError>| {
        chunk.map(|(keyword, text)| (keyword.clone(), text)).map_err(|error| failed(&error))
    })
    .collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sample() -> Pixels {
        let rgba = (0..5 * 3u8).flat_map(|i| [i * 16, 255 - i * 9, i * 3, if i % 4 == 0 { 90 } else { 255 }]);
        Pixels { width: 5, height: 3, rgba: rgba.collect() }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let picture = sample();
        for format in [Format::Png, Format::WebP] {
            assert_eq!(Pixels::decode(&picture.encode(format, &[]).unwrap()).unwrap(), picture);
        }
        let opaque = picture.over([0, 0, 0]);
        let jpeg = Pixels::decode(&opaque.encode(Format::Jpeg, &[]).unwrap()).unwrap();
        assert_eq!((jpeg.width, jpeg.height, jpeg.is_opaque()), (5, 3, true));
    }

    #[test]
    fn texts_come_back_in_every_script() {
        let texts = [("parameters", "a cat\nSteps: 20"), ("Title", "猫 und Ärger"), ("Note", "café")];
        let texts = texts.map(|(keyword, text)| (keyword.to_string(), text.to_string()));
        let mut read = png_texts(&sample().encode(Format::Png, &texts).unwrap()).unwrap();
        read.sort();
        let mut expected = texts.to_vec();
        expected.sort();
        assert_eq!(read, expected);
    }

    #[test]
    fn sizes_are_what_is_asked_for() {
        let picture = sample();
        let large = picture.enlarged(3);
        assert_eq!((large.width, large.height, large.rgba.len()), (15, 9, 15 * 9 * 4));
        assert_eq!(large.rgba[..12], picture.rgba[..4].repeat(3));
        let fitted = picture.fitted(3, 3);
        assert_eq!((fitted.width, fitted.height), (3, 3));
        assert_eq!(fitted.rgba[..4], picture.rgba[4..8]);
        let sheet = Pixels::sheet(&[picture.clone(), picture.clone(), picture.clone()], 2, 1, [9; 4]);
        assert_eq!((sheet.width, sheet.height), (13, 9));
        assert_eq!(sheet.rgba[(14 * 4)..(15 * 4)], picture.rgba[..4]);
    }

    #[test]
    fn what_is_no_picture_is_refused_in_a_line() {
        for bytes in [&b""[..], b"GIF89a", b"\x89PNG\r\n\x1a\n", b"hello, picture", &[0xff, 0xd8, 0xff, 0xe0]]
        {
            let said = Pixels::decode(bytes).unwrap_err().to_string();
            assert!(said.starts_with("not a picture that can be read: ") && !said.contains('\n'), "{said}");
        }
        // a header that promises 30,000 x 30,000 pixels
        let mut bomb = sample().encode(Format::Png, &[]).unwrap();
        bomb[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
        assert!(Pixels::decode(&bomb).is_err());
        assert!(Pixels::new(0, 4, [0; 4]).encode(Format::Png, &[]).is_err());
    }
}
