//! Which tasks are shown, in which order, and what becomes of them.

use kugetsu_core::{Happening, Priority, Status};

use super::{
    PLAIN, at, begun, board, busy, check, claimed, done, says, settled, shown, task, told,
};
use crate::commands::watch::keys::Key;

#[test]
fn those_that_run_come_first_then_those_that_wait_as_they_come_up_then_the_newest_that_are_over() {
    let board = busy();
    let shown: Vec<&str> = board.rows().iter().map(|entry| board.short(&entry.lane)).collect();
    let expected = [
        "acme/widgets#1",
        "acme/widgets#2",
        "acme/widgets#5",
        "acme/widgets#1",
        "acme/widgets#3",
        "pm",
        "acme/widgets#8",
        "acme/widgets#7",
        "acme/widgets#6",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn of_many_tasks_those_around_the_selected_one_are_seen() {
    let mut board = board();
    let tasks: Vec<_> = (1..=200u8).map(|number| task(number, "Do it.", number.into())).collect();
    board.fill(&tasks, &[]);
    board.now = at(300);
    shown(&mut board, PLAIN, 80, 24);
    for _ in 0..100 {
        board.press(Key::Down);
    }
    check("many", &shown(&mut board, PLAIN, 80, 24).0);
    board.press(Key::End);
    assert!(shown(&mut board, PLAIN, 80, 24).0.contains("acme/widgets#200 "));
    board.press(Key::Down);
    board.press(Key::PageUp);
    let rows = board.rows();
    assert_eq!(board.selected(&rows), 199 - board.page);
    board.press(Key::Home);
    assert!(shown(&mut board, PLAIN, 80, 24).0.contains("acme/widgets#1 "));
}

#[test]
fn wherever_the_selection_goes_it_is_seen() {
    for (columns, lines) in [(40, 10), (80, 11), (80, 24), (80, 13)] {
        let mut board = busy();
        for _ in 0..board.rows().len() {
            let (_, buffer) = shown(&mut board, PLAIN, columns, lines);
            let is_marked = |y| {
                let modifier = buffer[(0, y)].modifier;
                modifier.contains(ratatui::style::Modifier::REVERSED)
            };
            assert!((0..lines).any(is_marked), "{columns}x{lines}");
            board.press(Key::Down);
        }
    }
}

#[test]
fn the_selection_stays_with_its_task() {
    let mut board = board();
    let (one, two) = (task(1, "One.", 0), task(2, "Two.", 1));
    board.now = at(10);
    board.fill(&[one.clone(), two.clone()], &[]);
    board.press(Key::Down);
    let selected = |board: &super::Board| {
        let rows = board.rows();
        rows[board.selected(&rows)].id
    };
    assert_eq!(selected(&board), two.id);
    let urgent = task(3, "Three.", 2).with_priority(Priority(5));
    board.put(urgent.id, Some(&urgent));
    board.put(two.id, Some(&settled(&claimed(&two, 3), done(), 4)));
    assert_eq!(selected(&board), two.id);
    // It was forgotten.
    board.put(two.id, None);
    assert_eq!(selected(&board), urgent.id);
    board.put(urgent.id, None);
    board.put(one.id, None);
    assert!(board.rows().is_empty());
    assert_eq!(board.press(Key::Down), None);
    assert_eq!(board.press(Key::Enter), None);
}

#[test]
fn what_an_agent_tells_is_shown_as_long_as_it_runs() {
    let mut board = board();
    let waiting = task(1, "Fix it.", 0);
    board.fill(std::slice::from_ref(&waiting), &[]);
    let running = claimed(&waiting, 1);
    assert!(board.hear(&begun(&running, 1)), "the task has changed");
    board.put(running.id, Some(&running));
    assert!(!board.hear(&told(&running, 2, says("I begin.\n"))), "an agent changes no task");
    let usage = kugetsu_core::Usage::tokens(70, 7);
    board.hear(&told(&running, 3, kugetsu_core::AgentEvent::Usage(usage)));
    let entry = board.entry(running.id).unwrap();
    assert_eq!((board.latest(entry).0, board.usage(entry).total()), ("says I begin.", 77));
    // Pieces of a line are shown as they come.
    board.hear(&told(&running, 4, says("I go ")));
    board.hear(&told(&running, 5, says("on")));
    assert_eq!(board.latest(board.entry(running.id).unwrap()), ("says I go on", true));
    let over = settled(&running, done(), 9);
    let what = Happening::Settled { outcome: done() };
    let event = kugetsu_core::Event::new(at(9).at, over.id, None, what);
    assert!(board.hear(&event));
    board.put(over.id, Some(&over));
    let entry = board.entry(over.id).unwrap();
    assert_eq!((board.latest(entry).0, board.usage(entry).total()), ("", 12_345));
    assert_eq!(board.count(Status::Completed), 1);
}

#[test]
fn a_new_attempt_tells_its_own() {
    let mut board = board();
    let running = claimed(&task(1, "Fix it.", 0), 1);
    board.fill(std::slice::from_ref(&running), &[]);
    board.hear(&begun(&running, 1));
    board.hear(&told(&running, 2, says("the first attempt\n")));
    board.hear(&begun(&running, 3));
    assert_eq!(board.latest(board.entry(running.id).unwrap()).0, "getting a worktree");
}

#[test]
fn a_worker_whose_lease_has_lapsed_is_told_as_lost() {
    let mut board = board();
    let running = claimed(&task(1, "Fix it.", 0), 1);
    board.fill(std::slice::from_ref(&running), &[]);
    board.now = at(30);
    assert_eq!(board.lapsed(), []);
    board.now = at(31);
    assert_eq!(board.lapsed(), [running.id]);
    assert!(shown(&mut board, PLAIN, 80, 24).0.contains("lost worker"));
}

#[test]
fn a_board_that_is_filled_anew_counts_nothing_twice() {
    let mut board = board();
    let running = claimed(&task(1, "Fix it.", 0), 1);
    let usage = kugetsu_core::AgentEvent::Usage(kugetsu_core::Usage::tokens(70, 7));
    let over = settled(&claimed(&task(2, "Test it.", 0), 1), done(), 3);
    let recent = [told(&running, 2, usage), told(&over, 2, says("I am done.\n"))];
    for _ in 0..2 {
        board.fill(&[running.clone(), over.clone()], &recent);
        assert_eq!(board.usage(board.entry(running.id).unwrap()).total(), 77);
        assert_eq!(board.latest(board.entry(over.id).unwrap()), ("", false));
    }
}
