use kugetsu_testkit::sandbox::{OpencodeSandbox, SampleRepository};
use std::path::Path;
use tempfile::TempDir;

#[test]
fn a_sample_repository_is_the_same_each_time() {
    let directory = TempDir::new().unwrap();
    let [one, two] = ["one", "two"]
        .map(|name| SampleRepository::with_commits(&directory.path().join(name), 3).unwrap());
    assert_eq!(one.head().unwrap(), two.head().unwrap());
    assert_eq!(one.subjects("main").unwrap(), ["add file 3", "add file 2", "start"]);
    assert_eq!(one.git(&["status", "--porcelain"]).unwrap(), "");
    let id = one.commit("src/new.txt", "new\n", "add new").unwrap();
    assert_eq!(one.git(&["rev-parse", "main"]).unwrap(), id);
}

#[test]
fn a_git_command_that_fails_says_why() {
    let directory = TempDir::new().unwrap();
    let sample = SampleRepository::new(directory.path()).unwrap();
    let error = sample.git(&["rev-parse", "--verify", "nothing"]).unwrap_err().to_string();
    assert!(error.starts_with("git rev-parse --verify nothing failed: fatal:"), "{error}");
}

#[test]
fn a_temporary_sandbox_leaves_nothing_behind() {
    let sandbox = OpencodeSandbox::new("http://127.0.0.1:1/v1").unwrap();
    let home = sandbox.home();
    for (name, value) in sandbox.env() {
        let path = Path::new(&value);
        let is_inside = path.starts_with(home.parent().unwrap());
        assert!(is_inside || !path.is_absolute(), "{} leads outside", name.display());
    }
    assert!(home.join(".config/opencode/package-lock.json").exists());
    drop(sandbox);
    assert!(!home.exists());
}

#[test]
fn a_sandbox_in_a_directory_stays_and_can_be_written_again() {
    let directory = TempDir::new().unwrap();
    let sandbox = OpencodeSandbox::write_to(directory.path(), "http://127.0.0.1:1/v1").unwrap();
    std::fs::write(sandbox.home().join("mine"), "").unwrap();
    let again = OpencodeSandbox::write_to(directory.path(), "http://127.0.0.1:2/v1").unwrap();
    assert!(again.home().join("mine").exists());
    let config = std::fs::read_to_string(directory.path().join("opencode.json")).unwrap();
    assert!(config.contains("http://127.0.0.1:2/v1"));
}
