//! Answers for chats, in plain text.

use std::fmt::Write as _;

use kugetsu_core::{Status, Task, TaskId};

use crate::screen::escape;

/// How many tasks a message lists, and how much it shows of what each is about.
const LISTED: usize = 20;
const GLIMPSE: usize = 80;

pub(super) const HELP: &str = "\
/status - what the agents are doing
/queue - what waits
/delegate <what> - have it done; the outcome comes here
Anything else is said to the PM.";

pub(super) fn queued(task: TaskId) -> String {
    format!("Queued as task {task}. The outcome comes here.")
}

pub(super) fn status(open: &[Task]) -> String {
    let (at_work, waiting): (Vec<_>, Vec<_>) =
        open.iter().partition(|task| task.status() == Status::Notified);
    let counts = format!("{} at work, {} waiting.", at_work.len(), waiting.len());
    listed(counts, &at_work, |task| format!("{}, attempt {}", task.lane(), task.last_attempt()))
}

pub(super) fn queue(open: &[Task]) -> String {
    let waiting: Vec<_> = open.iter().filter(|task| task.status() == Status::Pending).collect();
    let count = match waiting.len() {
        0 => "Nothing waits.".to_owned(),
        count => format!("{count} waiting:"),
    };
    listed(count, &waiting, |task| {
        let message = escape::cut(&escape::line(task.request.message()), GLIMPSE);
        format!("{}: {message}", task.lane())
    })
}

fn listed(head: String, tasks: &[&Task], line: impl Fn(&Task) -> String) -> String {
    let mut text = head;
    for task in tasks.iter().take(LISTED) {
        let _ = write!(text, "\n• {}", line(task));
    }
    if tasks.len() > LISTED {
        let _ = write!(text, "\nand {} more", tasks.len() - LISTED);
    }
    text
}
