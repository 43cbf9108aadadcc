//! What is delegated goes to whom it names.

use kugetsu_cli::Terminals;

use crate::desk::{ISSUE, desk, initialised};

#[test]
fn delegating_queues_and_returns() {
    let desk = initialised();
    let url = "https://example.com/acme/widgets/issues/7";
    let shown = desk.transcript(&[
        &["delegate"],
        &["delegate", "  "],
        &["delegate", "How far is it?"],
        &["delegate", &format!("Fix {ISSUE}: it crashes.")],
        &["delegate", "--json", &format!("See {url}, and {ISSUE}.")],
        &["delegate", &format!("Fix {ISSUE} and acme/tool#1.")],
        &["delegate", "Fix #14, please."],
        &["delegate", "--key", "once", "Only once."],
        &["delegate", "--key", "once", "Only once."],
        &["delegate", "--wait=1ms", "Hurry!"],
        &["queue", "list"],
    ]);
    desk.assert("delegate", &shown);
}

#[test]
fn without_a_pm_nothing_is_delegated() {
    let desk = desk();
    let shown = desk.transcript(&[
        &["delegate", "Do it."],
        &["init"],
        &["destroy", "--pm-agent", "-y"],
        &["delegate", "Do it."],
    ]);
    desk.assert("delegate-without-pm", &shown);
}

#[test]
fn a_person_may_say_which_issue_is_meant() {
    let desk = initialised();
    desk.run(&["start", ISSUE, "begin"]).done();
    let terminals = Terminals { input: true, output: true, error: true };
    let asked = |words: &[&str], input: &str, terminals| {
        desk.run_with(words, input.as_bytes(), terminals).shown()
    };
    let words = ["delegate", "Go on with #7."];
    let shown = [
        asked(&words, "1\n", terminals),
        asked(&words, "\n", terminals),
        asked(&words, "", terminals),
        asked(&words, "5\n", terminals),
        // Nobody is there to be asked.
        asked(&words, "1\n", Terminals { error: false, ..terminals }),
        asked(&["delegate", "--json", "Go on with #7."], "1\n", terminals),
        desk.run(&["queue", "list", "--open"]).shown(),
    ];
    desk.assert("delegate-chosen", &shown.join("\n"));
}

#[test]
fn an_agent_may_not_delegate() {
    let desk = initialised();
    let label =
        |role: &str| format!("{role}:{}", desk.kugetsu("").to_str().unwrap().trim_end_matches('/'));
    let (pm, dev) = (label("pm"), label("dev"));
    let desk = desk.with("KUGETSU_TREE", &pm);
    let as_pm = desk.transcript(&[
        &["delegate", "Do it."],
        &["init", "--force"],
        &["start", ISSUE, "now"],
        &["start", "--detach", ISSUE, "later"],
        &["list", "--config", "max_concurrent_agents=9"],
        &["status"],
    ]);
    let desk = desk.with("KUGETSU_TREE", &dev);
    let as_dev =
        desk.transcript(&[&["start", "--detach", ISSUE, "later"], &["stop", ISSUE], &["status"]]);
    desk.assert("callers", &format!("{as_pm}\n{as_dev}"));
}
