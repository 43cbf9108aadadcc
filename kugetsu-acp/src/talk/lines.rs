//! Lines between us and the agent, within bounds.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio_util::bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};

use crate::config::Limits;
use crate::text;

/// What went wrong in the conversation, in words; of each kind the first counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble(Arc<Mutex<Words>>);

#[derive(Debug, Default)]
struct Words {
    /// Why it broke; empty as long as it did not.
    end: String,
    /// The first line that was no message.
    stray: String,
}

impl Trouble {
    pub(crate) fn tell(&self, why: String) {
        let mut words = self.words();
        if words.end.is_empty() {
            words.end = why;
        }
    }

    fn tell_stray(&self, line: &str) {
        let mut words = self.words();
        if words.stray.is_empty() {
            words.stray = text::first_line(line, 200);
        }
    }

    pub(crate) fn told(&self) -> String {
        self.words().end.clone()
    }

    pub(crate) fn stray(&self) -> String {
        self.words().stray.clone()
    }

    fn words(&self) -> MutexGuard<'_, Words> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One message a line. Lines that are none, such as those of a log, are passed over, but not
/// without end.
#[derive(Debug)]
pub(super) struct Messages {
    longest: usize,
    strays_left: usize,
    /// How much of what was read holds no line break.
    looked_at: usize,
    trouble: Trouble,
}

impl Messages {
    pub(super) fn new(limits: &Limits, trouble: Trouble) -> Self {
        Self { longest: limits.line, strays_left: limits.strays, looked_at: 0, trouble }
    }

    fn broken(&self, why: String) -> io::Error {
        self.trouble.tell(why.clone());
        io::Error::new(io::ErrorKind::InvalidData, why)
    }

    fn pass_over(&mut self, line: &str) -> io::Result<()> {
        self.trouble.tell_stray(line);
        match self.strays_left.checked_sub(1) {
            Some(left) => {
                self.strays_left = left;
                Ok(())
            }
            None => Err(self.broken(format!(
                "it writes to its standard output what is no message, such as {:?}",
                self.trouble.stray()
            ))),
        }
    }
}

impl Decoder for Messages {
    type Item = String;
    type Error = io::Error;

    fn decode(&mut self, read: &mut BytesMut) -> io::Result<Option<String>> {
        loop {
            let Some(end) = read[self.looked_at..].iter().position(|&byte| byte == b'\n') else {
                self.looked_at = read.len();
                if read.len() > self.longest {
                    let most = self.longest;
                    return Err(self.broken(format!("it wrote a line of more than {most} bytes")));
                }
                return Ok(None);
            };
            let line = read.split_to(self.looked_at + end + 1);
            self.looked_at = 0;
            let line = String::from_utf8_lossy(&line);
            let line = line.trim();
            match line {
                "" => {}
                line if Head::of(line).is_some() => return Ok(Some(line.to_owned())),
                line => self.pass_over(line)?,
            }
        }
    }

    /// Half a line is no message.
    fn decode_eof(&mut self, read: &mut BytesMut) -> io::Result<Option<String>> {
        let line = self.decode(read)?;
        if line.is_none() {
            read.clear();
        }
        Ok(line)
    }
}

impl Encoder<String> for Messages {
    type Error = io::Error;

    fn encode(&mut self, line: String, written: &mut BytesMut) -> io::Result<()> {
        written.extend_from_slice(line.as_bytes());
        written.extend_from_slice(b"\n");
        Ok(())
    }
}

/// What kind of message a line is.
#[derive(Debug, Deserialize)]
pub(super) struct Head {
    pub(super) method: Option<String>,
    pub(super) id: Option<IgnoredAny>,
}

impl Head {
    /// `None` if the line is no JSON object.
    pub(super) fn of(line: &str) -> Option<Self> {
        line.starts_with('{').then(|| serde_json::from_str(line).ok())?
    }

    /// Whether an answer has to be given to it.
    pub(super) fn is_question(&self) -> bool {
        self.id.is_some() && self.method.is_some()
    }

    /// Whether this tells what happens in a session.
    pub(super) fn is_update(&self) -> bool {
        self.id.is_none() && self.method.as_deref() == Some("session/update")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(limits: &Limits, text: &str) -> (Vec<String>, String) {
        let trouble = Trouble::default();
        let mut messages = Messages::new(limits, trouble.clone());
        let (mut bytes, mut lines) = (BytesMut::new(), Vec::new());
        // However it is cut into pieces.
        for byte in text.bytes() {
            bytes.extend_from_slice(&[byte]);
            match messages.decode(&mut bytes) {
                Ok(line) => lines.extend(line),
                Err(_) => return (lines, trouble.told()),
            }
        }
        lines.extend(messages.decode_eof(&mut bytes).unwrap());
        assert!(bytes.is_empty());
        (lines, trouble.told())
    }

    #[test]
    fn what_is_no_message_is_passed_over_and_not_without_end() {
        let limits = Limits { strays: 2, ..Limits::default() };
        let log = "starting…\n\n{\"id\":1}\r\n{broken\n  {\"method\":\"x\"}\n{\"half\":";
        let told = ["{\"id\":1}", "{\"method\":\"x\"}"].map(str::to_owned);
        assert_eq!(read(&limits, log), (told.into(), String::new()));
        let (lines, trouble) = read(&limits, "no\n[1]\n17\n{\"id\":1}\n");
        assert!(lines.is_empty());
        assert!(trouble.contains("such as \"no\""), "{trouble}");
    }

    #[test]
    fn a_line_without_end_ends_the_conversation() {
        let limits = Limits { line: 20, ..Limits::default() };
        let (lines, trouble) =
            read(&limits, &format!("{{\"id\":1}}\n{{\"x\":\"{}", "x".repeat(99)));
        assert_eq!(lines, ["{\"id\":1}"]);
        assert!(trouble.contains("more than 20 bytes"), "{trouble}");
    }
}
