//! A program with an agent of its own is a whole kugetsu.

use std::process::{Command, Stdio};

use kugetsu_testkit::sandbox::SampleRepository;
use tempfile::TempDir;

#[test]
fn a_program_with_an_agent_of_its_own_is_a_whole_kugetsu() {
    let home = TempDir::with_prefix("kugetsu-example-").unwrap();
    let origin = SampleRepository::new(&home.path().join("origin")).unwrap();
    let run = |words: &[&str]| {
        let told = Command::new(env!("CARGO_BIN_EXE_custom-agent"))
            .args(words)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", home.path())
            .env("KUGETSU_DIR", home.path().join("kugetsu"))
            .env("KUGETSU_AGENT", "counter")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let err = String::from_utf8(told.stderr).unwrap();
        assert_eq!(told.status.code(), Some(0), "{err}");
        (String::from_utf8(told.stdout).unwrap(), err)
    };
    run(&["init"]);
    let from = origin.path().to_str().unwrap();
    let (out, err) = run(&["start", "example.com/acme/widgets#7", "count this", "--repo", from]);
    assert!(err.contains("I was told"), "{err}");
    assert!(out.contains("fix/issue-7"), "{out}");
}
