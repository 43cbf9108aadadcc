//! Programs that tests start: this very one, asked to be another.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use kugetsu_testkit::fake::FakeAcp;

/// The arguments that make this program the fake agent, if its environment says which.
pub(crate) const AGENT: [&str; 4] = ["--exact", "programs::agent", "--ignored", "--nocapture"];

/// Writes a program that is the guard.
pub(crate) fn guard_in(directory: &Path) -> PathBuf {
    let path = directory.join("kugetsu-guard");
    let this = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\nexec '{}' --exact programs::guard --ignored --nocapture\n",
        this.display()
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

#[test]
#[ignore = "it is the agent of other tests"]
fn agent() {
    let agent = FakeAcp::from_env().expect("another test says which");
    // The harness may have left its own line open.
    println!();
    agent.run(std::io::stdin(), std::io::stdout()).unwrap();
    std::process::exit(0);
}

#[test]
#[ignore = "it is the guard of other tests"]
fn guard() {
    println!();
    kugetsu_guard::main();
}
