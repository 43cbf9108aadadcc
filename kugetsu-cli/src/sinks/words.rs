//! Answers for chats, in plain text.

use std::fmt::Write as _;

use kugetsu_core::{Status, Task, TaskId};
use kugetsu_queue::{Hold, Mask};

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

pub(super) fn status(open: &[Task], holds: &[Hold]) -> String {
    let (at_work, waiting): (Vec<_>, Vec<_>) =
        open.iter().partition(|task| task.status() == Status::Notified);
    let mut head = format!("{} at work, {} waiting.", at_work.len(), waiting.len());
    for hold in holds {
        let _ = write!(head, "\nHeld: {}.", hold.kind);
    }
    listed(head, &at_work, |task| format!("{}, attempt {}", task.lane(), task.last_attempt()))
}

pub(super) fn queue(open: &[Task], mask: &Mask) -> String {
    let waiting: Vec<_> = open.iter().filter(|task| task.status() == Status::Pending).collect();
    let count = match waiting.len() {
        0 => "Nothing waits.".to_owned(),
        count => format!("{count} waiting:"),
    };
    listed(count, &waiting, |task| {
        let message = escape::cut(&escape::line(&mask.text(task.request.message())), GLIMPSE);
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

#[cfg(test)]
mod tests {
    use kugetsu_core::{Moment, Request, Tick, Timestamp};

    use super::*;

    fn task(number: u64) -> Task {
        let at = Timestamp::from_millis(number);
        let tick = Tick { boot: uuid::Uuid::nil(), millis: number };
        let issue = format!("git.example/a/b#{number}").parse().unwrap();
        let request = Request::dev(issue, "Mend\nthe \u{1b}[31mcrash.");
        Task::new(TaskId::of_key(&number.to_string()), request, Moment { at, tick })
    }

    #[test]
    fn what_waits_is_listed_in_a_message_that_fits() {
        assert_eq!(queue(&[], &Mask::default()), "Nothing waits.");
        let one = "1 waiting:\n• git.example/a/b#1: Mend the <U+001B>[31mcrash.";
        assert_eq!(queue(&[task(1)], &Mask::default()), one);
        // It is masked before it is cut.
        let shown = queue(&[task(1)], &Mask::new(["Mend\nthe"]));
        assert!(shown.contains(": ***MASKED*** <U+001B>[31mcrash."), "{shown}");
        let many: Vec<Task> = (1..=1000).map(task).collect();
        let text = queue(&many, &Mask::default());
        assert!(text.starts_with("1000 waiting:\n• git.example/a/b#1: "), "{text}");
        assert!(text.ends_with("\nand 980 more"), "{text}");
        assert!(text.len() < 4000, "{}", text.len());
        assert_eq!(status(&many[..2], &[]), "0 at work, 2 waiting.");
    }
}
