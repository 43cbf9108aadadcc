//! What people and programs see.

pub(crate) mod escape;
pub(crate) mod fold;
mod live;
pub(crate) mod progress;
pub(crate) mod table;
pub(crate) mod teller;
pub(crate) mod time;

use std::borrow::Cow;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use kugetsu_queue::Mask;
use serde::Serialize;
use serde_json::Value;

use crate::args::Color;
use crate::errors::CliError;
use crate::surroundings::{Surroundings, Terminals};

/// The streams. The answer goes to the output, and everything else to the error stream.
pub(crate) struct Screen {
    /// What is hidden in all that is said, once it is known.
    mask: OnceLock<Arc<Mask>>,
    input: Mutex<Box<dyn BufRead + Send>>,
    output: Mutex<Box<dyn Write + Send>>,
    error: Mutex<Box<dyn Write + Send>>,
    pub(crate) terminals: Terminals,
    pub(crate) json: bool,
    paint: Paint,
    home: Option<PathBuf>,
}

/// Whether the streams may be coloured.
#[derive(Debug, Clone, Copy)]
struct Paint {
    output: bool,
    error: bool,
}

/// How a piece of text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Faint,
    Good,
    Bad,
}

impl Screen {
    pub(crate) fn new(around: &mut Surroundings, json: bool, color: Color) -> Self {
        let set = |name| around.variable(name).is_some_and(|value| !value.is_empty());
        let dumb = around.variable("TERM").is_some_and(|term| term == "dumb");
        let forced =
            set("CLICOLOR_FORCE") && around.variable("CLICOLOR_FORCE") != Some("0".as_ref());
        let may = |terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if set("NO_COLOR") => false,
            Color::Auto => forced || (terminal && !dumb),
        };
        let paint =
            Paint { output: may(around.terminals.output), error: may(around.terminals.error) };
        let mut terminals = around.terminals;
        // A terminal that cannot move its cursor is read like a file.
        terminals.error &= !dumb;
        Self {
            input: Mutex::new(std::mem::replace(&mut around.input, Box::new(io::empty()))),
            output: Mutex::new(std::mem::replace(&mut around.output, Box::new(io::sink()))),
            error: Mutex::new(std::mem::replace(&mut around.error, Box::new(io::sink()))),
            terminals,
            json,
            paint,
            mask: OnceLock::new(),
            home: around.variable("HOME").filter(|home| !home.is_empty()).map(PathBuf::from),
        }
    }

    /// Hides these secrets in all that is said from now on.
    pub(crate) fn hide(&self, mask: Mask) {
        let _ = self.mask.set(Arc::new(mask));
    }

    /// What is hidden in all that is said.
    pub(crate) fn mask(&self) -> Arc<Mask> {
        self.mask.get().cloned().unwrap_or_default()
    }

    /// The text without secrets, before it is cut to a glimpse.
    pub(crate) fn masked<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.mask.get().map_or(Cow::Borrowed(text), |mask| mask.text(text))
    }

    /// A line of the answer. It is an error if it cannot be written, unless its reader has gone.
    pub(crate) fn say(&self, line: impl AsRef<str>) -> Result<(), CliError> {
        self.reveal(&self.masked(line.as_ref()))
    }

    /// A line of the answer as it is, with the secrets in it.
    pub(crate) fn reveal(&self, line: &str) -> Result<(), CliError> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        match writeln!(output, "{line}").and_then(|()| output.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(CliError::io("write the answer", &error))
            }
            _ => Ok(()),
        }
    }

    /// A line of commentary. Nobody is told if it cannot be written: there is nowhere to say it.
    pub(crate) fn remark(&self, line: impl AsRef<str>) {
        let mut error = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(error, "{}", self.masked(line.as_ref())).and_then(|()| error.flush());
    }

    /// A drawing beside the commentary, on a terminal. Nobody is told if it cannot be written.
    fn draw(&self, drawing: &str) {
        let mut error = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = error.write_all(drawing.as_bytes()).and_then(|()| error.flush());
    }

    /// The answer as JSON, in one line.
    pub(crate) fn answer(&self, value: &impl Serialize) -> Result<(), CliError> {
        let told = |error| CliError::failed(format!("could not write JSON: {error}"));
        let mut value = serde_json::to_value(value).map_err(told)?;
        self.mask_within(&mut value);
        self.reveal(&value.to_string())
    }

    /// Masks texts and not the document that they stand in, which stays one.
    fn mask_within(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(masked) = self.masked(text) {
                    *text = masked;
                }
            }
            Value::Array(all) => all.iter_mut().for_each(|one| self.mask_within(one)),
            Value::Object(all) => all.values_mut().for_each(|one| self.mask_within(one)),
            _ => {}
        }
    }

    /// Asks, and takes anything but a yes for a no. Only where a person can answer.
    pub(crate) fn confirm(&self, question: &str) -> Result<bool, CliError> {
        let answer = self.ask(&format!("{question} [y/N] "))?;
        Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Asks for a line. Only where a person can answer.
    pub(crate) fn ask(&self, question: &str) -> Result<String, CliError> {
        self.draw(question);
        let mut answer = String::new();
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        input.read_line(&mut answer).map_err(|error| CliError::io("read the answer", &error))?;
        Ok(answer.trim().to_owned())
    }

    /// How many columns the output has, if it is a terminal.
    pub(crate) fn width(&self) -> Option<usize> {
        if !self.terminals.output {
            return None;
        }
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
        Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
    }

    /// Whether colours are wanted at all.
    pub(crate) fn may_paint(&self) -> bool {
        self.paint.output || self.paint.error
    }

    /// Whether the answer may be coloured.
    pub(crate) fn paints_output(&self) -> bool {
        self.paint.output
    }

    /// Whether somebody is there to be asked.
    pub(crate) fn can_ask(&self) -> bool {
        self.terminals.input && self.terminals.error && !self.json
    }

    /// All that there is to read.
    pub(crate) fn read_all(&self) -> Result<String, CliError> {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        input
            .read_to_string(&mut text)
            .map_err(|error| CliError::io("read the message from the input", &error))?;
        Ok(text)
    }

    /// The text in this tone, for the output.
    pub(crate) fn painted(&self, tone: Tone, text: &str) -> String {
        paint(self.paint.output, tone, text)
    }

    /// The text in this tone, for the commentary.
    pub(crate) fn remarked(&self, tone: Tone, text: &str) -> String {
        paint(self.paint.error, tone, text)
    }

    /// A path as people read it: with `~`, and with nothing hidden in it.
    pub(crate) fn path(&self, path: &Path) -> String {
        let short = self.home.as_ref().and_then(|home| path.strip_prefix(home).ok());
        let shown = match short {
            Some(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
            Some(rest) => format!("~/{}", rest.display()),
            None => path.display().to_string(),
        };
        escape::line(&shown)
    }
}

fn paint(may: bool, tone: Tone, text: &str) -> String {
    let code = match tone {
        Tone::Strong => "1",
        Tone::Faint => "2",
        Tone::Good => "32",
        Tone::Bad => "31",
        Tone::Plain => return text.to_owned(),
    };
    if may && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}
