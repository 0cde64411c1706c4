//! Progress on standard error: a bar on a terminal, plain lines otherwise.

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use longhaul::run::{Observer, Stage};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Without a terminal a line is printed this often at most.
const LINE_EVERY: Duration = Duration::from_secs(10);

pub struct Progress {
    bar: Option<ProgressBar>,
    done: u64,
    planned: u64,
    last_line: Instant,
}

impl Progress {
    pub fn new() -> Progress {
        let style = "{spinner} {pos}/{len} [{bar:30}] {elapsed}  {msg}";
        let bar = std::io::stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template(style).expect("a constant template that parses").progress_chars("=> ");
            ProgressBar::new(0).with_style(style)
        });
        Progress { bar, done: 0, planned: 0, last_line: Instant::now() }
    }

    /// Takes the bar off the screen.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => {
                let _ = writeln!(std::io::stderr(), "{text}");
            }
        }
    }
}

impl Observer for Progress {
    fn planned(&mut self, executions: u64, made_before: u64) {
        (self.planned, self.done) = (executions, made_before);
        let resumed = match made_before {
            0 => String::new(),
            _ => format!(", {made_before} of them made before the interruption"),
        };
        if made_before > 0 || self.bar.is_none() {
            self.line(&format!("{executions} executions planned{resumed}"));
        }
        if let Some(bar) = &self.bar {
            bar.set_length(executions);
            bar.set_position(made_before);
            bar.enable_steady_tick(Duration::from_millis(200));
        }
    }

    fn starting(&mut self, cell: &str, stage: Stage, left: Option<Duration>) {
        let run = match stage {
            Stage::Repetition(repetition, of) => format!("repetition {} of {of}", repetition + 1),
            Stage::WarmUp => "warm-up".to_string(),
            Stage::Images(images, of) => format!("images {} to {} of {of}", images.start + 1, images.end),
        };
        let left = left.map_or(String::new(), |left| format!("; about {} left", HumanDuration(left)));
        let text = format!("{cell}, {run}{left}");
        // Automatic repetitions are more than were planned.
        self.planned = self.planned.max(self.done + 1);
        match &self.bar {
            Some(bar) => {
                bar.set_length(self.planned);
                bar.set_message(text);
            }
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                self.line(&format!("{}/{}: {text}", self.done + 1, self.planned));
            }
            None => {}
        }
    }

    fn finished(&mut self) {
        self.done += 1;
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
        }
    }

    fn warning(&mut self, text: &str) {
        self.line(&format!("warning: {text}"));
    }
}
