//! The part of a terminal that is drawn again and again.

use std::fmt;
use std::io;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressDrawTarget, TermLike};

use super::Screen;

/// What a spinner looks like from one moment to the next. A line that begins so is a bar.
pub(crate) const SPINNER: &str = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";

/// How often a second it is drawn.
const RATE: u8 = 20;

/// The error stream, drawn on so that what the terminal writes there itself does no harm.
///
/// indicatif leaves the cursor at the end of its last bar, at the edge of the terminal. There the
/// `^C` of a Ctrl-C goes on to the next line, and the first bar is never cleared. Here the cursor
/// stands at the beginning of the bar instead, and what is echoed is drawn over.
struct Live {
    screen: Arc<Screen>,
    drawing: Mutex<Drawing>,
}

/// What is drawn at once when it is complete.
#[derive(Default)]
struct Drawing {
    text: String,
    /// Whether a bar was written last. After a line of text the cursor stays where it is, at the
    /// edge, so that whatever comes next is on the next line.
    ends_in_bar: bool,
}

pub(super) fn target(screen: &Arc<Screen>) -> ProgressDrawTarget {
    let live = Live { screen: Arc::clone(screen), drawing: Mutex::default() };
    ProgressDrawTarget::term_like_with_hz(Box::new(live), RATE)
}

impl Drawing {
    fn write(&mut self, text: &str) {
        self.text.push_str(text);
        // Blanks only fill the line.
        if let Some(first) = text.trim().chars().next() {
            self.ends_in_bar = SPINNER.contains(first);
        }
    }

    fn complete(&mut self) -> String {
        if mem::take(&mut self.ends_in_bar) {
            self.text.push('\r');
        }
        mem::take(&mut self.text)
    }
}

impl Live {
    #[allow(clippy::unnecessary_wraps)]
    fn write(&self, text: &str) -> io::Result<()> {
        self.drawing.lock().unwrap_or_else(PoisonError::into_inner).write(text);
        Ok(())
    }

    fn moved(&self, lines: usize, direction: char) -> io::Result<()> {
        if lines == 0 { Ok(()) } else { self.write(&format!("\x1b[{lines}{direction}")) }
    }
}

impl TermLike for Live {
    fn width(&self) -> u16 {
        size().map_or(80, |size| size.ws_col)
    }

    fn height(&self) -> u16 {
        size().map_or(24, |size| size.ws_row)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'D')
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.write(&format!("{s}\n"))
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        self.write(s)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.write("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let drawn = self.drawing.lock().unwrap_or_else(PoisonError::into_inner).complete();
        self.screen.draw(&drawn);
        Ok(())
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

fn size() -> Option<rustix::termios::Winsize> {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
    Some(size).filter(|size| size.ws_col > 0 && size.ws_row > 0)
}

#[cfg(test)]
mod tests {
    use super::Drawing;

    fn drawn(pieces: &[&str]) -> String {
        let mut drawing = Drawing::default();
        for piece in pieces {
            drawing.write(piece);
        }
        drawing.complete()
    }

    #[test]
    fn the_cursor_stands_at_the_beginning_of_a_bar_and_behind_a_line_of_text() {
        assert_eq!(drawn(&["\r\x1b[2K", "⠋ a#1  0:01", "   "]), "\r\x1b[2K⠋ a#1  0:01   \r");
        assert_eq!(drawn(&["a line", "  ", "⠹ a#1", " "]), "a line  ⠹ a#1 \r");
        assert_eq!(drawn(&["⠹ a#1", " ", "a line", "  "]), "⠹ a#1 a line  ");
        assert_eq!(drawn(&["\r\x1b[2K"]), "\r\x1b[2K");
    }
}
