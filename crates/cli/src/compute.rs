//! Where and how to compute: device, number format, threads, seed.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use clap::Args;

/// The device to compute on. The tensor side takes its text (`to_string()`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The best that this build and this machine have.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The NVIDIA card of this number.
    Cuda(usize),
    /// Apple's graphics processor.
    Metal,
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "metal" => Ok(Self::Metal),
            _ => text
                .strip_prefix("cuda:")
                .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|number| number.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| "use auto, cpu, cuda, cuda:N or metal".to_string()),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(0) => f.write_str("cuda"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

/// The number format of the weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dtype {
    /// As stored, accumulated in f32.
    #[default]
    Auto,
    /// 32-bit floats, exact for every stored format.
    F32,
    /// Brain floats of 16 bits.
    Bf16,
    /// Half floats of 16 bits.
    F16,
    /// Linear weights in 8 bits, scaled row by row at load.
    Q8,
}

impl FromStr for Dtype {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            "f16" => Ok(Self::F16),
            "q8" => Ok(Self::Q8),
            _ => Err("use auto, f32, bf16, f16 or q8".to_string()),
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Q8 => "q8",
        })
    }
}

impl Dtype {
    /// Whether a training multiplies in bf16, with weights and sums in f32: it does unless `--dtype f32` says not to.
    ///
    /// # Errors
    /// Formats that nothing is learned in.
    pub fn trains_in_bf16(self) -> Result<bool> {
        match self {
            Self::Auto | Self::Bf16 => Ok(true),
            Self::F32 => Ok(false),
            Self::F16 | Self::Q8 => {
                Err(crate::usage(format!("--dtype {self} is not for training: use bf16 or f32")))
            }
        }
    }
}

/// `--device`, `--dtype`, `--threads`, `--seed`.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Compute")]
pub struct ComputeArgs {
    /// Where to compute: auto, cpu, cuda, cuda:N or metal
    #[arg(long, default_value_t, value_name = "DEVICE")]
    pub device: Device,

    /// Number format of the weights: auto, f32, bf16, f16 or q8
    #[arg(long, default_value_t, value_name = "FORMAT")]
    pub dtype: Dtype,

    /// How many processor threads to use [default: one a physical core]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,

    /// Seed of the random numbers, 0 to 18446744073709551615 [default: drawn, and reported]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// What candle and rayon read to know how many threads to use.
const THREADS: &str = "RAYON_NUM_THREADS";
/// What the allocator reads to know when to give pages back; tensors take them again at once, so never.
const PURGE: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "-1");
/// The switch that computes with candle's own operators, for comparison; memory is then the allocator's affair too.
const KERNELS: (&str, &str) = ("ATELIER_KERNELS", "candle");

impl ComputeArgs {
    /// Makes `--threads` hold for the whole process; call it once, before any work.
    ///
    /// candle asks `RAYON_NUM_THREADS` at every product of matrices and, where it is not set, reads
    /// `/proc/cpuinfo` each time. A process cannot safely change its own environment, so on Unix it
    /// starts itself again in place (same process, about a millisecond) with the variable set, and with the
    /// allocator told to keep its pages, which it reads as it begins: a sixth of a large net's time was spent on
    /// faulting them in again.
    pub fn apply(&self) -> Result<()> {
        let threads = self.thread_count();
        start_again_with(threads);
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()
            .context("--threads came after the thread pool was made")
    }

    /// The number of threads that [`Self::apply`] sets: `--threads`, else `RAYON_NUM_THREADS`, else one
    /// a physical core that this process may use.
    pub fn thread_count(&self) -> usize {
        let asked = std::env::var(THREADS).ok().and_then(|text| text.parse().ok()).filter(|&count| count > 0);
        let free = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let cores = || num_cpus::get_physical().min(free()).max(1);
        self.threads.map(NonZeroUsize::get).or(asked).unwrap_or_else(cores)
    }

    /// `--seed`, or one that is drawn once a process, below 2^32 so that every JSON reader keeps it exactly.
    pub fn seed(&self) -> u64 {
        static DRAWN: OnceLock<u64> = OnceLock::new();
        self.seed.unwrap_or_else(|| {
            *DRAWN.get_or_init(|| RandomState::new().build_hasher().finish() & u64::from(u32::MAX))
        })
    }
}

/// Replaces this process by itself with the thread count in its environment, unless it is there already.
#[cfg(unix)]
fn start_again_with(threads: usize) {
    use std::os::unix::process::CommandExt;
    const ONCE: &str = "ATELIER_THREADS_SET";

    let wanted = threads.to_string();
    let keeps = std::env::var_os(PURGE.0).is_none()
        && std::env::var_os(KERNELS.0).is_none_or(|word| word != KERNELS.1);
    let is_set = std::env::var(THREADS).is_ok_and(|text| text == wanted) && !keeps;
    if is_set || std::env::var_os(ONCE).is_some_and(|id| id == std::process::id().to_string().as_str()) {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut command = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    // Where this fails the process goes on: only candle's own guess of the thread count differs then.
    command.args(arguments).env(THREADS, wanted);
    if keeps {
        command.env(PURGE.0, PURGE.1);
    }
    let _ = command.env(ONCE, std::process::id().to_string()).exec();
}

#[cfg(not(unix))]
fn start_again_with(_threads: usize) {}
