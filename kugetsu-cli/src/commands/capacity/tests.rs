//! The arithmetic, by the original's own numbers, and what is written of it.

use std::time::Duration;

use super::report::{Charts, report};
use super::results::{FORMAT, HEADER, OfMachine, Results, settings_of};
use super::row::{End, Row, Seen, cost};
use super::sample::Sample;
use super::verdict::{Bound, By, LeftOut, Verdict};
use super::{chart, settings};
use crate::args::CapacityEngine;

const MB: u64 = 1 << 20;

/// So many agents that ended so, after which so many MB were in use beside a baseline of 1,000.
fn row(agents: usize, ends: Vec<End>, seconds: f64, added: f64) -> Row {
    let sample = |mb: f64| Sample {
        at_ms: 0,
        kugetsu_mb: 20.0,
        agents_mb: mb - 20.0,
        processes: 2 * agents,
        cpu_percent: 60.0,
        others_cpu_percent: 1.0,
    };
    Row::of(Seen {
        agents,
        ends,
        duration: Duration::from_secs_f64(seconds),
        timeout: Duration::from_mins(1),
        baseline: 1000 * MB,
        idle: 1000 * MB,
        most_at_work: agents,
        samples: vec![sample(1000.0), sample(1000.0 + added)],
        memory: 8192 * MB,
        busy: 0.4,
    })
}

fn good(agents: usize, seconds: f64, added: f64) -> Row {
    // From the fastest to the slowest, which ends last.
    let time = |index: usize| {
        let part = if agents == 1 { 1.0 } else { index_of(index) / index_of(agents - 1) };
        End::Done(Duration::from_secs_f64(6.3 + (seconds - 6.3) * part))
    };
    row(agents, (0..agents).map(time).collect(), seconds, added)
}

fn index_of(index: usize) -> f64 {
    super::row::number(index)
}

fn late(agents: usize, added: f64) -> Row {
    row(agents, vec![End::TimedOut; agents], 60.0, added)
}

/// One to five agents succeed at 340 MB each, and eight are all too late.
fn originals() -> Vec<Row> {
    let times = [(1, 6.3), (2, 7.0), (3, 7.8), (5, 9.2)];
    let good = times.map(|(agents, seconds)| good(agents, seconds, 340.0 * index_of(agents)));
    good.into_iter().chain([late(8, 2720.0)]).collect()
}

fn results_of(rows: Vec<Row>, engine: CapacityEngine, limit_mb: f64) -> Results {
    let verdict = Verdict::of(&rows, &[], engine, limit_mb);
    Results {
        format: FORMAT,
        kugetsu: "0.1.0".into(),
        agent: "opencode 1.18.33".into(),
        started: "2026-11-27T09:51:02.107Z".into(),
        machine: OfMachine { processors: 4, memory_mb: 8192.0, system: "Linux 6.1.0".into() },
        engine: if engine == CapacityEngine::Server { "server" } else { "run" },
        provider: "scripted",
        timeout_seconds: 60.0,
        memory_limit_mb: limit_mb,
        memory_limit_given: true,
        interrupted: false,
        rows,
        not_tried: Vec::new(),
        settings: settings(&verdict),
        verdict,
    }
}

fn close(one: f64, other: f64) {
    assert!((one - other).abs() < 0.005, "{one} is not {other}");
}

#[test]
fn a_row_is_computed_as_the_original_computed_it() {
    let times = [6.0, 7.0, 11.0].map(|s| End::Done(Duration::from_secs_f64(s)));
    let row = row(3, times.to_vec(), 11.0, 1020.0);
    close(row.avg_response_time.unwrap(), 8.0);
    // The sample's: the squares are 4, 1 and 9, and one less than three divides them.
    close(row.stddev_response_time.unwrap(), 7.0_f64.sqrt());
    close(row.min_response_time.unwrap(), 6.0);
    close(row.max_response_time.unwrap(), 11.0);
    close(row.baseline_memory_mb, 1000.0);
    close(row.peak_memory_mb, 2020.0);
    close(row.avg_memory_mb, 1510.0);
    close(row.memory_per_agent_mb, 340.0);
    close(row.total_cost_score, 340.0 * 3.0 * 11.0 / 1000.0);
    close(row.peak_memory_percent, 24.66);
    assert_eq!((row.success_count, row.failed_count, row.timeout_count), (3, 0, 0));
}

#[test]
fn who_is_too_late_counts_with_the_timeout_and_who_failed_with_no_time() {
    let ends = vec![
        End::Done(Duration::from_secs(10)),
        End::TimedOut,
        End::Failed("no model".into()),
        End::Failed("no model".into()),
    ];
    let some = row(4, ends, 60.0, 100.0);
    close(some.avg_response_time.unwrap(), 35.0);
    close(some.max_response_time.unwrap(), 60.0);
    assert_eq!((some.success_count, some.failed_count, some.timeout_count), (1, 2, 1));
    assert_eq!(some.reasons, ["no model"]);
    let failed = row(1, vec![End::Failed("x".into())], 1.0, 0.0);
    assert_eq!((failed.avg_response_time, failed.stddev_response_time), (None, None));
}

#[test]
fn memory_that_shrank_costs_nothing() {
    close(cost(-3.0, 4, 10.0), 0.0);
    close(cost(340.0, 5, 9.2), 15.64);
    // It was never below what was there when agents could start.
    close(row(2, vec![End::TimedOut; 2], 60.0, -50.0).memory_per_agent_mb, 0.0);
}

#[test]
fn processor_time_percentages_and_processes_are_not_nothing() {
    for row in originals() {
        assert!(row.peak_cpu_percent > 0.0 && row.avg_cpu_percent > 0.0, "{row:?}");
        assert!(row.peak_memory_percent > 0.0 && row.avg_memory_percent > 0.0, "{row:?}");
        assert!(row.peak_opencode_procs > 0, "{row:?}");
    }
}

#[test]
fn the_originals_numbers_come_to_one_recommendation() {
    let verdict = Verdict::of(&originals(), &[], CapacityEngine::Run, 1024.0);
    let memory = verdict.memory.unwrap();
    close(memory.further_agent_mb, 340.0);
    assert_eq!((memory.by, memory.capacity), (By::Mean, Some(3)));
    // The original said capacity 3 beside recommended 5.
    assert_eq!((verdict.optimum, verdict.recommended_agents), (Some(5), Some(3)));
    assert_eq!(verdict.bound, Bound::Memory);
    let reason =
        "3 agents need about 1,020 MB, and 4 would need 1,360 MB; all together may use 1,024 MB";
    assert_eq!(verdict.reason, reason);

    let verdict = Verdict::of(&originals(), &[], CapacityEngine::Run, 8192.0);
    assert_eq!(verdict.memory.unwrap().capacity, Some(24));
    assert_eq!((verdict.recommended_agents, verdict.bound), (Some(5), Bound::Failures));
    assert_eq!(verdict.reason, "with 8 at once 8 of 8 did not end in time");
}

#[test]
fn where_nobody_succeeded_no_capacity_is_claimed() {
    for rows in [vec![], vec![late(1, 0.1)], vec![late(1, 340.0), late(8, 2720.0)]] {
        let verdict = Verdict::of(&rows, &[], CapacityEngine::Run, 1024.0);
        assert_eq!((verdict.optimum, verdict.recommended_agents), (None, None));
        assert_eq!((verdict.memory, verdict.bound), (None, Bound::Nothing));
        assert!(settings(&verdict).is_empty());
    }
    let some = row(2, vec![End::Done(Duration::from_secs(9)), End::TimedOut], 60.0, 680.0);
    let verdict = Verdict::of(&[some], &[], CapacityEngine::Run, 1024.0);
    assert_eq!(verdict.recommended_agents, None);
    assert!(verdict.reason.starts_with("only 1 of 2 agents succeeded"), "{}", verdict.reason);
}

#[test]
fn agents_that_share_a_server_cost_a_first_one_and_then_little() {
    let rows: Vec<Row> =
        [1, 2, 3, 5, 8].map(|n| good(n, 8.0, 338.0 + 15.0 * (index_of(n) - 1.0))).into();
    let verdict = Verdict::of(&rows, &[], CapacityEngine::Server, 1024.0);
    let memory = verdict.memory.unwrap();
    close(memory.first_agent_mb, 338.0);
    close(memory.further_agent_mb, 15.0);
    // first + further × 45 is 1,013, and one more would be 1,028.
    assert_eq!((memory.by, memory.capacity), (By::Line, Some(46)));
    // Never more than were tried.
    assert_eq!((verdict.recommended_agents, verdict.bound), (Some(8), Bound::Tried));
    let verdict = Verdict::of(&rows, &[], CapacityEngine::Server, 380.0);
    assert_eq!((verdict.recommended_agents, verdict.bound), (Some(3), Bound::Memory));
    let verdict = Verdict::of(&rows, &[], CapacityEngine::Server, 300.0);
    assert_eq!((verdict.recommended_agents, verdict.bound), (None, Bound::Nothing));
    assert!(verdict.reason.starts_with("not even one agent fits"), "{}", verdict.reason);
}

#[test]
fn what_was_seen_counts_for_more_than_the_line_through_it() {
    // By the line seven would fit into 480 MB; five have been seen to take more.
    let rows = [good(1, 8.0, 300.0), good(2, 8.0, 330.0), good(5, 8.0, 490.0), good(8, 8.0, 470.0)];
    let verdict = Verdict::of(&rows, &[], CapacityEngine::Server, 480.0);
    assert_eq!((verdict.recommended_agents, verdict.bound), (Some(4), Bound::Memory));
    assert_eq!(verdict.reason, "5 agents took 490 MB, and all together may use 480 MB");
    // Memory that did not grow tells of no number.
    let flat = [good(1, 8.0, 400.0), good(2, 8.0, 390.0)];
    let verdict = Verdict::of(&flat, &[], CapacityEngine::Server, 1024.0);
    assert_eq!(verdict.memory.unwrap().capacity, None);
    assert_eq!(verdict.recommended_agents, Some(2));
}

#[test]
fn agents_that_only_stand_in_each_others_way_are_not_recommended() {
    let rows =
        [good(1, 7.0, 340.0), good(2, 8.0, 350.0), good(4, 30.0, 380.0), good(8, 80.0, 430.0)];
    let verdict = Verdict::of(&rows, &[], CapacityEngine::Server, 8192.0);
    assert_eq!((verdict.recommended_agents, verdict.bound), (Some(2), Bound::Processors));
    let reason = "more agents get less done: 4 at once ended 8.0 in a minute, 2 at once 15.0 (the \
                  processors were 40 % busy)";
    assert_eq!(verdict.reason, reason);
}

#[test]
fn what_was_not_tried_is_told_with_its_reason() {
    let rows = [good(1, 7.0, 340.0)];
    let left_out = [LeftOut { agents: 2, reason: "they would need about 680 MB".into() }];
    let verdict = Verdict::of(&rows, &left_out, CapacityEngine::Run, 8192.0);
    let reason = "all of them succeeded, and 2 were not tried: they would need about 680 MB";
    assert_eq!((verdict.bound, verdict.reason.as_str()), (Bound::Tried, reason));
}

#[test]
fn the_table_is_as_scripts_know_it() {
    let text = results_of(originals(), CapacityEngine::Run, 1024.0).csv();
    assert_eq!(
        text.lines().next(),
        Some(
            "agents,duration,success,failed,timeout,avg_response,stddev,min_response,max_response,\
             peak_cpu,avg_cpu,peak_mem_mb,avg_mem_mb,peak_mem_pct,avg_mem_pct,peak_procs,\
             baseline_mem,mem_per_agent,cost_score"
        )
    );
    assert_eq!(text.lines().next(), Some(HEADER));
    let expected = [
        "1,6.30,1,0,0,6.30,0.00,6.30,6.30,60.00,40.00,1340.00,1170.00,16.36,14.28,2,1000.00,340.00,2.14",
        "2,7.00,2,0,0,6.65,0.49,6.30,7.00,60.00,40.00,1680.00,1340.00,20.51,16.36,4,1000.00,340.00,4.76",
        "3,7.80,3,0,0,7.05,0.75,6.30,7.80,60.00,40.00,2020.00,1510.00,24.66,18.43,6,1000.00,340.00,7.96",
        "5,9.20,5,0,0,7.75,1.15,6.30,9.20,60.00,40.00,2700.00,1850.00,32.96,22.58,10,1000.00,340.00,15.64",
        "8,60.00,0,0,8,60.00,0.00,60.00,60.00,60.00,40.00,3720.00,2360.00,45.41,28.81,16,1000.00,340.00,163.20",
    ];
    assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), expected);
    // What is not known is empty and not 0.
    let failed = row(1, vec![End::Failed("x".into())], 1.0, 0.0);
    let text = results_of(vec![failed], CapacityEngine::Run, 1024.0).csv();
    assert!(text.lines().nth(1).unwrap().starts_with("1,1.00,0,1,0,,,,,"), "{text}");
}

#[test]
fn the_numbers_agree_wherever_they_stand() {
    let results = results_of(originals(), CapacityEngine::Run, 1024.0);
    let document = serde_json::to_value(&results).unwrap();
    let (csv, report) = (results.csv(), report(&results, None));
    for (row, line) in document["rows"].as_array().unwrap().iter().zip(csv.lines().skip(1)) {
        let cells: Vec<&str> = line.split(',').collect();
        for (key, column) in [
            ("total_duration", 1),
            ("avg_response_time", 5),
            ("peak_memory_mb", 11),
            ("memory_per_agent_mb", 17),
        ] {
            let text = format!("{:.2}", row[key].as_f64().unwrap());
            assert_eq!(text, cells[column], "{key}");
            assert!(report.contains(&text), "{key} {text}");
        }
    }
    assert_eq!(document["recommended_agents"], 3);
    assert_eq!(document["settings"][0]["key"], "max_concurrent_agents");
    assert_eq!(document["settings"][0]["value"], "3");
    assert!(report.contains("max_concurrent_agents = 3") && !report.contains("= 5"));
}

#[test]
fn the_report_reads_well_to_somebody_who_has_never_seen_one() {
    let charts = Charts { memory: "memory.svg".into(), response: "response.svg".into() };
    let results = results_of(originals(), CapacityEngine::Run, 1024.0);
    insta::assert_snapshot!("report", report(&results, Some(&charts)));

    let rows = [1, 2, 8].map(|n| good(n, 8.0, 338.0 + 15.0 * (index_of(n) - 1.0)));
    let mut results = results_of(rows.into(), CapacityEngine::Server, 1024.0);
    results.rows[2].most_at_work = 6;
    results.not_tried.push(LeftOut { agents: 16, reason: "they would need more".into() });
    results.interrupted = true;
    insta::assert_snapshot!("report-interrupted", report(&results, Some(&charts)));

    let results = results_of(vec![good(1, 8.0, 338.0)], CapacityEngine::Server, 1024.0);
    let text = report(&results, None);
    assert!(text.contains("**Each agent costs 338 MB**") && text.contains("safe side"), "{text}");

    let results = results_of(vec![late(1, 340.0)], CapacityEngine::Run, 1024.0);
    let text = report(&results, None);
    assert!(text.contains("**Nothing is recommended:** not one agent succeeded"), "{text}");
    assert!(!text.contains("What an agent costs") && !text.contains("max_concurrent"), "{text}");
    // The lists of the original began with 2.
    assert!(!text.lines().any(|line| line.starts_with("2. ")), "{text}");
}

#[test]
fn charts_have_axes_units_and_the_limit() {
    let results = results_of(originals(), CapacityEngine::Run, 4096.0);
    let (memory, response) = (chart::memory(&results).unwrap(), chart::response(&results).unwrap());
    for text in ["agents at once", "\nMB\n", "measured (peak − baseline)", "limit: 4,096 MB"] {
        assert!(memory.contains(text), "{text}: {memory}");
    }
    for text in ["agents at once", "\nseconds\n", "fastest to slowest", "an agent may take 60 s"] {
        assert!(response.contains(text), "{text}: {response}");
    }
    for text in [memory, response] {
        assert!(text.starts_with("<svg ") && text.trim_end().ends_with("</svg>"));
    }
    // A limit that is far away is told in words.
    let far = results_of(originals(), CapacityEngine::Run, 900_000.0);
    assert!(chart::memory(&far).unwrap().contains("900,000 MB: above what is shown"));
}

#[test]
fn only_a_whole_document_that_recommends_something_is_applied() {
    let results = results_of(originals(), CapacityEngine::Run, 1024.0);
    let text = serde_json::to_string(&results).unwrap();
    let read = settings_of(&text).unwrap();
    assert_eq!((read[0].key.as_str(), read[0].value.as_str()), ("max_concurrent_agents", "3"));
    let mut stopped = results.clone();
    stopped.interrupted = true;
    let nothing = results_of(vec![late(1, 1.0)], CapacityEngine::Run, 1024.0);
    for (results, why) in [(stopped, "was stopped"), (nothing, "recommends nothing")] {
        let refused = settings_of(&serde_json::to_string(&results).unwrap()).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
    assert!(settings_of(&text.replace(FORMAT, "kugetsu.capacity/9")).is_err());
    assert!(settings_of("{}").is_err() && settings_of("no JSON").is_err());
}
