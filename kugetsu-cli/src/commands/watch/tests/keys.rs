//! What a key does.

use super::{PLAIN, at, board, busy, claimed, settled, shown, task};
use crate::commands::watch::board::{Deed, Over};
use crate::commands::watch::keys::Key;

#[test]
fn leaving_needs_one_key_and_a_log_is_closed_first() {
    for key in [Key::Char('q'), Key::Escape] {
        let mut board = busy();
        assert!(matches!(board.press(Key::Char('l')), Some(Deed::OpenLog(..))));
        assert_eq!(board.press(key), Some(Deed::CloseLog));
        assert_eq!(board.press(key), Some(Deed::Quit));
    }
    let mut board = busy();
    board.press(Key::Enter);
    board.press(Key::Char('s'));
    assert_eq!(board.press(Key::Interrupt), Some(Deed::Quit));
}

#[test]
fn an_agent_is_stopped_only_after_a_yes() {
    let mut board = busy();
    let first = board.rows()[0].id;
    assert_eq!(board.press(Key::Char('s')), None);
    let seen = shown(&mut board, PLAIN, 80, 24).0;
    assert!(seen.contains("Stop the agent of acme/widgets#1 and cancel the task? [y/N]"), "{seen}");
    assert_eq!(board.press(Key::Enter), None);
    assert_eq!(board.over, None);
    board.press(Key::Char('s'));
    assert_eq!(board.press(Key::Char('y')), Some(Deed::Cancel(first)));
}

#[test]
fn a_question_is_about_the_task_of_the_open_log() {
    let mut board = busy();
    board.press(Key::Down);
    let second = board.rows()[1].id;
    board.press(Key::Enter);
    board.press(Key::Char('s'));
    assert_eq!(board.press(Key::Char('y')), Some(Deed::Cancel(second)));
    assert!(board.log.is_some());
}

#[test]
fn only_what_is_over_is_queued_once_more() {
    let mut board = busy();
    assert_eq!(board.press(Key::Char('r')), None);
    assert_eq!(board.over, None);
    assert!(shown(&mut board, PLAIN, 80, 24).0.contains("is not over yet"));
    board.press(Key::End);
    let last = board.rows().last().map(|entry| entry.id).unwrap();
    board.press(Key::Char('s'));
    assert!(shown(&mut board, PLAIN, 80, 24).0.contains("is over already"));
    board.press(Key::Char('r'));
    assert_eq!(board.press(Key::Char('y')), Some(Deed::Retry(last)));
}

#[test]
fn a_task_that_is_being_stopped_is_not_stopped_twice() {
    let mut board = board();
    let running = claimed(&task(1, "Fix it.", 0), 1);
    let stopping = running.apply(kugetsu_core::Change::Cancel, at(2)).unwrap().0;
    board.fill(&[stopping], &[]);
    assert_eq!(board.press(Key::Char('s')), None);
    assert_eq!(board.over, None);
    assert!(shown(&mut board, PLAIN, 80, 24).0.contains("stopping"));
}

#[test]
fn the_same_key_pauses_and_resumes() {
    let mut board = busy();
    assert_eq!(board.press(Key::Char('p')), Some(Deed::Pause));
    board.sight.holds = super::looks::holds(&kugetsu_testkit::fake::ManualClock::new());
    assert_eq!(board.press(Key::Char('p')), Some(Deed::Resume));
    assert!(shown(&mut board, PLAIN, 80, 24).0.contains("p resume"));
}

#[test]
fn any_key_leaves_the_help_and_does_nothing_else() {
    let mut board = busy();
    board.press(Key::Char('?'));
    assert_eq!(board.over, Some(Over::Help));
    assert_eq!(board.press(Key::Char('p')), None);
    assert_eq!(board.over, None);
}

#[test]
fn what_was_said_goes_with_the_next_key_or_after_a_while() {
    let mut board = board();
    board.fill(&[settled(&claimed(&task(1, "Fix it.", 0), 1), super::done(), 2)], &[]);
    board.say("it was done");
    assert!(shown(&mut board, PLAIN, 80, 24).0.contains("it was done"));
    board.press(Key::Up);
    assert_eq!(board.said(), None);
    board.say("it was done");
    board.now = at(60);
    assert_eq!(board.said(), None);
}
