//! `context`, and who else makes use of what is remembered.

use serde_json::Value;

use crate::desk::{ISSUE, initialised, is_private};

#[test]
fn the_context_of_an_issue_is_shown_to_people_and_to_programs() {
    let desk = initialised();
    let none = desk.transcript(&[&["context", ISSUE], &["context", "nonsense"]]);
    let script = "Fix it.\nMODEL: say I look. ;; write a.txt one ;; say It is \u{1b}[31mfixed.";
    desk.run(&["start", ISSUE, script]).done();
    let shown = desk.transcript(&[&["context", ISSUE]]);
    desk.assert("context", &format!("{none}\n{shown}").replace('\u{1b}', "<ESC>"));
    assert!(is_private(&desk.kugetsu("context/example.com-acme-widgets-7.json")));

    let told = desk.run(&["context", ISSUE, "--json"]).done().json();
    assert_eq!((told["issue"].as_str(), told["message"].as_str()), (Some(ISSUE), Some(script)));
    assert_eq!((told["branch"].as_str(), told["attempt"].as_u64()), (Some("fix/issue-7"), Some(1)));
    assert_eq!(told["outcome"], "completed");
    let who: Vec<&Value> =
        told["messages"].as_array().unwrap().iter().map(|said| &said["who"]).collect();
    assert_eq!(who, ["user", "agent", "agent"]);
    assert_eq!(told["messages"][1]["text"], "I look.");
    let error = desk.run(&["context", "example.com/acme/widgets#8", "--json"]).error();
    assert_eq!(error["exit"], 1, "{error}");
}

#[test]
fn a_context_is_kept_unless_it_is_not_wanted_and_goes_with_its_issue() {
    let desk = initialised();
    let file = desk.kugetsu("context/example.com-acme-widgets-7.json");
    let unwanted = ["--config", "enable_context_dump=false"];
    desk.run(&["start", unwanted[0], unwanted[1], ISSUE, "MODEL: say one"]).done();
    assert!(!file.exists());
    let off = desk.run(&["context", unwanted[0], unwanted[1], ISSUE]);
    assert!(off.code == 1 && off.err.contains("enable_context_dump is false"), "{}", off.shown());
    desk.run(&["start", ISSUE, "MODEL: say two"]).done();
    let kept = std::fs::read(&file).unwrap();
    desk.run(&["destroy", ISSUE, "-y"]).done();
    assert!(!file.exists());

    // With nothing but the context left, `continue` tells the agent of it, or `prune` removes it.
    std::fs::write(&file, &kept).unwrap();
    desk.run(&["continue", ISSUE, "MODEL: say three"]).done();
    let told = desk.agent.runs().last().unwrap().message.clone();
    assert!(
        told.contains("Your earlier session was lost") && told.contains("agent  two"),
        "{told}"
    );
    desk.run(&["destroy", ISSUE, "-y"]).done();
    std::fs::write(&file, &kept).unwrap();
    let seen = desk.transcript(&[&["prune", "-y"], &["prune", "-y"], &["continue", ISSUE]]);
    desk.assert("context-left-over", &seen);
    assert!(!file.exists());
}

#[test]
fn a_secret_of_today_is_masked_in_what_was_remembered_yesterday() {
    let desk = initialised();
    desk.run(&["start", ISSUE, "MODEL: say my-new-secret is a word"]).done();
    let desk = desk.with("TEAM_API_KEY", "my-new-secret");
    for words in [vec!["context", ISSUE], vec!["context", ISSUE, "--json"]] {
        let shown = desk.run(&words).done().out;
        assert!(shown.contains("***MASKED*** is a word") && !shown.contains("my-new-secret"));
    }
}
