//! On what was measured.

use std::fs;
use std::process::Command;

/// The machine and the versions, as rows of a table.
pub fn describe() -> Vec<(&'static str, String)> {
    let memory = field("/proc/meminfo", "MemTotal").and_then(|text| {
        let kib: u64 = text.strip_suffix(" kB")?.trim().parse().ok()?;
        Some(format!("{} GiB", (kib + (1 << 19)) >> 20))
    });
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut rows = vec![
        ("processor", format!("{processor}, {cores} cores")),
        ("memory", memory.unwrap_or_else(|| "unknown".into())),
        ("kernel", said("uname", &["-sr"])),
        ("file system", said("stat", &["-f", "-c", "%T", "target"])),
        ("Rust", said("rustc", &["--version"])),
        ("git", said("git", &["--version"])),
        ("SQLite", rusqlite::version().to_owned()),
    ];
    for (name, program, arguments) in [
        ("opencode", "opencode", &["--version"][..]),
        ("flock", "flock", &["--version"]),
        ("pueue", "pueue", &["--version"]),
        ("GNU sem", "sem", &["--version"]),
        ("task-spooler", "tsp", &["-V"]),
        ("PostgreSQL", "postgres", &["--version"]),
    ] {
        rows.push((name, said(program, arguments)));
    }
    rows
}

/// The first field of that name in a file of `/proc`.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let (_, value) = text
        .lines()
        .find_map(|line| line.split_once(':').filter(|(before, _)| before.trim() == name))?;
    Some(value.trim().to_owned())
}

/// The first line of what a program says, or that it is not there.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let said = output.ok().filter(|output| output.status.success());
    let text = said.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    match text.as_deref().and_then(|text| text.lines().next()) {
        Some(line) if !line.is_empty() => line.to_owned(),
        _ => "not here, not measured".into(),
    }
}
