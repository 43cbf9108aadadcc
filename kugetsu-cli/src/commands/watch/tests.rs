#![allow(clippy::unwrap_used)]

mod keys;
mod looks;
mod rows;

use std::time::Duration;

use kugetsu_core::{
    AgentEvent, Chance, Change, Event, Failure, Happening, Moment, Outcome, Priority, Report,
    Request, SlotHolder, SlotKey, Task, TaskId, Tick, Timestamp, Usage, WorkerId,
};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::board::{Board, Class, Sight};
use super::view::{self, Look};

const PLAIN: Look = Look { colour: false, unicode: true, still: false };

/// So many seconds after the test began.
fn at(seconds: u64) -> Moment {
    let boot = "01234567-89ab-4def-8123-456789abcdef".parse().unwrap();
    Moment {
        at: Timestamp::from_millis(1_767_225_600_000 + seconds * 1000),
        tick: Tick { boot, millis: 1_000_000 + seconds * 1000 },
    }
}

#[derive(Debug)]
struct Numbered(u8);

impl Chance for Numbered {
    fn bytes(&self) -> [u8; 16] {
        [self.0; 16]
    }
}

fn board() -> Board {
    let mut board = Board::new("~/.kugetsu".into(), "github.com", at(0));
    let class = |key, limit| Class { key, limit, holders: Vec::new() };
    let classes = vec![class(SlotKey::Dev, 3), class(SlotKey::Pm, 1)];
    board.see(Sight { classes, holds: Vec::new(), daemon: true });
    board
}

/// A task for issue `number`, asked for at this time.
fn task(number: u8, message: &str, seconds: u64) -> Task {
    let issue = format!("github.com/acme/widgets#{number}").parse().unwrap();
    asked(number, Request::dev(issue, message), seconds)
}

fn asked(number: u8, request: Request, seconds: u64) -> Task {
    Task::new(TaskId::new(at(seconds).at, &Numbered(number)), request, at(seconds))
}

fn claimed(task: &Task, seconds: u64) -> Task {
    let worker = WorkerId::new("host-1-0").unwrap();
    let claim = Change::Claim { worker, ttl: Duration::from_secs(30) };
    task.apply(claim, at(seconds)).unwrap().0
}

fn settled(task: &Task, outcome: Outcome, seconds: u64) -> Task {
    let (attempt, usage) = (task.last_attempt(), Usage::tokens(12_000, 345));
    task.apply(Change::Settle { attempt, outcome, usage }, at(seconds)).unwrap().0
}

fn done() -> Outcome {
    Outcome::Completed { report: Report::default() }
}

fn failed(reason: &str) -> Outcome {
    Outcome::Error { failure: Failure::fatal(reason) }
}

fn told(task: &Task, seconds: u64, event: AgentEvent) -> Event {
    let issue = task.request.issue().cloned();
    Event::new(at(seconds).at, task.id, issue, Happening::Agent(event))
}

fn begun(task: &Task, seconds: u64) -> Event {
    let attempt = task.last_attempt();
    let worker = WorkerId::new("host-1-0").unwrap();
    let what = Happening::Claimed { worker, attempt };
    Event::new(at(seconds).at, task.id, task.request.issue().cloned(), what)
}

fn says(text: &str) -> AgentEvent {
    AgentEvent::Message { text: text.into() }
}

fn uses(tool: &str, title: &str) -> AgentEvent {
    AgentEvent::ToolStarted { call: "1".into(), tool: tool.into(), title: title.into() }
}

fn holder(key: SlotKey, index: u32, who: &str) -> SlotHolder {
    SlotHolder::new(key, index, who).with_pid(4711).with_since(at(10).at)
}

/// A board on which everything happens: two agents at work, three tasks that wait, four that are
/// over.
fn busy() -> Board {
    let mut board = board();
    let (one, two) =
        (claimed(&task(1, "Fix the crash.", 0), 10), claimed(&task(2, "Test it.", 1), 12));
    let again = Change::Retry {
        attempt: claimed(&task(3, "Mend the flaky test.", 2), 20).last_attempt(),
        failure: Failure::passing("the model was away"),
        wait: Duration::from_secs(75),
        usage: Usage::tokens(900, 80),
    };
    let waits = claimed(&task(3, "Mend the flaky test.", 2), 20).apply(again, at(30)).unwrap().0;
    let mut second = task(1, "And tell me why it crashed.", 3);
    second.id = TaskId::new(at(3).at, &Numbered(91));
    let urgent = task(5, "Urgent: the build is broken.", 4).with_priority(Priority(9));
    let over = [
        settled(&claimed(&task(6, "Add a badge.", 0), 1), done(), 62),
        settled(&claimed(&task(7, "Rename it.", 0), 2), failed("the agent did nothing"), 63),
        settled(&claimed(&task(8, "Sort the list.", 0), 3), Outcome::Cancelled, 64),
        settled(&claimed(&asked(9, Request::pm("What is open?"), 0), 4), done(), 65),
    ];
    let mut tasks = vec![one.clone(), two.clone(), waits, second, urgent];
    tasks.extend(over);
    let recent = [
        begun(&one, 10),
        told(&one, 20, AgentEvent::Usage(Usage::tokens(45_000, 1234))),
        told(&one, 21, says("I look at the parser first.\n")),
        told(&one, 22, uses("bash", "cargo test --workspace --all-features -- --nocapture parser")),
        begun(&two, 12),
        told(&two, 30, says("I have read ")),
        told(&two, 31, says("all of it, and beg")),
    ];
    board.fill(&tasks, &recent);
    let dev = |index, who| holder(SlotKey::Dev, index, who);
    let holders = vec![dev(0, "github.com/acme/widgets#1"), dev(1, "github.com/acme/widgets#2")];
    let classes = vec![
        Class { key: SlotKey::Dev, limit: 3, holders },
        Class { key: SlotKey::Pm, limit: 1, holders: Vec::new() },
    ];
    board.see(Sight { classes, holds: Vec::new(), daemon: true });
    board.now = at(35);
    board
}

/// The board on a terminal of this size.
fn shown(board: &mut Board, look: Look, columns: u16, lines: u16) -> (String, Buffer) {
    let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
    terminal.draw(|frame| view::draw(board, look, frame.buffer_mut())).unwrap();
    let buffer = terminal.backend().buffer().clone();
    let lines = buffer.content.chunks(usize::from(columns)).map(view::text);
    (lines.map(|line| ["|", &line, "\n"].concat()).collect(), buffer)
}

/// Compares it with the snapshot of this name.
fn check(name: &str, seen: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("snapshots");
    settings.set_omit_expression(true);
    // The zone is the machine's.
    settings.add_filter(r"[0-9]{2}:([0-9]{2}:[0-9]{2})", "HH:$1");
    settings.bind(|| insta::assert_snapshot!(name, seen));
}
