//! The start of the command, from the spawn to its end, beside the least that a Rust program is.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use tempfile::TempDir;

criterion_main!(benches);
criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = starting
}

const LINES: [&[&str]; 6] =
    [&["--version"], &["help"], &["status"], &["list"], &["queue", "list"], &["slots"]];

fn starting(criterion: &mut Criterion) {
    let Some(kugetsu) = kugetsu_benches::kugetsu() else { return };
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join("kugetsu/env")).unwrap();
    let mut group = criterion.benchmark_group("start-up: the command");
    group.bench_function("yardstick: a Rust hello", |bench| {
        let mut hello = command(env!("CARGO_BIN_EXE_hello").as_ref(), &home);
        bench.iter(|| assert!(hello.status().unwrap().success()));
    });
    for words in LINES {
        let mut command = command(&kugetsu, &home);
        command.args(words);
        // What a first look makes is there from now on.
        assert!(command.status().unwrap().success(), "{words:?}");
        group.bench_function(format!("kugetsu {}", words.join(" ")), |bench| {
            bench.iter(|| assert!(command.status().unwrap().success()));
        });
    }
}

fn command(program: &Path, home: &TempDir) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("HOME", home.path())
        .env("KUGETSU_DIR", home.path().join("kugetsu"))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}
