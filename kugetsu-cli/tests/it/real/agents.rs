//! One program, through every runner that can reach it.

use std::path::Path;

use kugetsu_testkit::sandbox::opencode_program;
use serde_json::{Value, json};

use super::house::{House, Ran, issue, kind_of};

/// What a run has come to, but for what differs from issue to issue.
fn result(house: &House, ran: &Ran, number: u64) -> Value {
    let mut report = ran.told("settled")["outcome"]["report"].take();
    assert_eq!(report["branch"].take(), format!("fix/issue-{number}"));
    let head = report["head"].take();
    let worktree = ran.worktree();
    let log = ["-C", worktree.to_str().unwrap(), "log", "-1", "--format=%H %T %s"];
    let log = house.repository.git(&log).unwrap();
    let (commit, of_tree) = log.trim().split_once(' ').unwrap();
    assert_eq!(head.as_str(), Some(commit));
    // Costs are as each way tells them; the rest is the same.
    report.as_object_mut().unwrap().remove("usage");
    json!({ "report": report, "commit": of_tree, "events": told(ran) })
}

/// What was told, in order, without what some agents tell oftener than others.
fn told(ran: &Ran) -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    for event in ran.events() {
        let kind = match kind_of(&event) {
            "usage" | "thought" | "waiting" => continue,
            "tool_ended" => format!("tool_ended {}", event["what"]["data"]["data"]["ok"]),
            kind => kind.to_owned(),
        };
        if kinds.last() != Some(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

#[tokio::test(flavor = "multi_thread")]
async fn one_issue_through_every_runner_has_equal_results() {
    let adapter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/agents/opencode-run.mjs");
    let opencode = opencode_program();
    let config = format!(
        "[acp.opencode]\nprogram = [{opencode:?}, \"acp\"]\n\
         [command.opencode]\nprogram = [{adapter:?}]\noutput = \"json\"\nresume = true\n\
         environment = {{ KUGETSU_OPENCODE = {opencode:?} }}\n"
    );
    let house = House::with_config(&config).await;
    let message = "MODEL: write note.txt a note ;; bash git add -A && git commit -qm 'A note'\nMODEL: say Done.";
    let mut results = Vec::new();
    for (number, agent) in [(1, "opencode"), (2, "acp:opencode"), (3, "command:opencode")] {
        let ran = house.run(&["start", "--agent", agent, &issue(number), message, "--json"]).await;
        assert_eq!(ran.code, Some(0), "{agent}: {ran:?}");
        assert_eq!(ran.answer(), "Done.", "{agent}: {ran:?}");
        results.push((agent, result(&house, &ran, number)));
    }
    let (_, native) = &results[0];
    for (agent, result) in &results[1..] {
        assert_eq!(result, native, "{agent} and opencode itself");
    }
    // And each goes on where it was.
    for (number, agent) in [(2, "acp:opencode"), (3, "command:opencode")] {
        let ran = house.run(&["start", &issue(number), "MODEL: history", "--json"]).await;
        assert!(ran.answer().contains("users=2"), "{agent}: {ran:?}");
    }
}
