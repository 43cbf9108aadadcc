//! What a bash version has left, as far as it can be read.

use std::collections::{BTreeMap, BTreeSet};

use kugetsu_core::IssueRef;
use serde_json::Value;

use super::files::{Found, OldDir, field, json, millis};
use super::report::{Fate, Report};

const ISSUE: [&str; 4] = ["issue_ref", "issueRef", "issue", "ref"];
const SESSION: [&str; 6] = [
    "opencode_session_id",
    "opencodeSessionId",
    "session_id",
    "sessionId",
    "opencode_session",
    "session",
];
const WORKTREE: [&str; 6] =
    ["worktree_path", "worktreePath", "worktree", "workdir", "directory", "path"];
const PR: [&str; 4] = ["pr_url", "prUrl", "pull_request", "pr"];
const CREATED: [&str; 6] = ["created_at", "createdAt", "created", "timestamp", "time", "at"];
const MESSAGE: [&str; 6] = ["message", "msg", "task", "text", "prompt", "description"];

/// What is known of an issue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct OldIssue {
    /// The agent's id of its session.
    pub(super) session: Option<String>,
    /// The name of its worktree in `worktrees`.
    pub(super) worktree: Option<String>,
    pub(super) pr: Option<String>,
    pub(super) created: Option<u64>,
}

impl OldIssue {
    /// Whether there is nothing to be taken over.
    pub(super) fn is_over(&self) -> bool {
        self.session.is_none() && self.worktree.is_none() && self.pr.is_none()
    }
}

/// A request that nobody has finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OldTask {
    pub(super) name: String,
    /// `None` is the PM's.
    pub(super) issue: Option<IssueRef>,
    pub(super) message: String,
    pub(super) created: u64,
}

/// Something that people were told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OldNotice {
    pub(super) kind: &'static str,
    pub(super) text: String,
    pub(super) issue: Option<IssueRef>,
    pub(super) at: u64,
    pub(super) is_read: bool,
}

/// Reads references as this kugetsu does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) old: &'a OldDir,
    pub(super) default_server: Option<&'a str>,
}

impl Reading<'_> {
    /// The issues, from the index, the session files and the worktrees.
    pub(super) fn issues(self, report: &mut Report) -> BTreeMap<IssueRef, OldIssue> {
        let mut all: BTreeMap<IssueRef, OldIssue> = BTreeMap::new();
        let mut by_file: BTreeMap<String, IssueRef> = BTreeMap::new();
        for (issue, value) in self.index(report) {
            match value {
                Value::String(text) if is_json(&text) => {
                    let file = text.rsplit('/').next().unwrap_or_default().to_owned();
                    by_file.insert(file, issue.clone());
                    all.entry(issue).or_default();
                }
                Value::String(text) => {
                    all.entry(issue).or_default().session = agent_session(&text);
                }
                Value::Object(_) => {
                    merge(all.entry(issue.clone()).or_default(), &value);
                    if let Some(file) = field(&value, &["file", "session_file"]) {
                        by_file.insert(file.rsplit('/').next().unwrap_or_default().into(), issue);
                    }
                }
                _ => drop(all.entry(issue).or_default()),
            }
        }
        self.sessions(&by_file, &mut all, report);
        self.worktrees(&mut all, report);
        all
    }

    fn index(self, report: &mut Report) -> Vec<(IssueRef, Value)> {
        let Some(value) = self.document("index", "index.json", report) else { return Vec::new() };
        let Value::Object(top) = value else {
            report.add(Fate::Skipped, "index", "index.json", "it is no JSON object");
            return Vec::new();
        };
        let mut found = Vec::new();
        for (key, value) in top {
            match (key.as_str(), value) {
                ("base" | "pm_agent" | "pm-agent" | "pm", value) => {
                    let id = value.as_str().map(str::to_owned).or(field(&value, &SESSION));
                    if let Some(id) = id {
                        let note = "`kugetsu init` makes its own";
                        report.add(Fate::Skipped, "session", format!("{key} ({id})"), note);
                    }
                }
                (_, Value::Object(inner)) if self.issue(&key).is_none() => {
                    for (key, value) in inner {
                        if let Some(issue) = self.issue(&key) {
                            found.push((issue, value));
                        }
                    }
                }
                (_, Value::Array(inner)) => {
                    for value in inner {
                        if let Some(issue) = field(&value, &ISSUE).and_then(|t| self.issue(&t)) {
                            found.push((issue, value));
                        }
                    }
                }
                (_, value) => {
                    if let Some(issue) = self.issue(&key) {
                        found.push((issue, value));
                    }
                }
            }
        }
        found
    }

    fn sessions(
        self,
        by_file: &BTreeMap<String, IssueRef>,
        all: &mut BTreeMap<IssueRef, OldIssue>,
        report: &mut Report,
    ) {
        let mut from_files: BTreeMap<IssueRef, String> = BTreeMap::new();
        for name in self.names("sessions", "session", report) {
            if matches!(name.as_str(), "base.json" | "pm-agent.json" | "pm_agent.json") {
                continue;
            }
            let inside = format!("sessions/{name}");
            if !is_json(&name) {
                let why = if self.old.has_directory(&inside) {
                    "a directory of the oldest versions, which names no issue"
                } else {
                    "it is no session file"
                };
                report.add(Fate::Skipped, "session", inside, why);
                continue;
            }
            let Some(value) = self.document("session", &inside, report) else { continue };
            if !value.is_object() {
                report.add(Fate::Skipped, "session", inside, "it is no JSON object");
                continue;
            }
            let told = field(&value, &ISSUE);
            let issue = told
                .as_deref()
                .and_then(|text| self.issue(text))
                .or_else(|| by_file.get(&name).cloned())
                .or_else(|| self.issue_of_name(name.trim_end_matches(".json")));
            let Some(issue) = issue else {
                let why = match told {
                    Some(text) => format!("{text:?} is no reference to an issue"),
                    None => "it does not say which issue it is of".to_owned(),
                };
                report.add(Fate::Skipped, "session", inside, why);
                continue;
            };
            if let Some(other) = from_files.get(&issue) {
                report.add(Fate::Skipped, "session", inside, format!("{other} is of it already"));
                continue;
            }
            let known = all.entry(issue.clone()).or_default();
            merge(known, &value);
            if known.worktree.is_none() {
                let stem = name.trim_end_matches(".json").replace('#', "-");
                known.worktree =
                    self.old.has_directory(&format!("worktrees/{stem}")).then_some(stem);
            }
            from_files.insert(issue, inside);
        }
    }

    /// Finds the worktree of each issue, and issues for the worktrees that nobody names.
    fn worktrees(self, all: &mut BTreeMap<IssueRef, OldIssue>, report: &mut Report) {
        let mut taken: BTreeMap<String, IssueRef> = BTreeMap::new();
        for (issue, known) in all.iter_mut() {
            let candidates = [known.worktree.clone(), Some(issue.stem()), Some(plain(issue))];
            known.worktree = candidates
                .into_iter()
                .flatten()
                .find(|name| self.old.has_directory(&format!("worktrees/{name}")));
            let Some(name) = &known.worktree else { continue };
            if let Some(other) = taken.get(name) {
                let note = format!("{other} has it; two issues shared one worktree");
                report.add(Fate::Skipped, "worktree", format!("{name} of {issue}"), note);
                known.worktree = None;
                continue;
            }
            taken.insert(name.clone(), issue.clone());
        }
        let named: BTreeSet<String> = taken.into_keys().collect();
        for name in self.names("worktrees", "worktree", report) {
            if named.contains(&name) || name.starts_with('.') {
                continue;
            }
            let inside = format!("worktrees/{name}");
            if !self.old.has_directory(&inside) {
                report.add(Fate::Skipped, "worktree", inside, "it is no directory");
                continue;
            }
            match self.issue_of_name(&name) {
                Some(issue) if !all.contains_key(&issue) => {
                    all.entry(issue).or_default().worktree = Some(name);
                }
                _ => {
                    let note = "no session says which issue it is of";
                    report.add(Fate::Skipped, "worktree", inside, note);
                }
            }
        }
    }

    /// What is still to be done, oldest first.
    pub(super) fn tasks(self, report: &mut Report) -> Vec<OldTask> {
        let mut tasks: Vec<OldTask> = Vec::new();
        for name in self.names("queue/items", "task", report) {
            let inside = format!("queue/items/{name}");
            if !is_json(&name) {
                report.add(Fate::Skipped, "task", inside, "it is no task file");
                continue;
            }
            let Some(value) = self.document("task", &inside, report) else { continue };
            if let Some(task) = self.task(&name, &inside, &value, report) {
                tasks.push(task);
            }
        }
        tasks.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
        let mut seen: BTreeMap<(Option<IssueRef>, String), String> = BTreeMap::new();
        tasks.retain(|task| {
            let asked = (task.issue.clone(), task.message.clone());
            if let Some(first) = seen.get(&asked) {
                let note = format!("it asks for the same as {first}");
                report.add(Fate::Skipped, "task", &*task.name, note);
                return false;
            }
            seen.insert(asked, task.name.clone());
            true
        });
        tasks
    }

    fn task(self, name: &str, inside: &str, value: &Value, report: &mut Report) -> Option<OldTask> {
        let mut skip = |why: String| {
            report.add(Fate::Skipped, "task", inside, why);
            None
        };
        if !value.is_object() {
            return skip("it is no JSON object".into());
        }
        let state = field(value, &["state", "status"]).unwrap_or_else(|| "pending".into());
        match state.as_str() {
            "pending" | "queued" | "notified" | "dequeued" | "started" | "running" => {}
            "completed" | "complete" | "done" | "error" | "failed" | "cancelled" | "timeout" => {
                return skip(format!("it is over ({state})"));
            }
            other => return skip(format!("its state {other:?} is not known")),
        }
        let Some(message) = value_text(value, &MESSAGE) else {
            return skip("it has no message".into());
        };
        let issue = match field(value, &ISSUE) {
            Some(text) => match self.issue(&text) {
                Some(issue) => Some(issue),
                None => return skip(format!("{text:?} is no reference to an issue")),
            },
            None => None,
        };
        let created = field(value, &CREATED).and_then(|text| millis(&text)).unwrap_or_default();
        let name = name.trim_end_matches(".json").to_owned();
        Some(OldTask { name, issue, message, created })
    }

    /// What people were told, in the order in which it was written down.
    pub(super) fn notices(self, report: &mut Report) -> Vec<OldNotice> {
        const NAME: &str = "notifications.json";
        let text = match self.old.text(NAME) {
            Found::Missing => return Vec::new(),
            Found::Unfit(why) => {
                report.add(Fate::Skipped, "notices", NAME, why);
                return Vec::new();
            }
            Found::Text(text) => text,
        };
        let mut values = Vec::new();
        let mut read = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        for value in read.by_ref() {
            match value {
                Ok(Value::Array(all)) => values.extend(all),
                Ok(Value::Object(mut object)) => match object.remove("notifications") {
                    Some(Value::Array(all)) => values.extend(all),
                    _ => values.push(Value::Object(object)),
                },
                Ok(other) => values.push(other),
                Err(_) => {
                    let note = "the end of it is no JSON";
                    report.add(Fate::Skipped, "notices", NAME, note);
                    break;
                }
            }
        }
        let mut notices = Vec::new();
        for (index, value) in values.iter().enumerate() {
            match self.notice(value) {
                Ok(notice) => notices.push(notice),
                Err(why) => {
                    let name = format!("{NAME}, number {}", index + 1);
                    report.add(Fate::Skipped, "notice", name, why);
                }
            }
        }
        notices
    }

    fn notice(self, value: &Value) -> Result<OldNotice, String> {
        let told = field(value, &["type", "kind", "event"]).unwrap_or_default();
        let kind = match told.as_str() {
            "task_queued" | "queued" => "task_queued",
            "task_dequeued" | "dequeued" | "task_assigned" | "assigned" => "task_dequeued",
            "task_started" | "started" => "task_started",
            "task_completed" | "task_complete" | "completed" | "complete" => "task_completed",
            "task_error" | "task_failed" | "error" | "failed" => "task_error",
            "task_blocked" | "blocked" => "task_blocked",
            other => return Err(format!("its type {other:?} is not known")),
        };
        let text = value_text(value, &MESSAGE).ok_or("it has no message")?;
        let issue = field(value, &ISSUE).and_then(|text| self.issue(&text));
        let at = field(value, &CREATED).and_then(|text| millis(&text)).unwrap_or_default();
        let is_read = match value.get("read").or(value.get("is_read")) {
            Some(Value::Bool(read)) => *read,
            Some(Value::String(read)) => read == "true",
            _ => field(value, &["status", "state"]).is_some_and(|state| state == "read"),
        };
        Ok(OldNotice { kind, text, issue, at, is_read })
    }

    /// A JSON file. What is wrong with it is told.
    pub(super) fn document(
        self,
        what: &'static str,
        inside: &str,
        report: &mut Report,
    ) -> Option<Value> {
        let why = match self.old.text(inside) {
            Found::Missing => return None,
            Found::Unfit(why) => why,
            Found::Text(text) => match json(&text) {
                // Whatever stands behind it came from a write that was cut short.
                Ok((value, _)) => return Some(value),
                Err(why) => why,
            },
        };
        report.add(Fate::Skipped, what, inside, why);
        None
    }

    pub(super) fn names(
        self,
        inside: &str,
        what: &'static str,
        report: &mut Report,
    ) -> Vec<String> {
        let (names, strange) = self.old.names(inside);
        if strange > 0 {
            let note = format!("{strange} names in it are not UTF-8");
            report.add(Fate::Skipped, what, inside, note);
        }
        names
    }

    fn issue(self, text: &str) -> Option<IssueRef> {
        IssueRef::parse(text, self.default_server).ok()
    }

    /// The issue that a file name means, if it can mean but one.
    fn issue_of_name(self, name: &str) -> Option<IssueRef> {
        let (repository, number) = name.rsplit_once(['-', '#'])?;
        let parts: Vec<&str> = repository.split('-').collect();
        let [host, owner, name] = parts.as_slice() else { return None };
        if !host.contains('.') {
            return None;
        }
        self.issue(&format!("{host}/{owner}/{name}#{number}"))
    }
}

fn is_json(name: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|end| end == "json")
}

/// The name that the bash version gave to an issue's worktree.
fn plain(issue: &IssueRef) -> String {
    let repository = issue.repository().to_string().replace(['/', ':'], "-");
    format!("{repository}-{}", issue.number())
}

fn merge(known: &mut OldIssue, value: &Value) {
    let by_name =
        SESSION.iter().filter_map(|name| value.get(name)?.as_str()).find_map(agent_session);
    let any = || value.as_object()?.values().filter_map(Value::as_str).find_map(agent_session);
    if let Some(session) = by_name.or_else(any) {
        known.session = Some(session);
    }
    if let Some(path) = field(value, &WORKTREE) {
        let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let is_plain = !matches!(name, "" | "." | "..") && !name.contains('\0');
        known.worktree = is_plain.then(|| name.to_owned()).or(known.worktree.take());
    }
    known.pr = field(value, &PR).or(known.pr.take());
    known.created = field(value, &CREATED).and_then(|text| millis(&text)).or(known.created);
}

fn agent_session(text: &str) -> Option<String> {
    let tail = text.trim().strip_prefix("ses_")?;
    let is_fine =
        (1..=100).contains(&tail.len()) && tail.bytes().all(|b| b.is_ascii_alphanumeric());
    is_fine.then(|| text.trim().to_owned())
}

/// A message as it is, with its white space.
fn value_text(value: &Value, names: &[&str]) -> Option<String> {
    let text = names.iter().find_map(|name| value.get(name)?.as_str())?;
    (!text.trim().is_empty()).then(|| text.to_owned())
}
