//! The page `docs/promises.md`: what each trait promises, the tests that hold it, and the faults that
//! break those.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::teeth::Suite;

/// A trait's promises, each by its beginning, with the tests that hold it: those of the trait's suite
/// and, for what no suite can see, those of a backend of our own.
struct Held {
    suite: &'static str,
    name: &'static str,
    /// Its file in core.
    file: &'static str,
    promises: &'static [(&'static str, &'static [&'static str])],
}

/// Each suite with its macro and what its backends are called.
const SUITES: &[(&str, &str, &str)] = &[
    ("tasks", "task_store_conformance", "A store of tasks"),
    ("sessions", "session_store_conformance", "A store of sessions"),
    ("agents", "agent_runner_conformance", "A runner of agents"),
    ("worktrees", "worktree_provider_conformance", "A provider of worktrees"),
    ("slots", "slot_pool_conformance", "A pool of slots"),
    ("memos", "memo_store_conformance", "A store of memos"),
    ("forges", "forge_conformance", "A client of a forge"),
    ("notices", "notifier_conformance", "A notifier"),
];

const HELD: &[Held] = &[
    Held {
        suite: "tasks",
        name: "EventLog",
        file: "store.rs",
        promises: &[
            (
                "Events come back in the order",
                &[
                    "events_come_back_in_the_order_in_which_they_were_appended",
                    "a_cursor_stays_valid_after_reopening",
                ],
            ),
            (
                "Once an event can be read",
                &["a_reader_who_follows_misses_nothing", "reading_goes_on_behind_any_cursor"],
            ),
            (
                "An event of a kind that this version does not know",
                &["an_event_of_an_unknown_kind_comes_back_as_it_was"],
            ),
        ],
    },
    Held {
        suite: "tasks",
        name: "TaskStore",
        file: "store.rs",
        promises: &[
            (
                "commit writes the task and its events together",
                &[
                    "a_task_and_its_events_are_committed_together",
                    "a_commit_that_nobody_waits_for_is_whole_or_not_there",
                    "a_change_of_an_outdated_revision_is_refused",
                    "of_many_changes_at_once_one_is_made",
                ],
            ),
            (
                "What was committed is there after a crash",
                &[
                    "a_task_committed_is_there_after_reopening",
                    "what_was_acknowledged_outlives_a_kill_and_the_rest_is_whole",
                ],
            ),
            ("Tasks keep the order", &["tasks_are_listed_in_the_order_of_their_first_commit"]),
        ],
    },
    Held {
        suite: "sessions",
        name: "SessionStore",
        file: "session.rs",
        promises: &[
            (
                "There is at most one session of each SessionKind",
                &[
                    "there_is_one_session_of_each_kind",
                    "of_many_first_sessions_of_a_kind_at_once_one_is_made",
                ],
            ),
            (
                "A write succeeds only if the stored revision is as expected",
                &[
                    "a_change_of_an_outdated_session_is_refused",
                    "a_session_put_is_there_after_reopening",
                ],
            ),
            (
                "A crash in the middle of a write",
                &["what_was_acknowledged_outlives_a_kill_and_the_rest_is_whole"],
            ),
        ],
    },
    Held {
        suite: "agents",
        name: "AgentRunner",
        file: "agent.rs",
        promises: &[
            (
                "A run works in RunRequest::directory",
                &["the_agent_works_in_the_directory_it_was_given"],
            ),
            (
                "The message reaches the agent byte for byte",
                &[
                    "a_message_reaches_the_agent_byte_for_byte",
                    "a_message_of_a_megabyte_reaches_the_agent",
                ],
            ),
            (
                "AgentEvent::SessionStarted comes before anything",
                &[
                    "a_turn_begins_with_its_session_and_ends_with_one_finish",
                    "an_empty_turn_is_a_failure",
                ],
            ),
            ("The request's slots are held", &["a_slot_is_held_as_long_as_its_run"]),
            (
                "Nothing waits for an answer that nobody gives",
                &["what_nobody_may_grant_is_refused_and_told"],
            ),
            (
                "The events end with exactly one",
                &["a_turn_begins_with_its_session_and_ends_with_one_finish"],
            ),
            (
                "Dropping an AgentRun stops the agent",
                &[
                    "a_run_that_is_dropped_is_stopped",
                    "a_run_that_is_dropped_at_once_is_stopped",
                    "killed_with_9_nothing_of_the_run_lives_on_and_nothing_is_lost",
                ],
            ),
        ],
    },
    Held {
        suite: "worktrees",
        name: "WorktreeProvider",
        file: "worktree.rs",
        promises: &[
            (
                "prepare twice is preparing once",
                &[
                    "preparing_twice_is_preparing_once",
                    "preparing_keeps_what_was_done_whatever_the_source_does",
                    "many_who_prepare_one_worktree_at_once_get_the_same",
                ],
            ),
            (
                "Nothing here ever deletes uncommitted changes",
                &[
                    "uncommitted_work_is_kept",
                    "commits_that_are_nowhere_else_are_kept",
                    "commits_outlive_their_directory",
                    "work_that_is_to_be_discarded_is_gone",
                ],
            ),
            (
                "The operator's own checkout is never touched",
                &["the_checkout_of_the_operator_is_never_touched"],
            ),
            (
                "A crash in the middle leaves nothing",
                &["a_process_killed_at_any_step_is_followed_by_one_that_finishes"],
            ),
        ],
    },
    Held {
        suite: "slots",
        name: "SlotPool",
        file: "slot.rs",
        promises: &[
            (
                "For a class no more slots are held at any time than its limit",
                &[
                    "never_more_slots_are_held_than_the_limit",
                    "two_pools_on_the_same_place_share_the_limit",
                    "an_issue_has_one_slot",
                    "six_processes_at_once_never_hold_more_than_three",
                ],
            ),
            (
                "A slot is free as soon as its last holder is gone",
                &[
                    "a_slot_dropped_is_free",
                    "a_slot_is_held_until_its_last_clone_is_dropped",
                    "a_slot_lives_as_long_as_a_process_that_has_inherited_it",
                    "processes_that_are_killed_or_stopped_change_no_limit",
                ],
            ),
            (
                "Two tasks of one process never share a slot",
                &["a_class_has_as_many_slots_as_its_limit"],
            ),
            (
                "A waiting acquire burns no processor time",
                &[
                    "a_waiter_gets_the_slot_that_is_given_back",
                    "a_waiter_who_gives_up_loses_no_slot",
                    "an_idle_daemon_does_as_good_as_nothing",
                ],
            ),
        ],
    },
    Held {
        suite: "memos",
        name: "MemoStore",
        file: "memo.rs",
        promises: &[
            (
                "What was remembered is there after a crash",
                &[
                    "a_memo_is_there_after_reopening",
                    "what_was_acknowledged_outlives_a_kill_and_the_rest_is_whole",
                ],
            ),
            (
                "Of several that set the same memo at once",
                &["of_many_memos_of_one_name_at_once_one_stays_whole"],
            ),
        ],
    },
    Held {
        suite: "forges",
        name: "IssueTracker",
        file: "forge.rs",
        promises: &[
            ("What is read is complete", &["an_issue_comes_with_all_that_was_said_about_it"]),
            (
                "A comment with a key is written at most once",
                &[
                    "a_comment_is_written_once",
                    "a_comment_whose_answer_was_lost_is_written_once",
                    "of_many_who_comment_under_one_key_one_does",
                ],
            ),
            (
                "No token stands in an error",
                &["a_wrong_token_is_told_and_not_shown", "no_token_goes_to_another_server"],
            ),
        ],
    },
    Held {
        suite: "forges",
        name: "Forge",
        file: "forge.rs",
        promises: &[
            (
                "Of one branch there is at most one open pull request",
                &[
                    "a_pull_request_is_opened_once",
                    "a_pull_request_whose_answer_was_lost_is_opened_once",
                ],
            ),
            (
                "No token stands in an error",
                &["a_wrong_token_is_told_and_not_shown", "no_token_goes_to_another_server"],
            ),
        ],
    },
    Held {
        suite: "notices",
        name: "Notifier",
        file: "notice.rs",
        promises: &[
            ("When notify has returned", &["a_notice_that_was_brought_is_there_after_reopening"]),
            (
                "A notice may come again after a crash",
                &[
                    "a_notice_that_comes_again_is_kept_once",
                    "notices_brought_at_once_are_all_there",
                ],
            ),
            (
                "It returns in bounded time",
                &["a_dead_receiver_and_a_slow_one_fail_in_time_and_may_come_back"],
            ),
        ],
    },
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What stands below `# Promises` at the trait, without marks of rustdoc.
fn promised(file: &str, name: &str) -> Vec<String> {
    let source = fs::read_to_string(root().join("kugetsu-core/src").join(file)).unwrap();
    let (before, _) = source.split_once(&format!("\npub trait {name}: ")).unwrap();
    let (_, below) = before.rsplit_once("/// # Promises\n///\n").unwrap();
    let mut promises: Vec<String> = vec![];
    for line in below.lines().map_while(|line| line.strip_prefix("///")) {
        match (line.strip_prefix(" * "), promises.last_mut()) {
            (Some(begun), _) => promises.push(begun.to_owned()),
            (None, Some(last)) if line.starts_with("   ") => {
                let _ = write!(last, " {}", line.trim());
            }
            _ => break,
        }
    }
    promises.iter().map(|promise| plain(promise)).collect()
}

/// The text without links and without quotation marks for code.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        plain += before;
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    (plain + rest).replace(['[', ']', '`'], "")
}

/// The crates with a test of each name.
fn tests() -> BTreeMap<String, String> {
    fn read(directory: &Path, name: &str, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                read(&path, name, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).unwrap();
                let names = source.split("fn ").skip(1).filter_map(|rest| rest.split_once('('));
                found.extend(names.map(|(test, _)| (test.to_owned(), name.to_owned())));
            }
        }
    }
    let mut found = BTreeMap::new();
    for name in ["kugetsu-cli", "kugetsu-notify", "kugetsu-git", "kugetsu-queue"] {
        read(&root().join(name).join("tests"), name, &mut found);
        // Where nobody can call them, tests of how a store is made stand beside it.
        read(&root().join(name).join("src"), name, &mut found);
    }
    found
}

#[test]
fn every_promise_of_a_trait_names_the_tests_that_hold_it() {
    let (suites, tests) = (Suite::all(), tests());
    let mut page = String::from(
        "# What backends promise\n\n\
         Each trait of `kugetsu-core` promises what the first table of its section says, and the tests beside it \
         hold that. Most are promises of the conformance suite in `kugetsu-testkit`, which every backend of the kind \
         passes; what no suite can see from outside, such as a crash, is held by tests of our own backends, whose \
         crate stands in front. The second table is the whole suite: each promise, and what a backend does that does \
         not keep it. All these faults are seeded in `kugetsu-testkit/tests/it/teeth`, and a test sees to it that each \
         promise notices its own.\n\n\
         A backend of your own is tested against a suite by its macro, in Rust, or with `kugetsu_testkit::suite::examine`, \
         which makes a report.\n",
    );
    assert_eq!(SUITES.len(), suites.len());
    for ((name, conformance, kind), suite) in SUITES.iter().zip(&suites) {
        assert_eq!(*name, suite.name);
        let traits: Vec<_> = HELD.iter().filter(|held| held.suite == *name).collect();
        let names: Vec<_> = traits.iter().map(|held| format!("`{}`", held.name)).collect();
        let _ = write!(page, "\n## {kind}: {}, `{conformance}!`\n\n", names.join(" and "));
        page += "| what the trait promises | held by |\n|---|---|\n";
        for held in traits {
            let promises = promised(held.file, held.name);
            assert_eq!(promises.len(), held.promises.len(), "{}: {promises:#?}", held.name);
            for (promise, (beginning, by)) in promises.iter().zip(held.promises) {
                assert!(promise.starts_with(beginning), "{beginning:?}: {promise:?}");
                let by = by.iter().map(|test| {
                    if suite.promises.contains(test) {
                        return format!("`{test}`");
                    }
                    let own =
                        tests.get(*test).unwrap_or_else(|| panic!("no test is called {test}"));
                    format!("`{own}`: `{test}`")
                });
                let _ = writeln!(page, "| {promise} | {} |", by.collect::<Vec<_>>().join(", "));
            }
        }
        let _ = writeln!(
            page,
            "\n| promise | {} that does not keep it |\n|---|---|",
            kind.to_lowercase()
        );
        for promise in &suite.promises {
            let faults = suite.faults.iter().filter(|seeded| seeded.promise == *promise);
            let faults: Vec<_> = faults.map(|seeded| seeded.fault).collect();
            let sentence = promise.replace('_', " ");
            let _ = writeln!(page, "| {sentence} | {} |", faults.join("; "));
        }
    }
    let path = root().join("docs/promises.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "docs/promises.md is outdated: run this test with UPDATE_DOCS=1");
}
