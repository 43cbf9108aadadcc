//! `prune`.

use std::thread;

use crate::desk::{ISSUE, initialised};

#[test]
fn prune_removes_halves_and_no_unsaved_work() {
    let desk = initialised();
    desk.run(&["start", "example.com/acme/widgets#1", "MODEL: say clean"]).done();
    desk.run(&["start", "example.com/acme/widgets#2", "MODEL: write a.txt precious"]).done();
    desk.run(&["start", "example.com/acme/widgets#3", "MODEL: say whole"]).done();
    desk.run(&["start", "example.com/acme/widgets#4", "MODEL: say lost"]).done();
    desk.lose_session("example.com/acme/widgets#1");
    desk.lose_session("example.com/acme/widgets#2");
    std::fs::remove_dir_all(desk.kugetsu("worktrees/example.com-acme-widgets-4")).unwrap();
    let seen =
        desk.transcript(&[&["prune"], &["prune", "-y"], &["list", "--all"], &["prune", "--force"]]);
    desk.assert("prune", &seen);
    let kept = desk.kugetsu("worktrees/example.com-acme-widgets-2/a.txt");
    assert!(kept.exists());
}

#[test]
fn what_is_in_use_is_no_leftover() {
    let desk = initialised();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    thread::scope(|scope| {
        let run = scope.spawn(|| desk.run(&["start", ISSUE, "MODEL: hang"]));
        runtime.block_on(desk.agent.until_at_work(1));
        desk.lose_session(ISSUE);
        let pruned = desk.run(&["prune"]);
        let stopped = desk.run(&["stop", ISSUE]);
        run.join().unwrap();
        stopped.done();
        assert_eq!(pruned.done().out, "Nothing to prune.\n");
    });
    assert!(desk.worktree().exists());
}

#[test]
fn where_there_is_nothing_to_prune_nobody_is_asked() {
    let desk = initialised();
    desk.run(&["start", ISSUE, "MODEL: say hello"]).done();
    assert_eq!(desk.run(&["prune"]).done().out, "Nothing to prune.\n");
    let told = desk.run(&["prune", "--json"]).done().json();
    assert_eq!(told["removed"].as_array().unwrap().len(), 0);
}
