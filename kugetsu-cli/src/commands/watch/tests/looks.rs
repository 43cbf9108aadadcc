//! How the board looks.

use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::{AgentEvent, Clock as _, MemoryStore, SlotKey};
use kugetsu_queue::{Hold, Holds, WatchedStore};
use kugetsu_testkit::fake::ManualClock;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use super::{
    PLAIN, asked, begun, board, busy, check, claimed, holder, says, settled, shown, task, told,
    uses,
};
use crate::commands::watch::board::{Board, Class};
use crate::commands::watch::keys::Key;
use crate::commands::watch::picture;
use crate::commands::watch::view::Look;

#[test]
fn on_a_usual_terminal_it_shows_all_that_matters() {
    check("usual", &shown(&mut busy(), PLAIN, 80, 24).0);
}

#[test]
fn on_a_wide_terminal_it_shows_more_of_each() {
    check("wide", &shown(&mut busy(), PLAIN, 140, 40).0);
}

#[test]
fn an_empty_board_says_how_to_fill_it() {
    let mut empty = board();
    empty.sight.daemon = false;
    check("empty", &shown(&mut empty, PLAIN, 80, 24).0);
}

#[test]
fn on_the_smallest_terminal_the_selected_task_is_still_seen() {
    let mut board = busy();
    board.press(Key::End);
    check("smallest", &shown(&mut board, PLAIN, 40, 10).0);
}

#[test]
fn a_terminal_that_is_too_small_is_told_so() {
    check("too-small", &shown(&mut busy(), PLAIN, 30, 8).0);
    for (columns, lines) in [(1, 1), (2, 30), (200, 1), (39, 10), (40, 9), (300, 200)] {
        shown(&mut busy(), PLAIN, columns, lines);
    }
}

#[test]
fn what_an_agent_tells_neither_acts_nor_breaks_the_board() {
    let mut board = board();
    let message = "\x1b[2J\x1b]0;owned\x07\r\nuser\u{202e}gpj.exe 漢字漢字漢字漢字 \u{200b}end";
    let one = claimed(&task(1, message, 0), 1);
    let marks = format!("z{}algo", "\u{301}".repeat(500));
    let why = "無".repeat(100);
    let two = settled(&claimed(&task(2, &marks, 0), 2), super::failed(&why), 9);
    let three = claimed(&task(3, "👩‍💻 👨‍👩‍👧‍👦 🇩🇪 ⚠️", 0), 3);
    board.fill(&[one.clone(), two, three.clone()], &[]);
    board.hear(&begun(&one, 1));
    board.hear(&told(&one, 2, uses("ba\x1bsh", "echo \x1b[31mred\x1b[0m \u{2066}漢字")));
    board.hear(&begun(&three, 3));
    board.hear(&told(&three, 4, says("\x1b[?1049l 👩‍💻\tsays\r hello")));
    let hostile = holder(SlotKey::Dev, 0, "\x1b[31mevil\u{202e}");
    board.sight.classes = vec![Class { key: SlotKey::Dev, limit: 1, holders: vec![hostile] }];
    board.now = super::at(10);
    let (seen, buffer) = shown(&mut board, PLAIN, 80, 24);
    for cell in &buffer.content {
        assert!(!cell.symbol().chars().any(char::is_control), "{:?}", cell.symbol());
        assert!(cell.symbol().chars().count() <= 12, "{:?}", cell.symbol());
        assert!(!cell.symbol().contains(['\u{202e}', '\u{2066}', '\u{200b}']), "{seen}");
    }
    check("hostile", &seen);
}

#[test]
fn without_colour_nothing_is_coloured_and_what_matters_is_stronger() {
    let (_, buffer) = shown(&mut busy(), PLAIN, 80, 24);
    let is_plain = |buffer: &Buffer| {
        buffer.content.iter().all(|cell| {
            cell.fg == Color::Reset
                && cell.bg == Color::Reset
                && !cell.modifier.contains(Modifier::DIM)
        })
    };
    assert!(is_plain(&buffer));
    assert!(buffer.content.iter().any(|cell| cell.modifier.contains(Modifier::BOLD)));
    assert!(buffer.content.iter().any(|cell| cell.modifier.contains(Modifier::REVERSED)));
    let (seen, coloured) = shown(&mut busy(), Look { colour: true, ..PLAIN }, 80, 24);
    assert_eq!(seen, shown(&mut busy(), PLAIN, 80, 24).0);
    assert!(!is_plain(&coloured));
}

#[test]
fn where_only_ascii_can_be_shown_nothing_else_is() {
    let mut board = busy();
    let wide = claimed(&task(4, "Überall 漢字", 5), 6);
    board.hear(&begun(&wide, 6));
    board.hear(&told(&wide, 7, says("größer … 漢字 é")));
    board.put(wide.id, Some(&wide));
    let (seen, buffer) = shown(&mut board, Look { unicode: false, ..PLAIN }, 80, 24);
    assert!(buffer.content.iter().all(|cell| cell.symbol().is_ascii()));
    check("ascii", &seen);
}

#[test]
fn a_hold_is_told_with_how_long_it_lasts() {
    let clock = ManualClock::new();
    let mut board = busy();
    board.now = clock.moment();
    board.sight.holds = holds(&clock);
    let (seen, _) = shown(&mut board, PLAIN, 80, 24);
    check("held", &seen.lines().take(4).collect::<Vec<_>>().join("\n"));
}

/// The queue is paused, and a provider takes no more.
pub(super) fn holds(clock: &ManualClock) -> Vec<Hold> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let memory = Arc::new(MemoryStore::new());
    let store = WatchedStore::new(memory.clone());
    let holds = Holds::new(memory, Arc::new(clock.clone()), store);
    runtime.block_on(async {
        holds.pause("over\x1b[2Jnight").await.unwrap();
        let wait = Duration::from_secs(754);
        holds.hold_provider("anthropic", "usage limit reached", wait).await.unwrap();
        holds.active().await.unwrap()
    })
}

#[test]
fn many_holders_leave_room_for_the_tasks() {
    let mut board = busy();
    let dev = |index| holder(SlotKey::Dev, index, &format!("github.com/acme/widgets#{index}"));
    let holders = (0..30).map(dev).collect();
    board.sight.classes = vec![Class { key: SlotKey::Dev, limit: 30, holders }];
    check("many-holders", &shown(&mut board, PLAIN, 80, 24).0);
}

#[test]
fn the_help_names_every_key() {
    let mut board = busy();
    board.press(Key::Char('?'));
    check("help", &shown(&mut board, PLAIN, 80, 24).0);
}

#[test]
fn a_picture_is_plain_text_without_keys() {
    let still = Look { still: true, ..PLAIN };
    check("picture", &picture(&mut busy(), still, 100).join("\n"));
}

#[test]
fn a_log_shows_what_was_told_and_folds_long_lines() {
    let mut board = busy();
    assert!(board.press(Key::Enter).is_some());
    let one = claimed(&task(1, "Fix the crash.", 0), 10);
    let long = "I look at the parser first, and then at everything that calls it, since the crash \
                may come from either of them.\n";
    let tool = |ok| AgentEvent::ToolEnded {
        call: "1".into(),
        tool: "bash".into(),
        ok,
        summary: "exit 101: two tests failed".into(),
    };
    for event in [
        begun(&one, 10),
        told(&one, 20, says(long)),
        told(&one, 21, AgentEvent::Thought { text: "hm\n".into() }),
        told(&one, 22, uses("bash", "cargo test")),
        told(&one, 30, tool(true)),
        told(&one, 31, uses("bash", "cargo test --release")),
        told(&one, 40, tool(false)),
        // Nobody else's.
        told(&asked(2, kugetsu_core::Request::pm("x"), 0), 41, says("another task\n")),
    ] {
        board.log.as_mut().unwrap().hear(&event);
    }
    check("log", &shown(&mut board, PLAIN, 80, 24).0);
    check("log-small", &shown(&mut board, PLAIN, 40, 10).0);
}

#[test]
fn an_open_log_stays_where_it_is_read_and_follows_at_its_end() {
    let mut board = busy();
    board.press(Key::Enter);
    let one = claimed(&task(1, "Fix the crash.", 0), 10);
    let say = |board: &mut Board, number: u32| {
        let event = told(&one, 20, says(&format!("line {number}\n")));
        board.log.as_mut().unwrap().hear(&event);
    };
    for number in 0..100 {
        say(&mut board, number);
    }
    let last = |board: &mut Board| {
        let seen = shown(board, PLAIN, 80, 24).0;
        let lines: Vec<&str> = seen.lines().filter(|line| line.contains("says")).collect();
        (lines[0][19..].to_owned(), lines[lines.len() - 1][19..].to_owned())
    };
    assert_eq!(last(&mut board), ("line 80".into(), "line 99".into()));
    board.press(Key::PageUp);
    assert_eq!(last(&mut board), ("line 59".into(), "line 79".into()));
    say(&mut board, 100);
    assert_eq!(last(&mut board), ("line 59".into(), "line 79".into()));
    assert!(shown(&mut board, PLAIN, 80, 24).0.contains("21 lines below"));
    board.press(Key::Home);
    assert_eq!(last(&mut board), ("line 0".into(), "line 20".into()));
    board.press(Key::Up);
    assert_eq!(last(&mut board), ("line 0".into(), "line 20".into()));
    board.press(Key::End);
    say(&mut board, 101);
    assert_eq!(last(&mut board), ("line 82".into(), "line 101".into()));
    for number in 0..6000 {
        say(&mut board, number);
    }
    board.press(Key::Home);
    assert_eq!(last(&mut board), ("line 1000".into(), "line 1020".into()));
}

#[test]
fn of_what_is_being_said_the_last_words_are_seen() {
    let mut board = board();
    let one = claimed(&task(1, "Fix the crash.", 0), 10);
    board.fill(std::slice::from_ref(&one), &[]);
    board.hear(&begun(&one, 10));
    board.hear(&told(&one, 20, says(&"many words ".repeat(30))));
    board.hear(&told(&one, 21, says("and 漢字 the last")));
    let seen = shown(&mut board, PLAIN, 80, 24).0;
    assert!(seen.lines().any(|line| line.ends_with("and 漢字 the last")), "{seen}");
    board.hear(&told(&one, 22, says(".\n")));
    let seen = shown(&mut board, PLAIN, 80, 24).0;
    assert!(seen.lines().any(|line| line.contains("└ says many words")), "{seen}");
}
