//! A small RGB canvas: anti-aliased shapes, lines and text, and PNG out of it.
//!
//! Coordinates are pixels as floats, the origin is the upper left corner of the upper left pixel, y grows
//! downwards. Everything outside the canvas is clipped. The same calls give the same bytes on every machine
//! that computes IEEE floats.

use crate::font;

/// An sRGB colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color(pub u8, pub u8, pub u8);

impl Color {
    /// The colour that lies `amount` (0 to 1) of the way from this one to `other`.
    pub fn towards(self, other: Color, amount: f32) -> Color {
        let mix = |a: u8, b: u8| (a as f32 + (b as f32 - a as f32) * amount.clamp(0.0, 1.0)).round() as u8;
        Color(mix(self.0, other.0), mix(self.1, other.1), mix(self.2, other.2))
    }
}

/// An axis-parallel rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Width, at least 0.
    pub width: f32,
    /// Height, at least 0.
    pub height: f32,
}

impl Rect {
    /// The rectangle with this upper left corner and this size.
    pub const fn new(x: f32, y: f32, width: f32, height: f32) -> Rect {
        Rect { x, y, width, height }
    }
}

/// How text is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TextStyle {
    /// Height of a capital letter in pixels.
    pub size: f32,
    /// Colour of the strokes.
    pub color: Color,
    /// Thicker strokes.
    pub bold: bool,
    /// Where the given point lies in the line of text.
    pub align: Align,
}

/// The point of a line of text that is put at the given position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Its left end.
    Left,
    /// Its middle.
    Center,
    /// Its right end.
    Right,
}

/// What can go wrong when a picture becomes a file.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The PNG encoder refused.
    #[error("cannot encode a PNG of {width} x {height} pixels: {source}")]
    Encode {
        /// Width of the picture.
        width: u32,
        /// Height of the picture.
        height: u32,
        /// What the encoder says.
        source: png::EncodingError,
    },
}

/// A picture of 8-bit RGB pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width * height * 3` bytes, rows from the top, red first.
    pub pixels: Vec<u8>,
}

impl Picture {
    /// A canvas of one colour.
    pub fn new(width: u32, height: u32, color: Color) -> Picture {
        let count = width as usize * height as usize;
        let pixels = [color.0, color.1, color.2].repeat(count);
        Picture { width, height, pixels }
    }

    /// The colour at a pixel; black outside.
    pub fn pixel(&self, x: u32, y: u32) -> Color {
        let at = (y as usize * self.width as usize + x as usize) * 3;
        match self.pixels.get(at..at + 3) {
            Some(&[r, g, b]) if x < self.width => Color(r, g, b),
            _ => Color(0, 0, 0),
        }
    }

    /// Lays `color` over one pixel with this coverage (0 to 1).
    fn blend(&mut self, x: u32, y: u32, color: Color, coverage: f32) {
        if coverage <= 0.0 || x >= self.width || y >= self.height {
            return;
        }
        let at = (y as usize * self.width as usize + x as usize) * 3;
        for (below, above) in self.pixels[at..at + 3].iter_mut().zip([color.0, color.1, color.2]) {
            let mixed = *below as f32 + (above as f32 - *below as f32) * coverage.min(1.0);
            *below = mixed.round() as u8;
        }
    }

    /// The pixel columns and rows that a shape between these corners may touch.
    fn clip(&self, left: f32, top: f32, right: f32, bottom: f32) -> (u32, u32, u32, u32) {
        let low = |v: f32, end: u32| (v.floor().max(0.0) as u32).min(end);
        let high = |v: f32, end: u32| (v.ceil().max(0.0) as u32).min(end);
        (low(left, self.width), low(top, self.height), high(right, self.width), high(bottom, self.height))
    }

    /// Fills a rectangle; edges between pixels are blended.
    pub fn fill(&mut self, rect: Rect, color: Color, opacity: f32) {
        let (right, bottom) = (rect.x + rect.width, rect.y + rect.height);
        let (x0, y0, x1, y1) = self.clip(rect.x, rect.y, right, bottom);
        for y in y0..y1 {
            let rows = (bottom.min(y as f32 + 1.0) - rect.y.max(y as f32)).clamp(0.0, 1.0);
            for x in x0..x1 {
                let columns = (right.min(x as f32 + 1.0) - rect.x.max(x as f32)).clamp(0.0, 1.0);
                self.blend(x, y, color, rows * columns * opacity);
            }
        }
    }

    /// Fills a rectangle with round corners, shaded from `top` to `bottom` colour.
    pub fn fill_round(&mut self, rect: Rect, radius: f32, top: Color, bottom: Color, opacity: f32) {
        let radius = radius.min(rect.width / 2.0).min(rect.height / 2.0).max(0.0);
        let (cx, cy) = (rect.x + rect.width / 2.0, rect.y + rect.height / 2.0);
        let (x0, y0, x1, y1) =
            self.clip(rect.x - 1.0, rect.y - 1.0, rect.x + rect.width + 1.0, rect.y + rect.height + 1.0);
        for y in y0..y1 {
            let color = top.towards(bottom, (y as f32 + 0.5 - rect.y) / rect.height.max(1.0));
            for x in x0..x1 {
                // signed distance to the round rectangle
                let dx = (x as f32 + 0.5 - cx).abs() - rect.width / 2.0 + radius;
                let dy = (y as f32 + 0.5 - cy).abs() - rect.height / 2.0 + radius;
                let outside = dx.max(0.0).hypot(dy.max(0.0));
                let distance = outside + dx.max(dy).min(0.0) - radius;
                self.blend(x, y, color, (0.5 - distance).clamp(0.0, 1.0) * opacity);
            }
        }
    }

    /// Draws a line with round ends.
    pub fn line(&mut self, from: (f32, f32), to: (f32, f32), width: f32, color: Color, opacity: f32) {
        self.strokes(&[vec![from, to]], width, color, opacity);
    }

    /// Draws lines through points, with round ends and joints. Where lines cross or meet, the colour is laid
    /// on once. Points that are not finite are left out.
    pub fn strokes(&mut self, lines: &[Vec<(f32, f32)>], width: f32, color: Color, opacity: f32) {
        let radius = (width / 2.0).max(0.25);
        let reach = radius + 1.0;
        let finite = || lines.iter().flatten().filter(|point| point.0.is_finite() && point.1.is_finite());
        let fold = |start: f32, pick: fn(&(f32, f32)) -> f32, best: fn(f32, f32) -> f32| {
            finite().map(pick).fold(start, best)
        };
        let (left, right) = (fold(f32::MAX, |p| p.0, f32::min), fold(f32::MIN, |p| p.0, f32::max));
        let (top, bottom) = (fold(f32::MAX, |p| p.1, f32::min), fold(f32::MIN, |p| p.1, f32::max));
        let (x0, y0, x1, y1) = self.clip(left - reach, top - reach, right + reach, bottom + reach);
        if x0 >= x1 || y0 >= y1 {
            return;
        }
        let columns = (x1 - x0) as usize;
        let mut mask = vec![0f32; columns * (y1 - y0) as usize];
        for line in lines {
            let points: Vec<_> = line.iter().filter(|p| p.0.is_finite() && p.1.is_finite()).collect();
            let alone = points.len() == 1;
            for pair in
                points.windows(2).map(|w| (*w[0], *w[1])).chain(alone.then(|| (*points[0], *points[0])))
            {
                let ((ax, ay), (bx, by)) = pair;
                let (sx0, sy0, sx1, sy1) =
                    self.clip(ax.min(bx) - reach, ay.min(by) - reach, ax.max(bx) + reach, ay.max(by) + reach);
                let (dx, dy) = (bx - ax, by - ay);
                let scale = 1.0 / (dx * dx + dy * dy).max(1e-12);
                for y in sy0..sy1 {
                    for x in sx0..sx1 {
                        let (px, py) = (x as f32 + 0.5 - ax, y as f32 + 0.5 - ay);
                        let along = ((px * dx + py * dy) * scale).clamp(0.0, 1.0);
                        let distance = (px - along * dx).hypot(py - along * dy);
                        let cell = &mut mask[(y - y0) as usize * columns + (x - x0) as usize];
                        *cell = cell.max((radius + 0.5 - distance).clamp(0.0, 1.0));
                    }
                }
            }
        }
        // a line thinner than a pixel is drawn a pixel wide and fainter
        let opacity = opacity * (width / (2.0 * radius)).min(1.0);
        for (i, &coverage) in mask.iter().enumerate() {
            self.blend(x0 + (i % columns) as u32, y0 + (i / columns) as u32, color, coverage * opacity);
        }
    }

    /// Writes one line of text; `at` is on its baseline.
    pub fn text(&mut self, at: (f32, f32), text: &str, style: TextStyle) {
        let width = font::width(text, style.size, style.bold);
        let left = match style.align {
            Align::Left => at.0,
            Align::Center => at.0 - width / 2.0,
            Align::Right => at.0 - width,
        };
        let lines = font::lines((left, at.1), text, style.size, style.bold);
        for (lines, weight) in lines {
            self.strokes(&lines, weight, style.color, 1.0);
        }
    }

    /// Writes one line of text that runs upwards; `at` is on its baseline, alignment along the line.
    pub fn text_upwards(&mut self, at: (f32, f32), text: &str, style: TextStyle) {
        let width = font::width(text, style.size, style.bold);
        let shift = match style.align {
            Align::Left => 0.0,
            Align::Center => -width / 2.0,
            Align::Right => -width,
        };
        for (mut lines, weight) in font::lines((shift, 0.0), text, style.size, style.bold) {
            for point in lines.iter_mut().flatten() {
                *point = (at.0 + point.1, at.1 - point.0);
            }
            self.strokes(&lines, weight, style.color, 1.0);
        }
    }

    /// The picture as a PNG file.
    pub fn to_png(&self) -> Result<Vec<u8>, PictureError> {
        let refused = |source| PictureError::Encode { width: self.width, height: self.height, source };
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Balanced);
        let mut writer = encoder.write_header().map_err(refused)?;
        writer.write_image_data(&self.pixels).map_err(refused)?;
        writer.finish().map_err(refused)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHITE: Color = Color(255, 255, 255);
    const BLACK: Color = Color(0, 0, 0);

    #[test]
    fn png_reads_back_the_same() {
        let mut picture = Picture::new(37, 19, Color(10, 20, 30));
        picture.fill_round(Rect::new(3.5, 2.0, 20.0, 12.0), 4.0, WHITE, Color(200, 0, 0), 0.8);
        picture.line((0.0, 0.0), (37.0, 19.0), 2.0, BLACK, 1.0);
        let bytes = picture.to_png().unwrap();
        assert_eq!(bytes, picture.to_png().unwrap());
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height, pixels), (37, 19, picture.pixels));
    }

    #[test]
    fn an_empty_picture_is_an_error() {
        let error = Picture::new(0, 5, BLACK).to_png().unwrap_err().to_string();
        assert!(error.starts_with("cannot encode a PNG of 0 x 5 pixels"), "{error}");
    }

    #[test]
    fn half_a_pixel_is_half_covered() {
        let mut picture = Picture::new(4, 1, BLACK);
        picture.fill(Rect::new(0.5, 0.0, 2.0, 1.0), WHITE, 1.0);
        let grey: Vec<u8> = (0..4).map(|x| picture.pixel(x, 0).0).collect();
        assert_eq!(grey, [128, 255, 128, 0]);
    }

    #[test]
    fn shapes_outside_are_clipped() {
        let mut picture = Picture::new(8, 8, BLACK);
        let white = TextStyle { size: 10.0, color: WHITE, bold: false, align: Align::Left };
        picture.fill(Rect::new(-1e9, -1e9, 5e8, 5e8), WHITE, 1.0);
        picture.fill_round(Rect::new(100.0, 3.0, 50.0, 50.0), 9.0, WHITE, WHITE, 1.0);
        picture.line((-50.0, -5.0), (90.0, -5.0), 3.0, WHITE, 1.0);
        picture.strokes(&[vec![], vec![(f32::NAN, 2.0)], vec![(f32::INFINITY, 2.0)]], 3.0, WHITE, 1.0);
        picture.text((500.0, 4.0), "gone", white);
        assert_eq!(picture, Picture::new(8, 8, BLACK));
    }

    #[test]
    fn a_crossing_is_laid_on_once() {
        let mut picture = Picture::new(9, 9, BLACK);
        let cross = [vec![(0.0, 4.5), (9.0, 4.5)], vec![(4.5, 0.0), (4.5, 9.0)]];
        picture.strokes(&cross, 3.0, WHITE, 0.5);
        assert_eq!(picture.pixel(4, 4), picture.pixel(4, 1));
    }
}
