//! What is set up before anything else: the clock, one line for a panic, Ctrl-C.

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::exit::Exit;
use crate::print::one_line;

static STARTED: OnceLock<Instant> = OnceLock::new();
static GENTLE: AtomicBool = AtomicBool::new(false);
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Call it first in `main`. Takes the time, makes a panic one line with exit 1, and Ctrl-C exit 130.
///
/// Ctrl-C removes the files that are half written. What survives a `kill -9` is removed by the next run
/// that writes into the same folder (see `batch::write_whole`).
pub fn start() {
    STARTED.get_or_init(Instant::now);
    std::panic::set_hook(Box::new(on_panic));
    // Fails only where SIGINT is ignored (a job in the background), which is then kept.
    let _ = ctrlc::try_set_handler(on_interrupt);
}

fn on_interrupt() {
    if GENTLE.load(Ordering::Relaxed) && !INTERRUPTED.swap(true, Ordering::Relaxed) {
        return;
    }
    batch::remove_temporary_files_and(|| std::process::exit(Exit::Interrupted as i32))
}

/// From now on the first Ctrl-C only makes [`interrupted`] true, so that a training can save and stop;
/// the second ends the process.
pub fn stop_gently() {
    GENTLE.store(true, Ordering::Relaxed);
}

/// Whether Ctrl-C came since [`stop_gently`].
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Forgets a Ctrl-C that came since [`stop_gently`]: what it stopped is over.
pub fn go_on() {
    INTERRUPTED.store(false, Ordering::Relaxed);
}

/// Seconds since the process began: by the system's account of it where there is one (Linux, to a
/// hundredth), else since [`start`].
pub fn seconds_since_start() -> f64 {
    let measured = STARTED.get_or_init(Instant::now).elapsed();
    let told = since_exec().unwrap_or(measured);
    // A clock that contradicts ours (containers that show another machine's uptime) is not believed.
    let plausible = told >= measured && told < measured + Duration::from_secs(2);
    if plausible { told.as_secs_f64() } else { measured.as_secs_f64() }
}

#[cfg(target_os = "linux")]
fn since_exec() -> Option<Duration> {
    const TICKS_A_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the name in brackets, which may hold anything; the start is the 22nd.
    let ticks: f64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let uptime: f64 =
        std::fs::read_to_string("/proc/uptime").ok()?.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(uptime - ticks / TICKS_A_SECOND).ok()
}

#[cfg(not(target_os = "linux"))]
fn since_exec() -> Option<Duration> {
    None
}

fn on_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    if text.starts_with("failed printing to stdout") {
        std::process::exit(Exit::Done as i32);
    }
    // A batch catches the panic of one item, lists it among the failures and goes on.
    if batch::in_item() {
        return;
    }
    let place = panic.location().map_or(String::new(), |place| format!(" at {place}"));
    let line = one_line(&format!("error: internal error, please report it: {text}{place}"));
    let _ = writeln!(std::io::stderr(), "{line}");
    if std::env::var_os("RUST_BACKTRACE").is_some_and(|wanted| wanted != "0") {
        let _ = writeln!(std::io::stderr(), "{}", std::backtrace::Backtrace::force_capture());
    }
    batch::remove_temporary_files();
    std::process::exit(Exit::Failed as i32)
}
