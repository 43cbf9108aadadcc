//! Settings: where they come from, and what is wrong with them.

use std::fmt::Write as _;

use crate::desk::{Desk, desk, initialised};

fn with_file(name: &str, text: &str) -> Desk {
    let desk = desk();
    std::fs::create_dir(desk.path("kugetsu")).unwrap();
    std::fs::write(desk.kugetsu(name), text).unwrap();
    desk
}

#[test]
fn a_pipe_in_place_of_a_file_keeps_nobody_waiting() {
    let desk = crate::desk::initialised();
    for file in ["config.toml", "servers.json", "repos.json"] {
        let path = desk.kugetsu(file);
        let kept = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let directory = std::fs::File::open(desk.kugetsu("")).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(&directory, file, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let ran = desk.run(&["start", crate::desk::ISSUE, "MODEL: say hello"]);
        assert_eq!(ran.code, 78, "{file}: {}", ran.err);
        assert!(ran.err.contains("it is no plain file"), "{}", ran.err);
        assert_eq!(desk.run(&["doctor"]).code, 1, "{file}");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, kept).unwrap();
    }
}

#[test]
fn each_value_is_shown_with_where_it_came_from() {
    let desk = desk();
    desk.assert("config-list", &desk.transcript(&[&["config", "list"]]));
    assert!(!desk.path("kugetsu").exists());
}

#[test]
fn flag_comes_before_environment_before_config_toml_before_config_before_default() {
    let desk =
        with_file("config", "MAX_CONCURRENT_AGENTS=2\nexport TASK_TIMEOUT_HOURS=\"2\" # long\n");
    let origin = |desk: &Desk, words: &[&str]| {
        let words: Vec<&str> = ["config", "list", "--json"].iter().chain(words).copied().collect();
        let told = desk.run(&words).done().json();
        let rows = told["settings"].as_array().unwrap().clone();
        let row = rows.iter().find(|row| row["key"] == "max_concurrent_agents").unwrap();
        format!("{} from {}", row["value"].as_str().unwrap(), row["origin"].as_str().unwrap())
    };
    assert_eq!(origin(&desk, &[]), "2 from config:1");
    std::fs::write(desk.kugetsu("config.toml"), "\nmax_concurrent_agents = 4\n").unwrap();
    assert_eq!(origin(&desk, &[]), "4 from config.toml:2");
    let desk = desk.with("MAX_CONCURRENT_AGENTS", "5");
    assert_eq!(origin(&desk, &[]), "5 from environment (MAX_CONCURRENT_AGENTS)");
    let flag = ["--config", "max_concurrent_agents=6"];
    assert_eq!(origin(&desk, &flag), "6 from --config");
}

#[test]
fn a_mistake_names_file_line_and_key() {
    let mut seen = String::new();
    for (file, text) in [
        ("config.toml", "# fine\nmax_concurent_agents = 3\n"),
        ("config.toml", "\nmax_concurrent_agents = \"many\"\n"),
        ("config.toml", "max_concurrent_agents = 0\n"),
        ("config.toml", "task_timeout_hours = [1]\n"),
        ("config.toml", "agent = \"unclosed\nstore = 1\n"),
        ("config.toml", "agent = \"nobody\"\nunknown_at_all = 1"),
        ("config", "TASK_TIMEOUT_HOURS=$(rm -rf /)\n"),
        ("config", "TASK_TIMEOUT_HOURS=\"1\n"),
    ] {
        let desk = with_file(file, text);
        let ran = desk.run(&["status"]);
        assert_eq!(ran.code, 78, "{}", ran.shown());
        // Whoever looks what there is sees all that makes sense.
        let list = desk.run(&["config", "list"]).done();
        let told = ran.err.strip_prefix("error: ").unwrap();
        assert!(list.out.contains("max_concurrent_agents"), "{}", list.shown());
        assert_eq!(list.err.strip_prefix("warning: ").unwrap(), told);
        let mistakes = desk.run(&["config", "list", "--json"]).done().json()["mistakes"].clone();
        assert!(told.starts_with(mistakes[0].as_str().unwrap()), "{mistakes}");
        let root = desk.path("").to_string_lossy().into_owned();
        let told = ran.err.replace(&root, "<desk>/");
        let _ = writeln!(seen, "{file}: {text:?}\n{told}");
    }
    let wrong = desk().with("MAX_CONCURRENT_AGENTS", "-1");
    seen.push_str(&wrong.transcript(&[&["status"]]));
    let desk = desk();
    seen.push_str(&desk.transcript(&[
        &["status", "--config", "agent"],
        &["status", "--config", "agnet=fake"],
        &["status", "--config", "max_concurrent_agents=x"],
    ]));
    desk.assert("config-mistakes", &seen);
}

#[test]
fn a_backend_that_nobody_brought_is_told_with_those_that_there_are() {
    let desk = initialised();
    let seen = desk.transcript(&[
        &["start", "example.com/a/b#1", "go", "--config", "agent=nobody"],
        &["list", "--config", "store=nowhere"],
        &["list", "--config", "worktrees=none"],
    ]);
    desk.assert("no-backend", &seen);
}

#[test]
fn the_default_server_completes_a_reference() {
    let desk = initialised();
    let flag = ["--config", "default_server=example.com"];
    let words = ["start", "acme/widgets#7", "MODEL: say hello"];
    let words: Vec<&str> = words.iter().chain(&flag).copied().collect();
    desk.run(&words).done();
    assert!(desk.worktree().is_dir());
}

#[test]
fn lines_of_the_bash_versions_config_that_are_no_settings_of_ours_stop_nothing_and_are_told() {
    let desk = with_file(
        "config",
        "MAX_CONCURRENT_AGENTS=5\nif true; then\n  COLOUR=red\nfi\nMAX_CONCURRENT_AGENT=4\n\
         source ~/.more\necho \"$HOME\"\n[ -x y ]\n",
    );
    let told = |text: &str| {
        ["line 2 (it is not KEY=VALUE, and nothing is run), line 3 (there is no setting \"COLOUR\")",
         "line 5 (there is no setting \"MAX_CONCURRENT_AGENT\"; did you mean `max_concurrent_agents`?)",
         "and 2 more"].iter().filter(|words| text.contains(*words)).count()
    };
    assert_eq!(desk.run(&["status"]).done().err, "");
    let init = desk.run(&["init"]).done();
    assert_eq!(told(&init.err), 3, "{}", init.err);
    assert_eq!(desk.run(&["status"]).done().shown(), "$ kugetsu status\nok\n");
    let list = desk.run(&["config", "list"]).done();
    assert_eq!(told(&list.err), 3, "{}", list.err);
    assert!(list.out.contains("config:1"), "{}", list.out);
    let doctor = desk.run(&["doctor", "--json"]).json();
    let of_it = |finding: &&serde_json::Value| finding["check"] == "settings.left-out";
    let finding = doctor["findings"].as_array().unwrap().iter().find(of_it).unwrap().clone();
    assert_eq!(finding["severity"], "warning");
    assert_eq!(told(finding["found"].as_str().unwrap()), 3, "{finding}");
}

#[test]
fn each_line_that_init_has_commented_out_may_be_uncommented_and_is_the_default() {
    let desk = desk();
    desk.run(&["init"]).done();
    let text = std::fs::read_to_string(desk.kugetsu("config.toml")).unwrap();
    let list = || desk.run(&["config", "list", "--json"]).done().json();
    let value = |list: &serde_json::Value, key: &str| {
        let rows = list["settings"].as_array().unwrap();
        rows.iter().find(|row| row["key"] == key).map(|row| row["value"].clone())
    };
    let defaults = list();
    let (mut keys, mut tables, mut lines) = (0, 0, text.lines().peekable());
    while let Some(line) = lines.next() {
        let Some(plain) = line.strip_prefix("# ") else { continue };
        let mut with = plain.to_owned();
        let key = plain
            .split_once(" = ")
            .map(|(key, _)| key)
            .and_then(|key| value(&defaults, key).map(|_| key));
        if plain.starts_with('[') {
            tables += 1;
            while let Some(more) = lines.next_if(|line| line.starts_with("# ")) {
                with = format!("{with}\n{}", &more[2..]);
            }
        } else if key.is_some() {
            keys += 1;
        } else {
            continue;
        }
        std::fs::write(desk.kugetsu("config.toml"), format!("{text}\n{with}\n")).unwrap();
        let now = list();
        assert_eq!(now["mistakes"], serde_json::json!([]), "{with}");
        if let (Some(key), false) = (key, key == Some("agent")) {
            assert_eq!(value(&now, key), value(&defaults, key), "{with}");
        }
    }
    let settings = defaults["settings"].as_array().unwrap().len();
    assert_eq!((keys, tables >= 3), (settings, true), "{tables}");
}
