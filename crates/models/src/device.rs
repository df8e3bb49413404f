//! From the word after `--device` to a device.

use candle_core::{Device, Result};

/// Opens `auto`, `cpu`, `cuda`, `cuda:N` or `metal`. `auto` takes the first graphics processor that this
/// build was made for and that answers, else the processor.
pub fn open(name: &str) -> Result<Device> {
    match name {
        "auto" => Ok(first_present()),
        "cpu" => Ok(Device::Cpu),
        "cuda" => cuda(0),
        "metal" => metal(),
        other => match other.strip_prefix("cuda:").map(str::parse) {
            Some(Ok(ordinal)) => cuda(ordinal),
            _ => refuse!("unknown device `{other}`: use auto, cpu, cuda, cuda:N or metal"),
        },
    }
}

fn first_present() -> Device {
    let mut present = Device::Cpu;
    if cfg!(feature = "cuda") {
        present = Device::new_cuda(0).unwrap_or(present);
    }
    if cfg!(feature = "metal") {
        present = Device::new_metal(0).unwrap_or(present);
    }
    present
}

fn cuda(ordinal: usize) -> Result<Device> {
    if !cfg!(feature = "cuda") {
        refuse!(
            "device `cuda:{ordinal}` is not in this build: build with --features cuda, or use --device cpu"
        );
    }
    Device::new_cuda(ordinal)
}

fn metal() -> Result<Device> {
    if !cfg!(feature = "metal") {
        refuse!("device `metal` is not in this build: build with --features metal, or use --device cpu");
    }
    Device::new_metal(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, why: &str) {
        let error = open(name).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(why), "{name}: {error}");
    }

    #[test]
    fn the_processor_is_always_there() {
        assert!(open("cpu").unwrap().is_cpu());
        open("auto").unwrap();
    }

    #[test]
    fn unknown_words_are_refused() {
        for name in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "CPU"] {
            refused(name, "unknown device");
        }
    }

    #[test]
    #[cfg(not(any(feature = "cuda", feature = "metal")))]
    fn what_the_build_lacks_is_named() {
        refused("cuda:3", "--features cuda");
        refused("metal", "--features metal");
        assert!(open("auto").unwrap().is_cpu());
    }
}
