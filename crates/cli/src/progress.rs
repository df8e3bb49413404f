//! Progress on stderr: bars on a terminal, status lines anywhere, nothing with `-q`.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::args::TalkArgs;
use crate::print::one_line;

/// Where progress goes. One a process; clones share the terminal.
#[derive(Clone, Debug)]
pub struct Progress {
    bars: MultiProgress,
    quiet: bool,
    verbose: bool,
    coloured: bool,
    /// Whether the bars that there are suffice.
    full: Arc<AtomicBool>,
}

impl Progress {
    /// Bars show when stderr is a terminal and `-q` was not given; `NO_COLOR` takes the colours away.
    pub fn new(talk: &TalkArgs) -> Self {
        let shown = std::io::stderr().is_terminal() && !talk.quiet;
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let coloured = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            bars: MultiProgress::with_draw_target(target),
            quiet: talk.quiet,
            verbose: talk.verbose,
            coloured,
            full: Arc::default(),
        }
    }

    /// From now on only the bars that are there already are shown: several things at work at a time would tear each
    /// other's.
    pub(crate) fn show_no_more_bars(&self) {
        self.full.store(true, Ordering::Relaxed);
    }

    /// A bar that counts steps.
    pub fn bar(&self, total: u64, label: &str) -> Bar {
        self.add(ProgressBar::new(total), label, "{prefix} BAR {pos}/{len} {rate} ETA {eta} {msg}")
    }

    /// A bar that counts bytes.
    pub fn bytes(&self, total: u64, label: &str) -> Bar {
        let form = "{prefix} BAR {bytes}/{total_bytes} {bytes_per_sec} ETA {eta} {msg}";
        self.add(ProgressBar::new(total), label, form)
    }

    /// A sign of life for work of unknown length.
    pub fn spinner(&self, label: &str) -> Bar {
        let bar = self.add(ProgressBar::new_spinner(), label, "{spinner} {prefix} {elapsed} {msg}");
        if !self.bars.is_hidden() && !bar.0.is_hidden() {
            bar.0.enable_steady_tick(Duration::from_millis(100));
        }
        bar
    }

    /// A line on stderr, unless `-q`.
    pub fn status(&self, line: impl AsRef<str>) {
        if !self.quiet {
            self.say(line.as_ref());
        }
    }

    /// A line on stderr, with `-v` only.
    pub fn detail(&self, line: impl AsRef<str>) {
        if self.verbose {
            self.say(line.as_ref());
        }
    }

    /// A line on stderr whatever the flags: something failed that does not end the run.
    pub fn error(&self, line: impl AsRef<str>) {
        self.say(line.as_ref());
    }

    fn say(&self, line: &str) {
        // Above the bars, so that they are not torn; nobody is left to tell if stderr is closed.
        self.bars.suspend(|| {
            let _ = writeln!(std::io::stderr(), "{}", one_line(line));
        });
    }

    fn add(&self, bar: ProgressBar, label: &str, form: &str) -> Bar {
        let form = form.replace("BAR", if self.coloured { "{wide_bar:.cyan/blue}" } else { "{wide_bar}" });
        let bar = match self.full.load(Ordering::Relaxed) {
            true => ProgressBar::hidden(),
            false => self.bars.add(bar),
        };
        if let Ok(style) = ProgressStyle::with_template(&form) {
            bar.set_style(style.with_key("rate", rate));
        }
        bar.set_prefix(one_line(label));
        Bar(bar)
    }
}

fn rate(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    // A rate that cannot be written leaves a gap in the bar and no more.
    let _ = write!(out, "{:.1}/s", state.per_sec());
}

/// One bar or spinner; it goes away when it is dropped.
#[derive(Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// One step more.
    pub fn tick(&self) {
        self.0.inc(1);
    }

    /// So many steps in all.
    pub fn set(&self, position: u64) {
        self.0.set_position(position);
    }

    /// The total, where it is known only later.
    pub fn total(&self, total: u64) {
        self.0.set_length(total);
    }

    /// What stands behind the bar, such as a loss.
    pub fn message(&self, text: impl AsRef<str>) {
        self.0.set_message(one_line(text.as_ref()));
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
