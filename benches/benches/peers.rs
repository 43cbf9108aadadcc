//! `kugetsu slots run` beside other commands that run no more than so many at once: one shot, and the
//! gap between the end of one task and the start of the next.
#![allow(missing_docs, clippy::unwrap_used)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use kugetsu_benches::{Crowd, Said, median};

criterion_main!(benches);
criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = one_shot, gap
}

/// What a script does that counts files: one for each that runs, under a lock.
const COUNTING: &str = r#"
exec 9>counting.lock
until flock 9 && n=$(ls running | wc -l) && [ "$n" -lt 3 ] && : >"running/$$"; do
  flock -u 9
  sleep 1
done
flock -u 9
true
rm "running/$$"
"#;

/// How many wait at once in a chain.
const CHAIN: u64 = 6;

fn one_shot(criterion: &mut Criterion) {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    prepare(home);
    let mut group = criterion.benchmark_group("one shot: a command under a limit");
    let mut measure = |name: &str, mut command: Command| {
        // One that is there and does not work is told as absent.
        if !command.status().is_ok_and(|status| status.success()) {
            return eprintln!("NOT MEASURED: {name} does not work here");
        }
        group.bench_function(name, |bench| {
            bench.iter(|| assert!(command.status().unwrap().success()));
        });
    };
    measure("yardstick: the flock command", command(home, "flock", &["lock", "true"]));
    if let Some(kugetsu) = kugetsu_benches::kugetsu() {
        let words = ["slots", "run", "--", "true"];
        measure("kugetsu slots run", command(home, kugetsu.to_str().unwrap(), &words));
    }
    measure("bash that counts files", command(home, "bash", &["-c", COUNTING]));
    if let Some(sem) = peer("sem", "GNU parallel's sem") {
        measure("GNU sem", command(home, &sem, &["--id", "kugetsu-bench", "-j3", "--fg", "true"]));
    }
    if let Some(spooler) = peer("tsp", "task-spooler").or_else(|| peer("ts", "task-spooler as ts"))
    {
        let mut run = command(home, &spooler, &["-f", "true"]);
        let socket = home.join("spooler.socket");
        run.env("TS_SOCKET", &socket);
        measure("task-spooler", run);
        let _ = command(home, &spooler, &["-K"]).env("TS_SOCKET", &socket).status();
    }
    if let (Some(pueue), Some(pueued)) = (peer("pueue", "pueue"), peer("pueued", "pueue's daemon"))
    {
        let _daemon = Daemon(command(home, &pueued, &[]).spawn().unwrap());
        let add_and_wait = "\"$0\" add -- true >/dev/null && \"$0\" wait >/dev/null";
        let mut ready = command(home, &pueue, &["status"]);
        let is_ready = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            ready.status().is_ok_and(|status| status.success())
        });
        if is_ready {
            measure("pueue", command(home, "sh", &["-c", add_and_wait, &pueue]));
        }
    }
}

/// From the end of a task to the start of the next one of a chain that waits, the limit being one: the
/// median.
fn gap(criterion: &mut Criterion) {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    prepare(home);
    let mut group = criterion.benchmark_group("gap: one task's end to the next one's start");
    let stamp = [env!("CARGO_BIN_EXE_slot"), "stamp"];
    let flock = command(home, "flock", &[&["lock"], &stamp[..]].concat());
    let mut commands = vec![("yardstick: the flock command", flock)];
    if let Some(kugetsu) = kugetsu_benches::kugetsu() {
        let words = [&["slots", "run", "--"], &stamp[..]].concat();
        let mut run = command(home, kugetsu.to_str().unwrap(), &words);
        run.env("MAX_CONCURRENT_AGENTS", "1");
        commands.push(("kugetsu slots run", run));
    }
    for (name, mut command) in commands {
        group.bench_function(name, |bench| {
            bench.iter_custom(|rounds| {
                let mut gaps = Vec::new();
                while (gaps.len() as u64) < rounds {
                    gaps.extend(chain(&mut command));
                }
                gaps.truncate(usize::try_from(rounds).unwrap());
                median(gaps)
            });
        });
    }
}

/// The gaps of a chain of tasks, but for those of the first, while which the others still start.
fn chain(command: &mut Command) -> Vec<Duration> {
    let mut crowd = Crowd::new();
    for _ in 0..=CHAIN {
        crowd.start(command);
    }
    let (mut took, mut gave) = (Vec::new(), Vec::new());
    while gave.len() as u64 <= CHAIN {
        match crowd.hear().1 {
            Said::Took(when) => took.push(when),
            Said::Gave(when) => gave.push(when),
            other => panic!("a task said {other:?}"),
        }
    }
    crowd.end_all();
    let gaps = gave.iter().zip(&took[1..]).skip(2);
    gaps.map(|(gave, took)| Duration::from_nanos(u64::try_from(took - gave).unwrap())).collect()
}

/// A program that is killed when it is no longer needed.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn prepare(home: &Path) {
    fs::create_dir_all(home.join("kugetsu/env")).unwrap();
    fs::create_dir_all(home.join("running")).unwrap();
}

fn command(home: &Path, program: &str, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(words)
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("KUGETSU_DIR", home.join("kugetsu"))
        .env("XDG_RUNTIME_DIR", home)
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// Where the program is: on the `PATH`, or in the repository's `.tools`. Its absence is told loudly.
fn peer(program: &str, name: &str) -> Option<String> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let found: Option<PathBuf> = env::split_paths(&path)
        .chain([tools])
        .map(|directory| directory.join(program))
        .find(|path| path.is_file());
    if found.is_none() {
        eprintln!("NOT MEASURED: {name} is not installed");
    }
    found.map(|path| path.display().to_string())
}
