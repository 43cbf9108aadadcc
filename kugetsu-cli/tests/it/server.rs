//! `server`.

use std::thread;

use crate::desk::{desk, initialised, is_private};

#[test]
fn servers_are_added_listed_made_the_default_and_removed() {
    let desk = initialised();
    assert!(is_private(&desk.kugetsu("servers.json")));
    let seen = desk.transcript(&[
        &["server", "list"],
        &["server", "add", "work", "https://git.example.com:3000/", "--kind", "forgejo"],
        &["server", "add", "gitlab.com", "https://gitlab.com"],
        &["server", "list"],
        &["server", "get"],
        &["server", "get", "work"],
        &["server", "get", "GIT.example.com:3000"],
        &["server", "default"],
        &["server", "default", "work"],
        &["server", "default"],
        &["server", "list"],
        &["server", "remove", "work"],
        &["server", "default", "github"],
        &["server", "default", "github.com"],
        &["server", "remove", "work"],
        &["server", "rm", "gitlab.com"],
        &["server", "rm", "github.com"],
        &["server", "list"],
        &["server", "get"],
        &["server", "get", "work"],
    ]);
    desk.assert("server", &seen);
    assert!(is_private(&desk.kugetsu("servers.json")));
}

#[test]
fn in_json_servers_are_data() {
    let desk = initialised().with("GITHUB_TOKEN", "hunter2hunter2");
    let seen = desk.transcript(&[
        &["server", "add", "work", "https://git.example.com", "--kind", "gitlab", "--json"],
        &["server", "list", "--json"],
        &["server", "get", "work", "--json"],
        &["server", "default", "work", "--json"],
        &["server", "default", "--json"],
        &["server", "remove", "github.com", "--json"],
        &["server", "get", "github.com", "--json"],
    ]);
    desk.assert("server-json", &seen);
}

#[test]
fn what_is_wrong_with_a_server_is_said_and_no_secret_is_shown_or_kept() {
    let desk = initialised();
    let seen = desk.transcript(&[
        &["server", "add", "a b", "https://a.example"],
        &["server", "add", "a.example", "a.example"],
        &["server", "add", "a.example", "http://a.example"],
        &["server", "add", "a.example", "https://a.example/../b"],
        &["server", "add", "intranet", "https://intranet"],
        &["server", "add", "a.example", "https://a.example", "--kind", "svn"],
    ]);
    desk.assert("server-refused", &seen);
    for words in [
        ["a.example", "https://me:hunter2@a.example", "WORK_TOKEN"],
        ["a.example", "https://hunter2@a.example", "WORK_TOKEN"],
        ["a.example", "https://a.example?token=hunter2", "WORK_TOKEN"],
        ["https://me:hunter2@a.example", "https://a.example", "WORK_TOKEN"],
        ["a.example", "https://a.example", "ghp_hunter2"],
    ] {
        let [name, url, token] = words;
        let ran = desk.run(&["server", "add", name, url, "--kind", "gitea", "--token", token]);
        assert_eq!(ran.code, 64, "{}", ran.shown());
        assert!(!ran.err.contains("hunter2"), "{}", ran.err);
    }
    let kept = std::fs::read_to_string(desk.kugetsu("servers.json")).unwrap();
    assert!(!kept.contains("a.example"), "{kept}");
}

#[test]
fn a_token_that_was_named_for_a_server_is_not_for_another_address() {
    let desk = initialised();
    let add = |url: &str, more: &[&str]| {
        let words = [&["server", "add", "git.example.com", url, "--kind", "gitea"], more].concat();
        desk.run(&words).done();
        let list = desk.run(&["server", "list", "--json"]).done().json();
        list["servers"][0]["token"].as_str().unwrap_or("none").to_owned()
    };
    assert_eq!(add("https://git.example.com", &["--token", "WORK_TOKEN"]), "WORK_TOKEN");
    assert_eq!(add("https://git.example.com", &[]), "WORK_TOKEN", "it is kept");
    assert_eq!(add("https://evil.example", &[]), "GITEA_TOKEN");
}

#[test]
fn whoever_says_the_default_in_the_settings_has_the_last_word_and_is_told() {
    let desk = initialised();
    desk.run(&["server", "add", "work", "https://git.example.com", "--kind", "gitea"]).done();
    desk.run(&["server", "default", "work"]).done();
    let mean = |words: &[&str]| {
        let ran = desk.run(&[&["continue", "acme/widgets#7"], words].concat());
        ran.err.lines().next().unwrap().to_owned()
    };
    assert!(mean(&[]).ends_with("for git.example.com/acme/widgets#7"), "{}", mean(&[]));
    let flag = ["--config", "default_server=github.com"];
    assert!(mean(&flag).ends_with("for github.com/acme/widgets#7"));
    let named = ["--config", "default_server=work"];
    assert!(mean(&named).ends_with("for git.example.com/acme/widgets#7"));
    let listed = desk.run(&["config", "list"]).done().out;
    let line = listed.lines().find(|line| line.starts_with("default_server")).unwrap();
    assert!(line.contains("work") && line.ends_with("servers.json:2"), "{line}");
    std::fs::write(desk.kugetsu("config.toml"), "default_server = \"github.com\"\n").unwrap();
    let seen = desk.transcript(&[
        &["server", "default"],
        &["server", "default", "work"],
        &["server", "list"],
        &["server", "remove", "github.com"],
        &["server", "remove", "work"],
    ]);
    desk.assert("server-default-overridden", &seen);
}

#[test]
fn a_mistake_in_the_file_is_told_with_its_place() {
    let desk = initialised();
    let file = desk.kugetsu("servers.json");
    std::fs::write(
        &file,
        "{\n  \"servers\": {\n    \"a.b\": { \"url\": \"http://a.b\" }\n  }\n}\n",
    )
    .unwrap();
    for words in [&["server", "list"][..], &["list"], &["server", "add", "c.d", "https://c.d"]] {
        let ran = desk.run(words);
        assert_eq!(ran.code, 78, "{}", ran.shown());
        let place = format!("error: {}:3:34: over http ", file.display());
        assert!(ran.err.starts_with(&place), "{}", ran.shown());
        assert!(ran.err.contains("\nhint: mend it"), "{}", ran.shown());
    }
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept.contains("http://a.b") && !kept.contains("c.d"));
}

#[test]
fn servers_that_are_added_at_once_are_all_kept() {
    let desk = initialised();
    thread::scope(|scope| {
        for number in 0..8 {
            let desk = &desk;
            scope.spawn(move || {
                let url = format!("https://git{number}.example.com");
                desk.run(&["server", "add", &format!("git{number}"), &url, "--kind", "gitea"])
                    .done();
            });
        }
    });
    let list = desk.run(&["server", "list", "--json"]).done().json();
    assert_eq!(list["servers"].as_array().unwrap().len(), 9);
}

#[test]
fn servers_need_an_initialised_kugetsu_only_to_change() {
    let desk = desk();
    let seen = desk.transcript(&[
        &["server", "list"],
        &["server", "default"],
        &["server", "add", "a.example", "https://a.example"],
        &["server", "remove", "github.com"],
        &["server", "default", "github.com"],
    ]);
    desk.assert("server-before-init", &seen);
    assert!(!desk.path("kugetsu").exists());
}
