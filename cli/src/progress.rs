//! Progress bars: on a terminal only, and never over a quiet run.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::console::Console;

/// A bar over `bytes` bytes of `what`.
pub fn bytes(console: &Console, what: &'static str, bytes: u64) -> ProgressBar {
    bar(
        console,
        ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::hidden()),
        "{msg:>9} {bar:30} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}",
        what,
    )
}

/// A sign that `what` is being done, for as long as it takes.
pub fn spinner(console: &Console, what: &'static str) -> ProgressBar {
    let spinner = bar(
        console,
        ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()),
        "{msg:>9} {spinner} {elapsed}",
        what,
    );
    if console.shows_progress() {
        spinner.enable_steady_tick(std::time::Duration::from_millis(100));
    }
    spinner
}

fn bar(console: &Console, bar: ProgressBar, template: &str, what: &'static str) -> ProgressBar {
    if console.shows_progress() {
        // The templates are constants; a wrong one would only show the default bar.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        bar.set_draw_target(ProgressDrawTarget::stderr());
    }
    bar
}
