//! The capacity test with the real opencode, beside a reading of `/proc` of the test's own.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::house::{House, contents};

/// What a look at `/proc` has seen of one kugetsu.
#[derive(Debug, Clone, Copy)]
struct Look {
    from_ms: u64,
    to_ms: u64,
    own: f64,
    agents: f64,
    processes: u64,
}

fn now_ms() -> u64 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(passed.as_millis()).unwrap()
}

/// The parent as `status` tells it; none of a zombie.
fn parent(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if field("State:")?.starts_with('Z') { None } else { field("PPid:")?.parse().ok() }
}

/// The parts of all mappings together, in MB.
fn part(pid: u32) -> f64 {
    let maps = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap_or_default();
    let parts = maps.lines().filter_map(|line| line.strip_prefix("Pss:"));
    let kib: u32 =
        parts.filter_map(|line| line.trim().strip_suffix(" kB")?.parse::<u32>().ok()).sum();
    f64::from(kib) / 1024.0
}

/// Everybody who descends from this process, found from below.
fn look(kugetsu: u32) -> Look {
    let from_ms = now_ms();
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: HashMap<u32, u32> = pids.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let descends = |pid: &u32| {
        let up = |pid: &u32| parents.get(pid).copied();
        std::iter::successors(up(pid), up).any(|above| above == kugetsu)
    };
    let below: Vec<u32> = parents.keys().copied().filter(descends).collect();
    let (own, agents) = (part(kugetsu), below.iter().copied().map(part).sum());
    let processes = below.len().try_into().unwrap();
    Look { from_ms, to_ms: now_ms(), own, agents, processes }
}

/// Whether a sample lies where the looks just before and after it lie.
fn agrees(sample: &Value, before: &Look, after: &Look) -> bool {
    let lies = |key: &str, one: f64, other: f64| {
        let value = sample[key].as_f64().unwrap();
        (0.9 * one.min(other) - 3.0..=1.1 * one.max(other) + 3.0).contains(&value)
    };
    let processes = sample["processes"].as_u64().unwrap();
    let (least, most) =
        (before.processes.min(after.processes), before.processes.max(after.processes));
    lies("kugetsu_mb", before.own, after.own)
        && lies("agents_mb", before.agents, after.agents)
        // A command of a tool's may come and go within the time of a look.
        && (least.saturating_sub(2)..=most + 2).contains(&processes)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Whether a place where it was measured is still there.
fn is_left_in(directory: &Path) -> bool {
    files(directory).iter().any(|path| path.to_string_lossy().contains("kugetsu-capacity"))
}

/// Whether anybody lives below the directory.
fn is_lived_in(directory: &Path) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|process| {
        let works = fs::read_link(process.path().join("cwd"));
        works.is_ok_and(|works| works.starts_with(directory))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_capacity_says_of_memory_and_processes_is_what_proc_says() {
    let house = House::new().await;
    let (tmp, out) = (house.place("tmp"), house.place("out"));
    let before = contents(&house.directory());
    let mut command = house.kugetsu(&["capacity", "--counts", "1,2", "--json", "--output", "out"]);
    let child = command.env("TMPDIR", &tmp).spawn().unwrap();
    let pid = child.id().unwrap();
    let over = AtomicBool::new(false);
    let (ran, looks) = tokio::join!(
        async {
            let ran = super::house::finish(child).await;
            over.store(true, Ordering::Relaxed);
            ran
        },
        async {
            let mut looks = Vec::new();
            while !over.load(Ordering::Relaxed) {
                looks.push(tokio::task::spawn_blocking(move || look(pid)).await.unwrap());
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            looks
        },
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    let (mut compared, mut right) = (0, 0);
    for row in told["rows"].as_array().unwrap() {
        assert_eq!(row["success_count"], row["agent_count"], "{ran:?}");
        let samples = row["samples"].as_array().unwrap();
        let number = |value: &Value, key: &str| value[key].as_f64().unwrap();
        for sample in samples {
            let at = sample["at_ms"].as_u64().unwrap();
            // Memory jumps while opencode works: only looks close by tell.
            let earlier = looks.iter().rfind(|look| look.to_ms <= at && at - look.to_ms < 1000);
            let later = looks.iter().find(|look| look.from_ms >= at && look.from_ms - at < 1000);
            if let (Some(earlier), Some(later)) = (earlier, later) {
                compared += 1;
                right += usize::from(agrees(sample, earlier, later));
            }
        }
        // The row is the sum of its samples.
        let all = |sample: &Value| number(sample, "kugetsu_mb") + number(sample, "agents_mb");
        let peak = samples.iter().map(all).fold(number(row, "idle_memory_mb"), f64::max);
        assert!((number(row, "peak_memory_mb") - peak).abs() < 0.02, "{peak}: {row}");
        let each = (number(row, "peak_memory_mb") - number(row, "baseline_memory_mb"))
            / number(row, "agent_count");
        assert!((number(row, "memory_per_agent_mb") - each).abs() < 0.01, "{each}: {row}");
        // What was always 0 in the original.
        for key in ["peak_cpu_percent", "avg_cpu_percent", "peak_memory_percent"] {
            assert!((0.01..=100.0).contains(&number(row, key)), "{key}: {row}");
        }
        assert!(number(row, "peak_opencode_procs") >= 2.0, "a guard and its server: {row}");
    }
    assert!(compared >= 5, "{compared} samples lie between looks");
    assert!(right * 10 >= compared * 8, "{right} of {compared} samples agree with /proc");
    assert_eq!(files(&out).len(), 5);
    // Nothing is left, and the user's own kugetsu is as it was.
    assert!(!is_left_in(&tmp));
    assert!(!is_lived_in(&tmp));
    assert_eq!(contents(&house.directory()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_measurement_that_is_stopped_keeps_what_it_has_measured_and_leaves_nobody() {
    let house = House::new().await;
    let (tmp, out) = (house.place("tmp"), house.place("out"));
    let mut command =
        house.kugetsu(&["capacity", "--engine", "run", "--counts", "1,2", "--output", "out"]);
    let mut child = command.env("TMPDIR", &tmp).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut told = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        let is_next = line.contains("(row 2 of 2)");
        told.push(line);
        if is_next {
            break;
        }
    }
    let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    while let Some(line) = lines.next_line().await.unwrap() {
        told.push(line);
    }
    let ran = super::house::finish(child).await;
    assert_eq!(ran.code, Some(130), "{told:?} {ran:?}");
    assert!(told.iter().any(|line| line.starts_with("Stopping; what was measured")), "{told:?}");
    let files = files(&out);
    assert_eq!(files.len(), 5, "{files:?}");
    let text = |begin: &str| {
        let is_it =
            |path: &&PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(begin);
        fs::read_to_string(files.iter().find(is_it).unwrap()).unwrap()
    };
    assert_eq!(text("summary_").lines().count(), 2, "a header and the row that was finished");
    assert!(text("report_").contains("This run was stopped before its end."));
    assert!(text("results_").contains("\"interrupted\": true"));
    assert!(!is_left_in(&tmp));
    assert!(!is_lived_in(&tmp));
}
