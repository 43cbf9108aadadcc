//! The view: the original's layout, for people.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, DirEntry, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use kugetsu_core::{
    AgentSessionId, AttemptEnd, Notice, Outcome, Session, SessionKind, SessionState, Status, Task,
    TaskState, Timestamp,
};
use serde::Serialize;

use super::book::Open;
use super::state::Changed;
use crate::logs::utc;

/// How many notices are shown, the newest.
const NOTICES: usize = 500;

/// The value of the field by which a file is known to be the view's.
const JOURNAL: &str = "journal.jsonl";

/// The files in a directory. What is called here is called by whoever holds the lock.
#[derive(Debug)]
pub(super) struct View {
    directory: PathBuf,
    mark: PathBuf,
}

impl View {
    pub(super) fn new(directory: &Path) -> Self {
        let mark = directory.join("journal.jsonl.view");
        Self { directory: directory.to_owned(), mark }
    }

    /// Whether the view shows what the journal says.
    pub(super) fn is_current(&self, open: &Open) -> bool {
        fs::read(&self.mark).is_ok_and(|mark| mark == mark_of(open).as_bytes())
    }

    /// Says that the view shows what the journal says.
    pub(super) fn mark(&self, open: &Open) {
        let _ = put(&self.mark, mark_of(open).as_bytes());
    }

    /// Shows what has changed. If that fails, whoever is next writes all of it.
    pub(super) fn update(&self, open: &Open, changed: &Changed) {
        if *changed == Changed::default() {
            return;
        }
        let Changed { task, sessions, notices } = changed;
        let shown = (|| {
            if let Some(id) = task {
                match open.state.task(*id) {
                    Some(kept) => self.show_task(&kept.is)?,
                    None => remove(&self.tasks().join(task_file(*id)))?,
                }
            }
            if *sessions {
                self.show_sessions(open)?;
            }
            if *notices {
                self.show_notices(open)?;
            }
            Ok::<(), io::Error>(())
        })();
        if shown.is_ok() {
            self.mark(open);
        }
    }

    /// Shows everything, and removes what is not there any more.
    pub(super) fn write(&self, open: &Open) {
        let shown = (|| {
            let mut names = HashSet::new();
            private_directory(&self.tasks())?;
            for kept in open.state.tasks.values() {
                self.show_task(&kept.is)?;
                names.insert(task_file(kept.is.id));
            }
            clear(&self.tasks(), &names)?;
            self.show_sessions(open)?;
            self.show_notices(open)
        })();
        if shown.is_ok() {
            self.mark(open);
        }
    }

    /// Removes all that is the view's, as far as that is possible.
    pub(super) fn remove(&self) {
        let nothing = HashSet::new();
        let sessions = self.directory.join("sessions");
        for directory in [self.tasks(), sessions.clone()] {
            let _ = clear(&directory, &nothing);
        }
        // Of whoever else something is in it, it stays.
        let _ = fs::remove_dir(&sessions);
        let _ = fs::remove_dir(self.tasks());
        for name in ["index.json", "notifications.json"] {
            let path = self.directory.join(name);
            if fs::read(&path).is_ok_and(|content| is_ours(&content)) {
                let _ = remove(&path);
            }
        }
        let _ = remove(&self.mark);
    }

    /// Copies all that is the view's into this directory, as it is. `None` if there is nothing.
    pub(super) fn keep(&self, to: &Path) -> io::Result<Option<PathBuf>> {
        let mut any = false;
        for inside in ["", "sessions", "queue/items"] {
            let entries = match fs::read_dir(self.directory.join(inside)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                if is_views(&entry)? {
                    private_directory(&to.join(inside))?;
                    fs::copy(entry.path(), to.join(inside).join(entry.file_name()))?;
                    any = true;
                }
            }
        }
        Ok(any.then(|| to.to_owned()))
    }

    fn tasks(&self) -> PathBuf {
        self.directory.join("queue/items")
    }

    fn show_task(&self, task: &Task) -> io::Result<()> {
        show(&self.tasks().join(task_file(task.id)), &TaskFile::of(task))
    }

    fn show_sessions(&self, open: &Open) -> io::Result<()> {
        let directory = self.directory.join("sessions");
        private_directory(&directory)?;
        let mut index = Index { view_of: JOURNAL, ..Index::default() };
        let mut names = HashSet::new();
        for session in open.state.sessions.values().map(|kept| &kept.is) {
            let name = session_file(session);
            show(&directory.join(&name), &SessionFile::of(session))?;
            names.insert(name.clone());
            match &session.kind {
                SessionKind::Base => index.base = Some(name),
                SessionKind::Pm => index.pm_agent = Some(name),
                SessionKind::Dev(issue) => drop(index.issues.insert(issue.to_string(), name)),
                SessionKind::Repo(repository) => {
                    index.repositories.insert(repository.to_string(), name);
                }
                _ => {}
            }
        }
        show(&self.directory.join("index.json"), &index)?;
        clear(&directory, &names)
    }

    fn show_notices(&self, open: &Open) -> io::Result<()> {
        let all = &open.state.notices;
        let mut shown = Vec::new();
        for kept in &all[all.len().saturating_sub(NOTICES)..] {
            let text = open
                .journal
                .document(kept.span)
                .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
            let notice: Notice = serde_json::from_str(&text)?;
            shown.push(NoticeEntry {
                view_of: JOURNAL,
                id: notice.key,
                timestamp: utc::full(notice.at),
                r#type: notice.kind.to_string(),
                message: notice.text,
                issue_ref: notice.issue.map(|issue| issue.to_string()),
                read: !kept.unread,
            });
        }
        show(&self.directory.join("notifications.json"), &shown)
    }
}

#[derive(Debug, Serialize)]
struct TaskFile<'a> {
    view_of: &'static str,
    id: String,
    state: Status,
    issue_ref: Option<String>,
    message: &'a str,
    priority: i16,
    created_at: String,
    /// When the attempt that goes on, or went last, began.
    notified_at: Option<String>,
    completed_at: Option<String>,
    attempts: u32,
    max_attempts: u32,
    /// Why it failed, or why it is tried again.
    error: Option<&'a str>,
}

impl<'a> TaskFile<'a> {
    fn of(task: &'a Task) -> Self {
        let last = task.attempts.last();
        let failed = task.attempts.iter().rev().find_map(|attempt| match &attempt.end {
            AttemptEnd::Failed { failure } => Some(failure.reason.as_str()),
            _ => None,
        });
        let (completed, error) = match &task.state {
            TaskState::Settled { outcome, at } => {
                let error = match outcome {
                    Outcome::Error { failure } => Some(failure.reason.as_str()),
                    _ => None,
                };
                (Some(*at), error)
            }
            _ => (None, failed),
        };
        Self {
            view_of: JOURNAL,
            id: format!("q_{}", task.id),
            state: task.status(),
            issue_ref: task.request.issue().map(ToString::to_string),
            message: task.request.message(),
            priority: task.priority.0,
            created_at: utc::full(task.created),
            notified_at: last.map(|attempt| utc::full(attempt.started)),
            completed_at: completed.map(utc::full),
            attempts: task.last_attempt().0,
            max_attempts: task.max_attempts,
            error,
        }
    }
}

#[derive(Debug, Serialize)]
struct SessionFile<'a> {
    view_of: &'static str,
    r#type: &'static str,
    issue_ref: Option<String>,
    opencode_session_id: Option<&'a str>,
    worktree_path: Option<&'a Path>,
    state: SessionState,
    pr_url: Option<&'a str>,
    created_at: String,
    updated_at: String,
}

impl<'a> SessionFile<'a> {
    fn of(session: &'a Session) -> Self {
        let (kind, issue) = match &session.kind {
            SessionKind::Base => ("base", None),
            SessionKind::Repo(_) => ("repo", None),
            SessionKind::Pm => ("pm_agent", None),
            SessionKind::Dev(issue) => ("forked", Some(issue.to_string())),
            _ => ("other", None),
        };
        let time = |at: Timestamp| utc::full(at);
        Self {
            view_of: JOURNAL,
            r#type: kind,
            issue_ref: issue,
            opencode_session_id: session.agent_session.as_ref().map(AgentSessionId::as_str),
            worktree_path: session.directory.as_deref(),
            state: session.state,
            pr_url: session.pr.as_deref(),
            created_at: time(session.created),
            updated_at: time(session.updated),
        }
    }
}

#[derive(Debug, Default, Serialize)]
struct Index {
    view_of: &'static str,
    base: Option<String>,
    pm_agent: Option<String>,
    issues: BTreeMap<String, String>,
    repositories: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
struct NoticeEntry {
    view_of: &'static str,
    id: String,
    timestamp: String,
    r#type: String,
    message: String,
    issue_ref: Option<String>,
    read: bool,
}

fn mark_of(open: &Open) -> String {
    format!("{} {}\n", open.journal.generation, open.state.looks)
}

fn task_file(id: kugetsu_core::TaskId) -> String {
    format!("q_{id}.json")
}

fn session_file(session: &Session) -> String {
    match &session.kind {
        SessionKind::Base => "base.json".into(),
        SessionKind::Pm => "pm-agent.json".into(),
        // It has a number at its end, and so is neither of these.
        SessionKind::Dev(issue) => format!("{}.json", issue.stem()),
        _ => format!("session-{}.json", session.id),
    }
}

/// Writes the file, unless there is one that is somebody else's, or that says so already.
fn show(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    match fs::read(path) {
        Ok(there) if there == text || !is_ours(&there) => Ok(()),
        _ => put(path, &text),
    }
}

/// Removes the view's files that have none of these names.
fn clear(directory: &Path, names: &HashSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !names.contains(*name)) else { continue };
        let is_left_over = name.ends_with(".json.new");
        if is_left_over || is_views(&entry)? {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Whether this is one of the view's files.
fn is_views(entry: &DirEntry) -> io::Result<bool> {
    let mut begin = Vec::new();
    let is_json = entry.path().extension() == Some(OsStr::new("json"));
    if is_json && entry.file_type()?.is_file() {
        File::open(entry.path())?.take(80).read_to_end(&mut begin)?;
    }
    Ok(!begin.is_empty() && is_ours(&begin))
}

/// Whether a file of this content is the view's, or holds nothing.
fn is_ours(content: &[u8]) -> bool {
    let begin = String::from_utf8_lossy(&content[..content.len().min(80)]);
    let text = begin.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '[' || c == '{');
    text.starts_with(r#""view_of": "journal.jsonl""#) || text.trim() == "]" || text.is_empty()
}

/// Replaces the file as a whole. It is not synced: what a crash loses of it is written again.
fn put(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut next = path.as_os_str().to_owned();
    next.push(".new");
    let next = PathBuf::from(next);
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    file.write_all(text)?;
    fs::rename(&next, path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
