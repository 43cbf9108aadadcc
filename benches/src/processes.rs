//! Processes that take part in a bench.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Lines, PipeReader, PipeWriter, Write as _, pipe};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

/// Processes that say what they do into one pipe, as the program `slot` does. They are killed when
/// this is dropped.
#[derive(Debug)]
pub struct Crowd {
    all: HashMap<u32, (Child, Option<ChildStdin>)>,
    speak: PipeWriter,
    said: Lines<BufReader<PipeReader>>,
}

/// What one of a [`Crowd`] said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It is about to wait.
    Waits,
    /// It has a slot since then, in nanoseconds.
    Took(i64),
    /// It gave its slot back then, in nanoseconds.
    Gave(i64),
    /// It is done.
    Done,
}

impl Crowd {
    /// Nobody yet.
    pub fn new() -> Self {
        let (said, speak) = pipe().unwrap();
        Self { all: HashMap::new(), speak, said: BufReader::new(said).lines() }
    }

    /// Adds a process.
    pub fn start(&mut self, command: &mut Command) {
        let said = self.speak.try_clone().unwrap();
        let mut child = command.stdin(Stdio::piped()).stdout(said).spawn().unwrap();
        // The pipe's end that it got stays with the command otherwise.
        command.stdout(Stdio::null());
        let tell = child.stdin.take();
        self.all.insert(child.id(), (child, tell));
    }

    /// What any of them says next, and who it is.
    pub fn hear(&mut self) -> (u32, Said) {
        let line = self.said.next().unwrap().unwrap();
        let mut words = line.split(' ');
        let who = words.next().unwrap().parse().unwrap();
        let what = words.next().unwrap();
        let when = words.next().map(|when| when.parse().unwrap());
        let said = match (what, when) {
            ("W", None) => Said::Waits,
            ("A", Some(when)) => Said::Took(when),
            ("R", Some(when)) => Said::Gave(when),
            ("D", None) => Said::Done,
            other => panic!("somebody said {other:?}"),
        };
        (who, said)
    }

    /// Hears what is said until somebody has a slot, and returns who and since when.
    pub fn taken(&mut self) -> (u32, i64) {
        loop {
            if let (who, Said::Took(when)) = self.hear() {
                return (who, when);
            }
        }
    }

    /// Tells one of them a line.
    pub fn tell(&mut self, who: u32, line: &str) {
        let (_, tell) = self.all.get_mut(&who).unwrap();
        writeln!(tell.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Tells all of them a line.
    pub fn tell_all(&mut self, line: &str) {
        let all: Vec<u32> = self.all.keys().copied().collect();
        for who in all {
            self.tell(who, line);
        }
    }

    /// Kills one of them.
    pub fn kill(&mut self, who: u32) {
        let (mut child, _) = self.all.remove(&who).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Waits until all have ended, who do so by themselves.
    pub fn end_all(&mut self) {
        for (_, (mut child, tell)) in self.all.drain() {
            drop(tell);
            assert!(child.wait().unwrap().success());
        }
    }
}

impl Default for Crowd {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for (child, _) in self.all.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The median, as so many rounds of it, which is how criterion wants to be told.
pub fn median(mut rounds: Vec<Duration>) -> Duration {
    rounds.sort_unstable();
    let middle = rounds.get(rounds.len() / 2).copied().unwrap_or_default();
    middle * u32::try_from(rounds.len()).unwrap()
}

/// The release build of the program `kugetsu`, which `KUGETSU_BENCH_BINARY` names. `None`, and said
/// loudly, where it does not: then nothing is measured.
pub fn kugetsu() -> Option<PathBuf> {
    let named = std::env::var_os("KUGETSU_BENCH_BINARY").map(PathBuf::from);
    let found = named.filter(|path| path.is_file());
    if found.is_none() {
        eprintln!("NOT MEASURED: KUGETSU_BENCH_BINARY names no release build of kugetsu");
    }
    found
}
