//! Pictures to tensors and back.

use candle_core::{DType, Device, Result, Tensor, bail};
use media::image_file::Pixels;

/// Pictures of the same sides as (batch, channels, height, width) from -1 to 1. With 4 channels the last says how opaque a
/// pixel is, and colours are those over grey; with 3 they are over white, as nothing shines through then.
///
/// # Errors
/// Pictures of several sides, and another number of channels.
pub fn to_tensor(pictures: &[&Pixels], channels: usize, device: &Device) -> Result<Tensor> {
    let Some(first) = pictures.first() else { bail!("no pictures") };
    let (width, height) = (first.width as usize, first.height as usize);
    let mut values = Vec::with_capacity(pictures.len() * channels * width * height);
    for picture in pictures {
        if (picture.width, picture.height) != (first.width, first.height) {
            bail!("pictures of several sizes");
        }
        let flat = if channels == 3 { &picture.over([255; 3]) } else { picture };
        for channel in 0..channels {
            values.extend(flat.rgba.chunks_exact(4).map(|pixel| {
                let value = f32::from(pixel[channel]) / 127.5 - 1.;
                if channels == 4 && channel < 3 { value * f32::from(pixel[3]) / 255. } else { value }
            }));
        }
    }
    Tensor::from_vec(values, (pictures.len(), channels, height, width), device)
}

/// The reverse of [`to_tensor`], each value rounded to 8 bits as diffusers does: half to even.
///
/// # Errors
/// Another number of channels than 3 or 4.
pub fn from_tensor(xs: &Tensor) -> Result<Vec<Pixels>> {
    let (batch, channels, height, width) = xs.dims4()?;
    if channels != 3 && channels != 4 {
        bail!("pictures of {channels} channels, and there can be 3 or 4");
    }
    let xs = xs.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
    let places = width * height;
    (0..batch)
        .map(|i| {
            let values = xs.get(i)?.flatten_all()?.to_vec1::<f32>()?;
            let level = |x: f32| ((x / 2. + 0.5).clamp(0., 1.) * 255.).round_ties_even() as u8;
            let pixel = |place: usize| {
                let at = |channel: usize| values[channel * places + place];
                if channels == 3 {
                    return [level(at(0)), level(at(1)), level(at(2)), 255];
                }
                let opaque = (at(3) / 2. + 0.5).clamp(0., 1.);
                let colour = |channel| if opaque > 0. { level(at(channel) / opaque) } else { 0 };
                match level(at(3)) {
                    0 => [0; 4],
                    alpha => [colour(0), colour(1), colour(2), alpha],
                }
            };
            let rgba = (0..places).flat_map(pixel).collect();
            Ok(Pixels { width: width as u32, height: height as u32, rgba })
        })
        .collect()
}

/// Blocks of `by` x `by` pixels as channels of one place, in the order of PyTorch's `pixel_unshuffle`.
///
/// # Errors
/// Sides that are no multiple of `by`.
pub fn unshuffle(xs: &Tensor, by: usize) -> Result<Tensor> {
    let (batch, channels, height, width) = xs.dims4()?;
    xs.reshape((batch, channels, height / by, by, width / by, by))?
        .permute((0, 1, 3, 5, 2, 4))?
        .reshape((batch, channels * by * by, height / by, width / by))?
        .contiguous()
}

/// The reverse of [`unshuffle`].
///
/// # Errors
/// Channels that are no multiple of `by` squared.
pub fn shuffle(xs: &Tensor, by: usize) -> Result<Tensor> {
    let (batch, channels, height, width) = xs.dims4()?;
    xs.reshape((batch, channels / (by * by), by, by, height, width))?
        .permute((0, 1, 4, 2, 5, 3))?
        .reshape((batch, channels / (by * by), height * by, width * by))?
        .contiguous()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_picture_comes_back_as_it_was() {
        let rgba =
            (0..8 * 4u32).flat_map(|i| if i % 3 == 0 { [0; 4] } else { [i as u8, 200, 3 * i as u8, 255] });
        let picture = Pixels { width: 8, height: 4, rgba: rgba.collect() };
        let xs = to_tensor(&[&picture, &picture], 4, &Device::Cpu).unwrap();
        let back = shuffle(&unshuffle(&xs, 2).unwrap(), 2).unwrap();
        assert_eq!(from_tensor(&back).unwrap(), [picture.clone(), picture.clone()]);
        let opaque = picture.over([255; 3]);
        let xs = to_tensor(&[&picture], 3, &Device::Cpu).unwrap();
        assert_eq!(from_tensor(&xs).unwrap(), [opaque]);
    }

    #[test]
    fn blocks_are_in_pytorchs_order() {
        let xs = Tensor::arange(0f32, 16., &Device::Cpu).unwrap().reshape((1, 1, 4, 4)).unwrap();
        let ys = unshuffle(&xs, 2).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        // torch.nn.functional.pixel_unshuffle(torch.arange(16.).view(1, 1, 4, 4), 2)
        assert_eq!(ys, [0., 2., 8., 10., 1., 3., 9., 11., 4., 6., 12., 14., 5., 7., 13., 15.]);
    }
}
