//! What trees use, beside a reading of `/proc` of the test's own.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use kugetsu_guard::proc::Process;
use kugetsu_guard::{GuardProgram, Plan, Started, Trees, Usage};
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// Three processes that share a large text, and one that has left session and parent. Each says that
/// it is there.
const FAMILY: &str = r"
    big=$(head -c 16000000 /dev/zero | tr '\0' x)
    (echo here; read wait; echo ${#big}) <&3 &
    (echo here; read wait; echo ${#big}) <&3 &
    (setsid sh -c 'echo here; exec sleep 1000' &)
    echo here
    wait
";

/// What `/proc` says of one process, read mapping by mapping.
#[derive(Debug)]
struct Read {
    parent: i32,
    part: u64,
    resident: u64,
    ticks: u64,
}

fn read(pid: i32) -> Option<Read> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |text: &str, name: &str| -> Vec<u64> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(name));
        lines.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
    };
    let maps = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap_or_default();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let behind: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    Some(Read {
        parent: i32::try_from(field(&status, "PPid:").pop()?).ok()?,
        part: field(&maps, "Pss:").iter().sum::<u64>() * 1024,
        resident: field(&maps, "Rss:").iter().sum::<u64>() * 1024,
        ticks: behind[11..15].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum(),
    })
}

/// All processes of the family whose head this is, from its head downwards.
fn family(head: i32) -> BTreeMap<i32, Read> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let all: BTreeMap<i32, Read> = pids.filter_map(|pid| Some((pid, read(pid)?))).collect();
    let is_of_it = |pid: i32| {
        let up = |pid: &i32| all.get(pid).map(|read| read.parent);
        std::iter::successors(Some(pid), up).any(|pid| pid == head)
    };
    let pids: Vec<i32> = all.keys().copied().filter(|pid| is_of_it(*pid)).collect();
    all.into_iter().filter(|(pid, _)| pids.contains(pid)).collect()
}

#[tokio::test]
async fn what_a_tree_uses_is_what_proc_says_of_each_of_its_processes() {
    let directory = tempfile::tempdir().unwrap();
    let trees = Trees::open(directory.path().join("state")).unwrap();
    let (input, _kept) = kugetsu_guard::Input::pipe().unwrap();
    let plan = Plan::new("test", "/bin/sh", directory.path())
        .with_guard(GuardProgram::at(env!("CARGO_BIN_EXE_kugetsu-guard")))
        .with_args(["-c", &format!("exec 3<&0; {FAMILY}")])
        .with_input(input);
    let Started { mut tree, stdout, stderr: _stderr, .. } = trees.start(plan).await.unwrap();
    let mut lines = BufReader::new(stdout).lines();
    for _ in 0..4 {
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("here"));
    }
    let guard = tree.guard().unwrap();

    // Whoever has said so may be about to become another program.
    let (before, usage, after) = loop {
        let (before, usage, after) = (family(guard.pid), tree.usage(), family(guard.pid));
        if before.len() == 5 && after.len() == 5 {
            break (before, usage, after);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(usage.processes, 5, "a guard, its shell, two of its own, and one that went away");
    let sum = |of: fn(&Read) -> u64, family: &BTreeMap<i32, Read>| family.values().map(of).sum();
    let (one, other): (u64, u64) = (sum(|r| r.part, &before), sum(|r| r.part, &after));
    // Each mapping is told in whole kibibytes, and what others share changes while this reads.
    let slack = 1 << 20;
    let (least, most) = (one.min(other).saturating_sub(slack), one.max(other) + slack);
    assert!((least..=most).contains(&usage.memory), "{usage:?} is not in {least}..={most}");
    // What is shared is counted once.
    let resident: u64 = sum(|r| r.resident, &after);
    assert!(usage.memory < resident * 2 / 3, "{} of {resident}", usage.memory);
    assert!(usage.memory > 16_000_000, "{}", usage.memory);
    let ticks = |family| Duration::from_millis(10 * sum(|r| r.ticks, family));
    assert!(ticks(&before) <= usage.processor && usage.processor <= ticks(&after), "{usage:?}");

    // From above it is the same, and all that this process has waited for.
    let me = Process::of(i32::try_from(std::process::id()).unwrap()).unwrap();
    let below = Usage::below(me.pid);
    assert!(below.processes >= 5 && below.memory + slack > usage.memory, "{below:?}");
    assert_eq!(Usage::of(me).unwrap().processes, 1);

    tree.end_now();
    tree.wait().await.unwrap();
    assert_eq!(tree.usage(), Usage::default());
    assert_eq!(Usage::of(guard), None);
    // What has ended has used what it used.
    assert!(Usage::below(me.pid).processor >= usage.processor);
}

#[test]
fn the_machine_has_as_much_memory_as_the_kernel_says_or_less() {
    let told = fs::read_to_string("/proc/meminfo").unwrap();
    let total = told.lines().next().unwrap().split_whitespace().nth(1).unwrap();
    let machine = kugetsu_guard::machine_memory().unwrap();
    assert!(machine > 0 && machine <= total.parse::<u64>().unwrap() * 1024);
}
