//! The board: on a terminal of its own, and where there is none.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use kugetsu_cli::Terminals;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::desk::{Desk, ISSUE, initialised};

const OTHER: &str = "example.com/acme/widgets#8";

/// How long anything may take.
const LONG: Duration = Duration::from_mins(2);

/// A pseudo-terminal with a board on it.
struct Board {
    child: Child,
    person: File,
    terminal: File,
    before: Termios,
    drawn: Vec<u8>,
    screen: Vec<Vec<char>>,
}

impl Board {
    fn new(desk: &Desk) -> Self {
        let person =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap().into_string().unwrap();
        let size = Winsize { ws_col: 100, ws_row: 24, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&person, size).unwrap();
        let no_own = i32::try_from(OFlags::NOCTTY.bits()).unwrap();
        let terminal =
            OpenOptions::new().read(true).write(true).custom_flags(no_own).open(name).unwrap();
        let before = tcgetattr(&terminal).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_kugetsu"))
            .arg("watch")
            .env_clear()
            .env("HOME", desk.path("home"))
            .env("KUGETSU_DIR", desk.path("kugetsu"))
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm")
            .stdin(terminal.try_clone().unwrap())
            .stdout(terminal.try_clone().unwrap())
            .stderr(terminal.try_clone().unwrap())
            .spawn()
            .unwrap();
        let (drawn, screen) = (Vec::new(), vec![vec![' '; 100]; 24]);
        Self { child, person: person.into(), terminal, before, drawn, screen }
    }

    fn press(&mut self, keys: &str) {
        self.person.write_all(keys.as_bytes()).unwrap();
    }

    /// Reads until this is on the screen.
    #[track_caller]
    fn until(&mut self, text: &str) {
        let end = Instant::now() + LONG;
        while !self.shown().contains(text) {
            assert!(Instant::now() < end, "{text:?} is not in\n{}", self.shown());
            self.read();
        }
    }

    /// Reads what is drawn within a while.
    fn read(&mut self) {
        let within = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        let wait = || poll(&mut [PollFd::new(&self.person, PollFlags::IN)], Some(&within));
        if rustix::io::retry_on_intr(wait).unwrap() > 0 {
            let mut piece = [0; 4096];
            let length = self.person.read(&mut piece).unwrap();
            self.drawn.extend_from_slice(&piece[..length]);
        }
    }

    /// The screen after all that was drawn since the last time.
    fn shown(&mut self) -> String {
        // What is drawn at once ends so; the rest is still on its way.
        let whole = self.drawn.iter().rposition(|byte| *byte == b'm').map_or(0, |at| at + 1);
        let drawn: Vec<u8> = self.drawn.drain(..whole).collect();
        let drawn = String::from_utf8(drawn).unwrap();
        let (mut column, mut line, mut rest) = (0, 0, drawn.chars());
        while let Some(c) = rest.next() {
            if c != '\x1b' {
                if let Some(cell) = self.screen.get_mut(line).and_then(|l| l.get_mut(column)) {
                    *cell = c;
                }
                column += 1;
                continue;
            }
            rest.next();
            let (mut numbers, mut last) = (String::new(), ' ');
            for c in rest.by_ref() {
                last = c;
                if c.is_ascii_alphabetic() {
                    break;
                }
                numbers.push(c);
            }
            let mut numbers = numbers.split(';').map(|n| n.parse().unwrap_or(1_usize));
            match last {
                'H' => {
                    line = numbers.next().unwrap_or(1) - 1;
                    column = numbers.next().unwrap_or(1) - 1;
                }
                'J' => self.screen = vec![vec![' '; 100]; 24],
                _ => {}
            }
        }
        self.screen.iter().map(|line| line.iter().collect::<String>() + "\n").collect()
    }

    /// Waits for its end, which leaves the terminal as it was.
    #[track_caller]
    fn ended(mut self) -> Option<i32> {
        let ended = self.wait();
        self.read();
        let drawn = String::from_utf8_lossy(&self.drawn);
        assert!(drawn.contains("\x1b[?25h\x1b[?1049l"), "{drawn:?}");
        let after = tcgetattr(&self.terminal).unwrap();
        assert_eq!(after.local_modes, self.before.local_modes);
        assert_eq!(after.input_modes, self.before.input_modes);
        assert_eq!(after.output_modes, self.before.output_modes);
        ended.code()
    }

    #[track_caller]
    fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + LONG;
        loop {
            if let Some(ended) = self.child.try_wait().unwrap() {
                return ended;
            }
            assert!(Instant::now() < end, "the board does not end:\n{}", self.shown());
            self.read();
        }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_board_shows_what_other_processes_do_and_gives_the_terminal_back() {
    let desk = initialised();
    desk.run(&["queue", "enqueue", ISSUE, "Fix it."]).done();
    let mut board = Board::new(&desk);
    board.until("widgets#7");
    desk.run(&["queue", "enqueue", OTHER, "Test it."]).done();
    board.until("widgets#8");
    let task = desk.run(&["queue", "list", "--json"]).json()["tasks"][1]["id"].clone();
    desk.run(&["queue", "cancel", task.as_str().unwrap()]).done();
    board.until("1 cancelled");
    board.press("q");
    assert_eq!(board.ended(), Some(0));
}

#[test]
fn a_task_is_cancelled_queued_once_more_and_the_queue_is_paused_by_keys() {
    let desk = initialised();
    desk.run(&["queue", "enqueue", ISSUE, "Fix it."]).done();
    let mut board = Board::new(&desk);
    board.until("widgets#7");
    board.press("s");
    board.until("[y/N]");
    board.press("y");
    board.until("1 cancelled");
    board.press("r");
    board.until("[y/N]");
    board.press("y");
    board.until("queued once more as");
    board.press("p");
    board.until("PAUSED");
    board.press("p");
    board.until("resumed");
    board.press("\r");
    board.until("scroll");
    board.press("\x1b");
    board.until("select");
    board.press("\x1b");
    assert_eq!(board.ended(), Some(0));
    let tasks = desk.run(&["queue", "list", "--json"]).json()["tasks"].clone();
    let states: Vec<_> = tasks
        .as_array()
        .unwrap()
        .iter()
        .map(|task| (task["state"]["state"].clone(), task["request"]["message"].clone()))
        .collect();
    let expected = [("settled", "Fix it."), ("pending", "Fix it.")];
    assert_eq!(states, expected.map(|(state, text)| (state.into(), text.into())));
}

#[test]
fn whichever_signal_ends_it_the_terminal_is_given_back() {
    let desk = initialised();
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut board = Board::new(&desk);
        board.until("nothing is queued");
        kill_process(Pid::from_child(&board.child), signal).unwrap();
        assert_eq!(board.ended(), Some(130), "{signal:?}");
    }
}

#[test]
fn after_it_was_stopped_and_goes_on_all_is_drawn_anew() {
    let desk = initialised();
    let mut board = Board::new(&desk);
    board.until("nothing is queued");
    board.read();
    board.shown();
    kill_process(Pid::from_child(&board.child), Signal::STOP).unwrap();
    // Whoever had the terminal meanwhile has left something.
    board.screen[4] = "x".repeat(100).chars().collect();
    kill_process(Pid::from_child(&board.child), Signal::CONT).unwrap();
    board.until("nothing is queued");
    let size = Winsize { ws_col: 30, ws_row: 8, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&board.person, size).unwrap();
    kill_process(Pid::from_child(&board.child), Signal::WINCH).unwrap();
    board.until("too small");
    board.press("\x03");
    assert_eq!(board.ended(), Some(0));
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    let desk = initialised();
    let mut board = Board::new(&desk);
    board.until("nothing is queued");
    // Nobody holds the other end any more.
    board.person = File::open("/dev/null").unwrap();
    let end = Instant::now() + LONG;
    while board.child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < end, "the board goes on without a terminal");
        std::thread::yield_now();
    }
    assert_eq!(board.wait().code(), Some(130));
}

#[test]
fn where_nothing_can_be_drawn_it_says_what_to_use_instead() {
    let desk = initialised();
    let mut seen = desk.transcript(&[&["watch"], &["watch", "--json"]]);
    let terminals = Terminals { input: true, output: true, error: true };
    let dumb = initialised().with("TERM", "dumb");
    seen.push_str(&dumb.run_with(&["watch"], b"", terminals).shown());
    desk.assert("watch-without-a-terminal", &seen);
}

#[test]
fn one_picture_can_be_had_anywhere() {
    let desk = initialised().with("LANG", "C.UTF-8");
    let task = desk.run(&["queue", "enqueue", ISSUE, "Fix it."]).done().out;
    desk.run(&["queue", "cancel", task.trim()]).done();
    desk.run(&["queue", "enqueue", OTHER, "Test it."]).done();
    let seen = desk.run(&["watch", "--once"]).done().out;
    // The first line ends with the time of day.
    let (head, rest) = seen.split_once('\n').unwrap();
    let head = head.rsplit_once(' ').unwrap().0;
    desk.assert("watch-once", &format!("{head}\n{rest}"));
}
