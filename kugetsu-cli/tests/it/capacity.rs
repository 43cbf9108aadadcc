//! `capacity`, with an agent in this process in opencode's place.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use kugetsu_cli::{CliRunner, Terminals};
use kugetsu_core::{Failure, Retry};
use kugetsu_testkit::fake::FakeAgent;
use serde_json::{Value, json};

use crate::desk::{Desk, Ran, desk, initialised};

/// Measures with this agent. Where it is measured is gone afterwards.
fn measured_by(desk: &Desk, agent: &FakeAgent, words: &[&str], terminals: Terminals) -> Ran {
    let tmp = desk.path("tmp");
    let agent = agent.clone();
    let runner = CliRunner::default().with_agent("opencode", move |_| Ok(Arc::new(agent.clone())));
    let words: Vec<&str> = ["capacity", "--output", "out"].iter().chain(words).copied().collect();
    let ran = desk.run_by(runner, &words, b"n\n", terminals);
    assert_eq!(fs::read_dir(tmp).unwrap().count(), 0, "something is left: {}", ran.shown());
    ran
}

fn measured(desk: &Desk, agent: &FakeAgent, words: &[&str]) -> Ran {
    measured_by(desk, agent, words, Terminals::default())
}

/// A desk whose temporary files are its own.
fn with_tmp(desk: Desk) -> Desk {
    let tmp = desk.path("tmp");
    fs::create_dir(&tmp).unwrap();
    desk.with("TMPDIR", tmp.to_str().unwrap())
}

/// The files of a run, by the beginning of their names.
fn file(desk: &Desk, begin: &str) -> PathBuf {
    let all = fs::read_dir(desk.path("home/out")).unwrap().map(|entry| entry.unwrap().path());
    let mut all = all.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(begin));
    all.next().unwrap_or_else(|| panic!("no {begin}"))
}

#[test]
fn a_run_writes_its_files_and_touches_nothing_of_the_users_own() {
    let desk = with_tmp(desk());
    let agent = FakeAgent::new();
    let ran = measured(&desk, &agent, &["--counts", "1,3", "--memory-limit", "1024M"]).done();
    assert!(!desk.path("kugetsu").exists());
    assert_eq!((agent.runs().len(), agent.most_at_work()), (4, 3));

    let csv = fs::read_to_string(file(&desk, "summary_")).unwrap();
    let rows: Vec<Vec<&str>> = csv.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert_eq!((rows[0][0], rows[0][2], rows[1][0], rows[1][2]), ("1", "1", "3", "3"));
    let results: Value =
        serde_json::from_slice(&fs::read(file(&desk, "results_")).unwrap()).unwrap();
    assert_eq!(results["format"], "kugetsu.capacity/1");
    assert_eq!(results["rows"][1]["agent_count"], 3);
    assert_eq!(results["recommended_agents"], 3);
    let report = fs::read_to_string(file(&desk, "report_")).unwrap();
    for chart in ["memory_", "response_"] {
        let chart = file(&desk, chart);
        let name = chart.file_name().unwrap().to_str().unwrap();
        assert!(report.contains(&format!("]({name})")), "{report}");
        assert!(fs::read_to_string(&chart).unwrap().starts_with("<svg "));
    }
    // What is said is what is written.
    for text in [&ran.out, &report] {
        assert!(text.contains("max_concurrent_agents = 3"), "{text}");
        assert!(text.contains(rows[1][11]) && text.contains(rows[1][5]), "{text}");
    }
    assert!(ran.err.contains("3 agents at once (row 2 of 2) …"), "{}", ran.err);
    assert!(ran.err.contains("3 agents at once: 3 succeeded, "), "{}", ran.err);
}

#[test]
fn with_json_the_answer_is_the_document() {
    let desk = with_tmp(desk());
    let ran = measured(&desk, &FakeAgent::new(), &["--counts", "1", "--json"]).done();
    assert_eq!(ran.err, "");
    let mut told = ran.json();
    let files = told.as_object_mut().unwrap().remove("files").unwrap();
    assert_eq!(files.as_array().unwrap().len(), 5);
    let written: Value =
        serde_json::from_slice(&fs::read(file(&desk, "results_")).unwrap()).unwrap();
    assert_eq!(told, written);
}

#[test]
fn a_run_in_which_nobody_succeeds_claims_no_capacity_and_sets_nothing() {
    let desk = with_tmp(initialised());
    let before = fs::read_to_string(desk.kugetsu("config.toml")).unwrap();
    let words = ["--counts", "1,2,3", "--timeout", "1", "--apply"];
    let ran = measured(&desk, &FakeAgent::new(), &words);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    assert!(ran.err.contains("error: not one agent succeeded"), "{}", ran.err);
    assert!(!ran.out.contains("Recommended"), "{}", ran.out);
    let csv = fs::read_to_string(file(&desk, "summary_")).unwrap();
    let row: Vec<&str> = csv.lines().nth(1).unwrap().split(',').collect();
    // Too late is as late as can be.
    assert_eq!(row[..9], ["1", "1.00", "0", "0", "1", "1.00", "0.00", "1.00", "1.00"]);
    let report = fs::read_to_string(file(&desk, "report_")).unwrap();
    assert!(report.contains("**Nothing is recommended:** not one agent succeeded"), "{report}");
    assert!(report.contains("2 were not tried: with 1 at once none had succeeded"), "{report}");
    let results: Value =
        serde_json::from_slice(&fs::read(file(&desk, "results_")).unwrap()).unwrap();
    assert_eq!(results["recommended_agents"], Value::Null);
    assert_eq!(results["settings"], json!([]));
    assert_eq!(fs::read_to_string(desk.kugetsu("config.toml")).unwrap(), before);
}

#[test]
fn who_failed_is_counted_with_the_reason_and_the_recommendation_stays_below() {
    let desk = with_tmp(desk());
    let agent = FakeAgent::new();
    agent.fail_next(Failure::new("the model has gone home", Retry::Never));
    let ran = measured(&desk, &agent, &["--counts", "1,2"]);
    // The first row was to fail; the second is none any more.
    assert_eq!(ran.code, 1, "{}", ran.shown());
    let report = fs::read_to_string(file(&desk, "report_")).unwrap();
    assert!(
        report.contains(
            "With 1 agent, 1 failed: the attempt stopped at Run: the model has gone home."
        ),
        "{report}"
    );
}

#[test]
fn apply_sets_what_is_recommended_and_keeps_the_rest_of_the_settings() {
    let desk = with_tmp(initialised());
    let config = "# ours\nmax_concurrent_agents = 7 # many\nverbosity = \"quiet\"\n";
    fs::write(desk.kugetsu("config.toml"), config).unwrap();
    let ran = measured(&desk, &FakeAgent::new(), &["--counts", "2", "--apply"]).done();
    assert!(ran.out.contains("Wrote max_concurrent_agents = 2 into "), "{}", ran.out);
    assert!(ran.out.contains("(it was 7)"), "{}", ran.out);
    let written = fs::read_to_string(desk.kugetsu("config.toml")).unwrap();
    assert_eq!(written, config.replace("= 7", "= 2"));

    // The same from the file, later.
    fs::write(desk.kugetsu("config.toml"), config).unwrap();
    let results = file(&desk, "results_");
    let apply = format!("--apply={}", results.display());
    let applied = desk.run(&["capacity", &apply, "--json"]).done().json();
    let expected =
        json!([{ "key": "max_concurrent_agents", "value": "2", "before": "7", "hidden_by": null }]);
    assert_eq!(applied["applied"], expected);
    assert_eq!(fs::read_to_string(desk.kugetsu("config.toml")).unwrap(), written);
    // What comes before the file is told.
    let hidden = desk.with("MAX_CONCURRENT_AGENTS", "9").run(&["capacity", &apply]).done();
    let warning = "environment (MAX_CONCURRENT_AGENTS) comes before config.toml and says 9";
    assert!(hidden.err.contains(warning), "{}", hidden.err);
}

#[test]
fn only_what_a_measurement_may_propose_is_applied() {
    let desk = initialised();
    let before = fs::read_to_string(desk.kugetsu("config.toml")).unwrap();
    let document =
        |settings: Value| json!({ "format": "kugetsu.capacity/1", "settings": settings });
    for (text, code) in [
        (document(json!([{ "key": "opencode_program", "value": "/tmp/evil" }])).to_string(), 64),
        (document(json!([{ "key": "max_concurrent_agents", "value": "0" }])).to_string(), 64),
        (document(json!([])).to_string(), 64),
        ("no JSON".to_owned(), 64),
    ] {
        fs::write(desk.path("home/given.json"), &text).unwrap();
        let ran = desk.run(&["capacity", "--apply=given.json"]);
        assert_eq!(ran.code, code, "{text}: {}", ran.shown());
    }
    assert_eq!(desk.run(&["capacity", "--apply=nowhere.json"]).code, 64);
    assert_eq!(fs::read_to_string(desk.kugetsu("config.toml")).unwrap(), before);
}

#[test]
fn apply_needs_a_kugetsu_to_apply_it_to_before_anything_is_measured() {
    let desk = with_tmp(desk());
    let agent = FakeAgent::new();
    let ran = measured(&desk, &agent, &["--counts", "1", "--apply"]);
    assert_eq!((ran.code, agent.runs().len()), (78, 0), "{}", ran.shown());
}

#[test]
fn ones_own_provider_is_used_only_after_a_yes() {
    let desk = with_tmp(desk());
    let agent = FakeAgent::new();
    let words = ["--counts", "1,2", "--own-provider"];
    let nobody = measured(&desk, &agent, &words);
    assert_eq!(nobody.code, 64, "{}", nobody.shown());
    assert!(nobody.err.contains("3 agents make a turn each"), "{}", nobody.err);
    assert!(
        nobody.err.contains("may cost money") && nobody.err.contains("`--yes`"),
        "{}",
        nobody.err
    );
    let asked = Terminals { input: true, output: true, error: true };
    let refused = measured_by(&desk, &agent, &words, asked);
    assert_eq!((refused.code, agent.runs().len()), (130, 0), "{}", refused.shown());

    let ran =
        measured(&desk, &agent, &["--counts", "1", "--own-provider", "--yes", "--json"]).done();
    assert_eq!((ran.json()["provider"].as_str(), agent.runs().len()), (Some("own"), 1));
}

#[test]
fn without_opencode_nothing_is_measured() {
    let desk = with_tmp(desk()).with("KUGETSU_OPENCODE", "/nowhere/opencode");
    for words in [&["capacity", "--quick"][..], &["capacity", "--quick", "--engine", "run"]] {
        let ran = desk.run(words);
        assert_eq!(ran.code, 69, "{}", ran.shown());
        assert!(ran.err.contains("hint: say where opencode is"), "{}", ran.err);
    }
    assert_eq!(fs::read_dir(desk.path("tmp")).unwrap().count(), 0);
}
