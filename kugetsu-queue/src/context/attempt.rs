//! The context of an issue, while an attempt on it goes on.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kugetsu_core::{AgentEvent, Happening, Request, Task, Timestamp};

use super::text::{self, Growing};
use super::{Contexts, IssueContext, MESSAGES, Said, Speaker, file};
use crate::blocking::blocking;
use crate::logs::plain_line;
use crate::mask::Mask;

/// The most that all messages have together, in bytes.
const TOGETHER: usize = 64 * 1024;

/// How long a message may wait for being written while others are.
const PAUSE: Duration = Duration::from_secs(1);

/// Remembers what is said in one attempt. What cannot be written is lost: the attempt goes on.
#[derive(Debug)]
pub(crate) struct AttemptContext {
    directory: PathBuf,
    mask: Arc<Mask>,
    /// What was said before this task.
    earlier: Vec<Said>,
    writing: Mutex<Writing>,
}

#[derive(Debug)]
struct Writing {
    context: IssueContext,
    /// What the agent is saying.
    said: Option<Growing>,
    /// When it was written last, and whether something was added since.
    written: Option<Timestamp>,
    added: bool,
    /// Whether nothing may be written: what is there is not ours.
    foreign: bool,
    warned: bool,
}

impl Contexts {
    /// Begins an attempt of this task; `None` if it is nobody's issue. Also says what is wrong, if
    /// anything is.
    pub(crate) fn begin(
        &self,
        task: &Task,
        now: Timestamp,
        mask: Arc<Mask>,
    ) -> Option<(AttemptContext, Option<String>)> {
        let Request::Dev { issue, message, .. } = &task.request else { return None };
        let (found, wrong) = match self.find(issue) {
            Ok(found) => (found, None),
            Err(error) => (None, Some(error)),
        };
        // What a newer kugetsu has written is not overwritten; what is broken is.
        let foreign = wrong.as_ref().is_some_and(|e| e.kind() == io::ErrorKind::Unsupported);
        let message = text::kept(&mask.text(message));
        let mut messages: Vec<Said> =
            found.as_ref().map(|found| found.messages.clone()).unwrap_or_default();
        let earlier = messages.clone();
        // A task that is tried again was asked for once.
        if found.as_ref().is_none_or(|found| found.task != task.id) {
            messages.push(Said { at: now, who: Speaker::User, text: message.clone() });
        }
        let context = IssueContext {
            issue: issue.clone(),
            branch: found.as_ref().and_then(|found| found.branch.clone()),
            worktree: found.as_ref().and_then(|found| found.worktree.clone()),
            session: found.and_then(|found| found.session),
            task: task.id,
            attempt: task.last_attempt(),
            began: now,
            updated: now,
            message,
            outcome: None,
            messages,
        };
        let writing = Writing {
            context,
            said: None,
            written: None,
            added: true,
            foreign,
            warned: wrong.is_some(),
        };
        let begun = AttemptContext {
            directory: self.directory.clone(),
            mask,
            earlier,
            writing: Mutex::new(writing),
        };
        let told = wrong.map(|error| format!("the issue's context could not be read: {error}"));
        let failed = begun.write(now, true);
        Some((begun, told.or(failed)))
    }
}

impl AttemptContext {
    /// Remembers what has happened. Says what is wrong, the first time that something is.
    pub(crate) async fn tell(
        self: &Arc<Self>,
        at: Timestamp,
        what: &[Happening],
    ) -> Option<String> {
        let waits = {
            let mut writing = self.lock();
            for what in what {
                writing.hear(at, what);
            }
            writing.waits(at)
        };
        if waits {
            return None;
        }
        // Whoever writes waits for the disk.
        let this = Arc::clone(self);
        blocking(move || Ok(this.write(at, false))).await.ok().flatten()
    }

    /// Remembers how it ended. If that turns out to be wrong, the last word holds.
    pub(crate) fn end(&self, at: Timestamp, how: &str) -> Option<String> {
        {
            let mut writing = self.lock();
            writing.complete(at);
            writing.context.outcome = Some(text::kept(&self.mask.cut_text(how)));
        }
        self.write(at, true)
    }

    /// The end of what was said before this task, in whole lines of so many bytes together; `None`
    /// if no agent has said anything then. No line in it looks like one of ours.
    pub(crate) fn earlier(&self, most: usize) -> Option<String> {
        self.earlier.iter().find(|said| said.who == Speaker::Agent)?;
        let mut lines = Vec::new();
        let mut size = 0;
        for said in self.earlier.iter().rev() {
            for line in said.text.lines().rev() {
                let line = plain_line(line);
                // What is a secret now may not have been one when this was written.
                let line = format!("{:<6} {}", said.who, self.mask.cut_text(&line));
                size += line.len() + 1;
                if size > most {
                    lines.reverse();
                    return Some(lines.join("\n"));
                }
                lines.push(line);
            }
        }
        lines.reverse();
        Some(lines.join("\n"))
    }

    fn write(&self, now: Timestamp, at_once: bool) -> Option<String> {
        let mut writing = self.lock();
        if writing.foreign || !at_once && writing.waits(now) {
            return None;
        }
        writing.shorten();
        writing.context.updated = now;
        let (written, stem) = (&writing.context, writing.context.issue.stem());
        let ended = file::write(&self.directory, &stem, written);
        // Also after a failure: it is not tried again at each word.
        (writing.written, writing.added) = (Some(now), false);
        let error = ended.err()?;
        if std::mem::replace(&mut writing.warned, true) {
            return None;
        }
        Some(format!("the issue's context could not be written: {error}"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writing {
    /// Whether there is nothing to be written yet.
    fn waits(&self, now: Timestamp) -> bool {
        let recent = |at: Timestamp| now >= at && now.since(at) < PAUSE;
        self.foreign || !self.added || self.written.is_some_and(recent)
    }

    fn hear(&mut self, at: Timestamp, what: &Happening) {
        if let Happening::Agent(AgentEvent::Message { text }) = what {
            return self.said.get_or_insert_default().push(text);
        }
        self.complete(at);
        match what {
            Happening::WorktreeReady { branch, path, .. } => {
                self.context.branch = Some(branch.clone());
                self.context.worktree = Some(path.clone());
                self.added = true;
            }
            Happening::SessionReady { session, .. } => {
                self.context.session = Some(session.to_string());
                self.added = true;
            }
            _ => {}
        }
    }

    /// What the agent was saying is a message.
    fn complete(&mut self, at: Timestamp) {
        let Some(said) = self.said.take() else { return };
        let text = said.kept();
        if !text.is_empty() {
            self.context.messages.push(Said { at, who: Speaker::Agent, text });
            self.added = true;
        }
    }

    /// Forgets the oldest messages beyond what is kept.
    fn shorten(&mut self) {
        let messages = &mut self.context.messages;
        let size = |messages: &[Said]| messages.iter().map(|said| said.text.len()).sum::<usize>();
        let mut first = messages.len().saturating_sub(MESSAGES);
        while size(&messages[first..]) > TOGETHER {
            first += 1;
        }
        messages.drain(..first);
    }
}
