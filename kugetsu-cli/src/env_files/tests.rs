use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;

fn written(text: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("x.env");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    (home, path)
}

fn told(path: &Path) -> String {
    let text = file::text(path).map(Option::unwrap);
    text.and_then(|text| file::parsed(path, &text)).unwrap_err().told(false)
}

#[test]
fn variables_are_read_and_never_told() {
    let lines = b"# all\nexport GITHUB_TOKEN=\"a b\"\nPLAIN='it is $HOME'\n";
    let (_home, path) = written(lines, 0o600);
    let text = file::text(&path).unwrap().unwrap();
    let all = file::parsed(&path, &text).unwrap();
    let variables = Variables(all.into_iter().map(|one| (one.name, one.value)).collect());
    assert_eq!(variables.get("GITHUB_TOKEN"), Some("a b"));
    assert_eq!(variables.get("PLAIN"), Some("it is $HOME"));
    assert_eq!(variables.secrets().collect::<Vec<_>>(), ["a b"]);
}

#[test]
fn what_is_wrong_with_a_file_is_told_without_what_is_in_it() {
    for (text, mode, words) in [
        (&b"export A=\"1\"\nhunter2 is it\n"[..], 0o600, "x.env:2: no variable stands there"),
        (b"A=1\nLD_PRELOAD=/tmp/hunter2.so", 0o600, "x.env:2: LD_PRELOAD is not for env files"),
        (b"A=hunter2\xff", 0o600, "is not UTF-8"),
        (b"A=hunter2", 0o640, "mode 640"),
        (b"A=hunter2", 0o604, "chmod 600"),
    ] {
        let (_home, path) = written(text, mode);
        let told = told(&path);
        assert!(told.contains(words) && !told.contains("hunter2"), "{told}");
    }
    let (home, path) = written(b"A=hunter2", 0o600);
    let link = home.path().join("link.env");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(told(&link).contains("is a link"));
    let elsewhere = tempfile::tempdir().unwrap();
    let directory = elsewhere.path().join("env");
    std::os::unix::fs::symlink(home.path(), &directory).unwrap();
    assert!(told(&directory.join("x.env")).contains("env is a link"));
    let set = |path: &Path| file::change(path, |_| Ok(Some("A=1".into()))).unwrap_err().told(false);
    assert!(set(&directory.join("x.env")).contains("env is a link"));
    let target = elsewhere.path().join("target");
    std::os::unix::fs::symlink(&target, home.path().join("y.lock")).unwrap();
    assert!(set(&home.path().join("y.env")).contains("y.lock is a link"));
    assert!(!target.exists() && !home.path().join("y.env").exists());
    assert!(told(home.path()).contains("no file of variables"));
}

#[test]
fn what_is_written_is_read_by_a_shell_as_the_same() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("x.env");
    let values = [
        "plain",
        "",
        " a b ",
        "two\nlines\n",
        "a\r\nb\r",
        "it's \"quoted\" `date` $(date) $HOME ${HOME} \\n \\",
        "#no comment",
        "!history !!",
        "ünïcödé 🌙",
        "-n",
        "{\"json\": [1, \"two\"]}",
        "-----BEGIN KEY-----\nMIIB/+==\n-----END KEY-----\n",
        "\u{1b}[31m\t",
    ];
    for (number, value) in values.iter().enumerate() {
        file::change(&path, |text| format::set(text, &format!("V{number}"), value).map(Some))
            .unwrap();
    }
    let script = "set -a; . \"$1\"; n=0; while [ $n -lt $2 ]; do v=V$n; printf '%s\\0' \"${!v}\"; n=$((n+1)); done";
    let ran = std::process::Command::new("bash")
        .args(["-c", script, "bash"])
        .arg(&path)
        .arg(values.len().to_string())
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    let read: Vec<&str> = said.split_terminator('\0').collect();
    assert_eq!(read, values);
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn of_many_who_set_at_once_nobody_is_lost() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("x.env");
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let path = &path;
            scope.spawn(move || {
                for number in 0..10 {
                    let name = format!("V{thread}_{number}");
                    file::change(path, |text| format::set(text, &name, &name).map(Some)).unwrap();
                }
            });
        }
    });
    let text = file::text(&path).unwrap().unwrap();
    assert_eq!(file::parsed(&path, &text).unwrap().len(), 80);
}
