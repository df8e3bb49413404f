//! The geometry of a convolution: checked once, then the same for it, its transpose and their gradients.

use candle_core::Result;

use super::Options;

/// One axis of a convolution from a big tensor to a small one: position `s` of the small one, and tap `k`, meet
/// position `s * stride + k * dilation - before` of the big one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub big: usize,
    pub small: usize,
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
    pub before: usize,
}

impl Axis {
    /// The axis that a convolution over time lacks.
    const NONE: Axis = Axis { big: 1, small: 1, kernel: 1, stride: 1, dilation: 1, before: 0 };
}

/// A convolution from a big tensor (batch, groups * big, ...) to a small one (batch, groups * small, ...) with the
/// weight (groups * small, big, ...). A transposed convolution goes the other way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    /// 1 for time, 2 for images.
    pub spatial: usize,
    pub batch: usize,
    pub groups: usize,
    /// Channels of a group on either side.
    pub big: usize,
    pub small: usize,
    /// Height and width; a height of 1 for time.
    pub axes: [Axis; 2],
}

impl Geometry {
    /// Of a convolution of `xs` (batch, channels, ...) with `weight` (outputs, channels / groups, ...).
    pub fn convolution<const N: usize>(xs: &[usize], weight: &[usize], options: &Options<N>) -> Result<Self> {
        check::<N>(xs, weight, options)?;
        let (channels, groups) = (xs[1], options.groups);
        if weight[1] * groups != channels || !weight[0].is_multiple_of(groups) {
            refuse!(
                "a convolution in {groups} groups does not take {channels} channels with a weight {weight:?}"
            );
        }
        if options.output_padding != [0; N] {
            refuse!("a convolution takes no output padding, only a transposed one: {options:?}");
        }
        let axes = axes(xs, weight, options, |big, span, i| {
            let (stride, (before, after)) = (options.stride[i], options.padding[i]);
            match (big + before + after).checked_sub(span) {
                Some(room) => Ok((big, room / stride + 1)),
                None if big == 0 => Ok((0, 0)),
                None => {
                    refuse!("a kernel that spans {span} is larger than {big} padded by {before} and {after}")
                }
            }
        })?;
        Ok(Geometry { spatial: N, batch: xs[0], groups, big: weight[1], small: weight[0] / groups, axes })
    }

    /// Of a transposed convolution of `xs` (batch, channels, ...) with `weight` (channels, outputs / groups, ...).
    pub fn transposed<const N: usize>(xs: &[usize], weight: &[usize], options: &Options<N>) -> Result<Self> {
        check::<N>(xs, weight, options)?;
        let (channels, groups) = (xs[1], options.groups);
        if weight[0] != channels || !channels.is_multiple_of(groups) {
            refuse!(
                "a transposed convolution in {groups} groups does not take {channels} channels with a weight {weight:?}"
            );
        }
        let axes = axes(xs, weight, options, |small, span, i| {
            let (stride, (before, after)) = (options.stride[i], options.padding[i]);
            let more = options.output_padding[i];
            if more >= stride.max(options.dilation[i]) && more > 0 {
                refuse!("an output padding of {more} is not below the stride {stride} or the dilation");
            }
            if small == 0 {
                return Ok((0, 0));
            }
            match ((small - 1) * stride + span + more).checked_sub(before + after) {
                Some(big) => Ok((big, small)),
                None => {
                    refuse!("a padding of {before} and {after} leaves nothing of a transposed convolution")
                }
            }
        })?;
        Ok(Geometry { spatial: N, batch: xs[0], groups, big: weight[1], small: channels / groups, axes })
    }

    /// The shape of the big tensor.
    pub fn big_dims(&self) -> Vec<usize> {
        self.dims(self.big, |axis| axis.big)
    }

    /// The shape of the small tensor.
    pub fn small_dims(&self) -> Vec<usize> {
        self.dims(self.small, |axis| axis.small)
    }

    /// The shape of the weight.
    #[cfg(test)]
    pub fn weight_dims(&self) -> Vec<usize> {
        let kernel = self.axes[2 - self.spatial..].iter().map(|axis| axis.kernel);
        [self.groups * self.small, self.big].into_iter().chain(kernel).collect()
    }

    fn dims(&self, channels: usize, length: impl Fn(&Axis) -> usize) -> Vec<usize> {
        let lengths = self.axes[2 - self.spatial..].iter().map(length);
        [self.batch, self.groups * channels].into_iter().chain(lengths).collect()
    }

    /// The same with the rows of an image as one, where each value meets itself alone.
    pub fn joined(self) -> Self {
        let alone =
            |axis: &Axis| axis.kernel == 1 && axis.stride == 1 && axis.before == 0 && axis.big == axis.small;
        if !self.axes.iter().all(alone) {
            return self;
        }
        let places = self.axes[0].big * self.axes[1].big;
        Geometry { axes: [Axis::NONE, Axis { big: places, small: places, ..Axis::NONE }], ..self }
    }

    /// Taps of a kernel.
    pub fn taps(&self) -> usize {
        self.axes[0].kernel * self.axes[1].kernel
    }
}

fn check<const N: usize>(xs: &[usize], weight: &[usize], options: &Options<N>) -> Result<()> {
    if N != 1 && N != 2 {
        refuse!("a convolution over {N} axes is not one over time or an image");
    }
    if xs.len() != N + 2 || weight.len() != N + 2 {
        refuse!("a convolution over {N} axes takes {} dimensions, not {xs:?} with {weight:?}", N + 2);
    }
    if options.groups == 0 || options.stride.contains(&0) || options.dilation.contains(&0) {
        refuse!("a convolution without groups, stride or dilation: {options:?}");
    }
    if weight.contains(&0) {
        refuse!("a convolution with an empty weight {weight:?}");
    }
    Ok(())
}

/// Axes out of the rule for lengths: from the input's length and the kernel's span to the big and small length.
fn axes<const N: usize>(
    xs: &[usize],
    weight: &[usize],
    options: &Options<N>,
    lengths: impl Fn(usize, usize, usize) -> Result<(usize, usize)>,
) -> Result<[Axis; 2]> {
    let mut axes = [Axis::NONE; 2];
    for i in 0..N {
        let (kernel, stride, dilation) = (weight[2 + i], options.stride[i], options.dilation[i]);
        let (big, small) = lengths(xs[2 + i], dilation * (kernel - 1) + 1, i)?;
        axes[2 - N + i] = Axis { big, small, kernel, stride, dilation, before: options.padding[i].0 };
    }
    Ok(axes)
}
