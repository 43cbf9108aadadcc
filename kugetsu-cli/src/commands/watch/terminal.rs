//! The terminal as a board has it, and how it is given back, whatever happens.

use std::io::{self, BufWriter, Stdout, Write as _};
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::crossterm::style::force_color_output;
use ratatui::layout::Rect;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::mpsc;

use super::keys::{Key, is_cut_off, keys};

/// The other screen, cleared, without a cursor and without colours.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[0m\x1b[2J\x1b[H\x1b[?25l";
const LEAVE: &[u8] = b"\x1b[0m\x1b[?25h\x1b[?1049l";

/// How long the rest of a key may take.
const REST: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// A terminal that is drawn on as a whole. Dropping it, and a panic, give it back as it was.
pub(super) struct Terminal {
    modes: Arc<Modes>,
    backend: CrosstermBackend<BufWriter<Stdout>>,
    shown: Buffer,
}

/// How the terminal was before, and whether it is ours now.
struct Modes {
    before: Termios,
    is_ours: AtomicBool,
}

impl Modes {
    fn take(&self) -> io::Result<()> {
        self.is_ours.store(true, Ordering::SeqCst);
        let mut raw = self.before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        let mut output = io::stdout();
        output.write_all(ENTER)?;
        output.flush()
    }

    /// Nobody is told if it cannot be given back: there is nowhere to say it.
    fn give_back(&self) {
        if self.is_ours.swap(false, Ordering::SeqCst) {
            let mut output = io::stdout();
            let _ = output.write_all(LEAVE).and_then(|()| output.flush());
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
        }
    }
}

impl Terminal {
    /// Takes the terminal that is both the input and the output.
    pub(super) fn take(colour: bool) -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        // The rule about colours is ours, and was applied already.
        force_color_output(colour);
        let modes = Arc::new(Modes { before, is_ours: AtomicBool::new(false) });
        let told = panic::take_hook();
        let guarded = Arc::clone(&modes);
        panic::set_hook(Box::new(move |info| {
            guarded.give_back();
            told(info);
        }));
        let backend = CrosstermBackend::new(BufWriter::with_capacity(1 << 16, io::stdout()));
        let terminal = Self { modes, backend, shown: Buffer::empty(Rect::ZERO) };
        terminal.modes.take()?;
        Ok(terminal)
    }

    /// Draws what has changed.
    pub(super) fn draw(&mut self, paint: impl FnOnce(&mut Buffer)) -> io::Result<()> {
        let size = tcgetwinsize(io::stdout())?;
        let area = Rect::new(0, 0, size.ws_col.clamp(1, 1000), size.ws_row.clamp(1, 1000));
        if area != self.shown.area {
            self.backend.clear()?;
            self.shown = Buffer::empty(area);
        }
        let mut next = Buffer::empty(area);
        paint(&mut next);
        self.backend.draw(self.shown.diff(&next).into_iter())?;
        Backend::flush(&mut self.backend)?;
        self.shown = next;
        Ok(())
    }

    /// Takes the terminal once more, however somebody else has left it, and draws all of it next.
    pub(super) fn retake(&mut self) -> io::Result<()> {
        self.shown = Buffer::empty(Rect::ZERO);
        self.modes.take()
    }

    /// Stops this process as Ctrl-Z does, and takes the terminal again when it goes on.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        self.modes.give_back();
        kill_process(getpid(), Signal::TSTP)?;
        self.retake()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.modes.give_back();
    }
}

/// The keys that are pressed from now on. It ends when the terminal is gone.
pub(super) fn pressed() -> mpsc::UnboundedReceiver<Vec<Key>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    // It waits for the input and nothing else, and ends with the process.
    thread::spawn(move || {
        let mut bytes = Vec::new();
        while read(&mut bytes, None) {
            while is_cut_off(&bytes) && read(&mut bytes, Some(&REST)) {}
            if sender.send(keys(&bytes)).is_err() {
                return;
            }
            bytes.clear();
        }
    });
    receiver
}

/// Adds what can be read within this time. Says whether there was something.
fn read(bytes: &mut Vec<u8>, within: Option<&Timespec>) -> bool {
    let input = io::stdin();
    let ready = loop {
        match poll(&mut [PollFd::new(&input, PollFlags::IN)], within) {
            Err(rustix::io::Errno::INTR) => {}
            told => break told.unwrap_or(0),
        }
    };
    if ready == 0 {
        return false;
    }
    let mut piece = [0; 256];
    loop {
        match rustix::io::read(&input, &mut piece) {
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Ok(0) | Err(_) => return false,
            Ok(length) => {
                bytes.extend_from_slice(&piece[..length]);
                return true;
            }
        }
    }
}
