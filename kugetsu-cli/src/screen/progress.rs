//! Showing what happens while it happens: live on a terminal, in plain lines elsewhere, as JSON for
//! programs.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use kugetsu_core::{Event, Timestamp};

use super::teller::{Line, Teller, Voice};
use super::{Screen, Tone, escape, live, time};
use crate::errors::CliError;

/// The place where several tasks are shown.
pub(crate) struct Progress {
    screen: Arc<Screen>,
    live: Option<MultiProgress>,
}

/// One task that is shown.
pub(crate) struct Watch {
    screen: Arc<Screen>,
    live: Option<(MultiProgress, ProgressBar)>,
    /// In front of each line, where several tasks are shown.
    name: String,
    began: Option<Timestamp>,
    pub(crate) heard: Teller,
    trouble: Option<CliError>,
}

impl Progress {
    pub(crate) fn new(screen: &Arc<Screen>) -> Self {
        let live = (screen.terminals.error && !screen.json)
            .then(|| MultiProgress::with_draw_target(live::target(screen)));
        Self { screen: Arc::clone(screen), live }
    }

    /// Shows a task. `name` stands in front of its lines, `title` beside its spinner.
    pub(crate) fn watch(&self, name: &str, title: &str) -> Watch {
        let live = self.live.as_ref().map(|live| {
            let bar = live.add(ProgressBar::new_spinner());
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} {prefix}  {passed}  {wide_msg}")
            {
                let passed = |state: &ProgressState, out: &mut dyn Write| {
                    let _ = out.write_str(&time::stopwatch(state.elapsed()));
                };
                bar.set_style(
                    style.tick_chars(&format!("{} ", live::SPINNER)).with_key("passed", passed),
                );
            }
            bar.set_prefix(self.screen.remarked(Tone::Strong, title));
            bar.enable_steady_tick(Duration::from_millis(100));
            (live.clone(), bar)
        });
        let screen = Arc::clone(&self.screen);
        Watch {
            screen,
            live,
            name: name.to_owned(),
            began: None,
            heard: Teller::default(),
            trouble: None,
        }
    }

    /// Shows how much of a whole is done, on a terminal; `None` elsewhere.
    #[cfg(feature = "demo")]
    pub(crate) fn bar(&self, title: &str) -> Option<Bar> {
        let live = self.live.clone()?;
        let bar = live.add(ProgressBar::new(PARTS));
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {bar:16}  {wide_msg}")
        {
            bar.set_style(style.tick_chars(&format!("{} ", live::SPINNER)).progress_chars("█▌░"));
        }
        bar.set_prefix(self.screen.remarked(Tone::Strong, title));
        bar.enable_steady_tick(Duration::from_millis(100));
        Some(Bar { live, bar })
    }

    /// Shows nothing any more, so that the terminal is free when this process ends at once.
    pub(crate) fn leave(&self) {
        if let Some(area) = &self.live {
            let _ = area.clear();
            area.set_draw_target(ProgressDrawTarget::hidden());
        }
    }

    /// A line beside what is shown.
    pub(crate) fn remark(&self, line: &str) {
        match &self.live {
            Some(area) => {
                let _ = area.println(line);
            }
            None if !self.screen.json => self.screen.remark(line),
            None => {}
        }
    }
}

/// How finely a [`Bar`] is drawn.
#[cfg(feature = "demo")]
const PARTS: u64 = 1000;

/// How much of a whole is done. Dropping it takes it from the screen.
#[cfg(feature = "demo")]
pub(crate) struct Bar {
    live: MultiProgress,
    bar: ProgressBar,
}

#[cfg(feature = "demo")]
impl Bar {
    /// So much is done, from 0 to 1, and this is said beside it.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    pub(crate) fn draw(&self, done: f64, message: &str) {
        self.bar.set_position((done.clamp(0.0, 1.0) * PARTS as f64) as u64);
        self.bar.set_message(message.to_owned());
    }
}

#[cfg(feature = "demo")]
impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        self.live.remove(&self.bar);
    }
}

impl Watch {
    /// Shows what happened.
    pub(crate) fn tell(&mut self, event: &Event) {
        if self.screen.json {
            self.heard.hear(event);
            if let Err(error) = self.screen.answer(event) {
                self.trouble.get_or_insert(error);
            }
            return;
        }
        if self.began.is_none() {
            self.began = Some(event.at);
            // What was waited does not count.
            if let Some((_, bar)) = &self.live {
                bar.reset_elapsed();
            }
        }
        let lines = self.heard.hear(event);
        self.show(lines);
        self.refresh();
    }

    /// The first thing that could not be written, told once.
    pub(crate) fn trouble(&mut self) -> Result<(), CliError> {
        self.trouble.take().map_or(Ok(()), Err)
    }

    /// Says what is being waited for.
    pub(crate) fn waits(&mut self, what: &str) {
        what.clone_into(&mut self.heard.doing);
        match &self.live {
            Some(_) => self.refresh(),
            None if !self.screen.json => {
                self.screen.remark(format!("{}{}", self.name, escape::line(what)));
            }
            None => {}
        }
    }

    /// Shows what is left to show, and then nothing more.
    pub(crate) fn end(&mut self) {
        if !self.screen.json {
            let rest = self.heard.rest();
            self.show(rest);
        }
        if let Some((live, bar)) = self.live.take() {
            bar.finish_and_clear();
            live.remove(&bar);
        }
    }

    fn show(&self, lines: Vec<Line>) {
        for line in lines {
            let line = self.drawn(&line);
            match &self.live {
                Some((area, _)) => {
                    let _ = area.println(line);
                }
                None => self.screen.remark(line),
            }
        }
    }

    fn drawn(&self, line: &Line) -> String {
        let passed = line.at.since(self.began.unwrap_or(line.at));
        let (label, text) = match line.voice {
            Voice::Kugetsu | Voice::Thinks => (Tone::Faint, Tone::Faint),
            Voice::Says => (Tone::Plain, Tone::Plain),
            Voice::Did => (Tone::Good, Tone::Plain),
            Voice::Failed => (Tone::Bad, Tone::Plain),
        };
        let paint = |tone, text: &str| self.screen.remarked(tone, text);
        format!(
            "{} {}{} {}",
            paint(Tone::Faint, &format!("{:>5}", time::stopwatch(passed))),
            self.name,
            paint(label, &format!("{:<8}", line.label)),
            paint(text, &line.text),
        )
    }

    fn refresh(&self) {
        let Some((_, bar)) = &self.live else { return };
        let tokens = match self.heard.usage.total() {
            0 => String::new(),
            total => format!("{} tokens  ", time::grouped(total)),
        };
        bar.set_message(format!("{tokens}{}", self.heard.doing));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}
