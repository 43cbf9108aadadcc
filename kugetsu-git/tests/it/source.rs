use std::sync::Arc;

use kugetsu_core::RepoRef;
use kugetsu_git::{HttpsSources, RepositoryMap, Source, Sources};

#[test]
fn addresses_and_absolute_paths_are_sources() {
    for address in [
        "https://github.com/acme/widgets.git",
        "https://acme@dev.azure.com/acme/widgets",
        "http://127.0.0.1:3000/acme/widgets",
        "ssh://git@git.example:2222/acme/widgets.git",
        "git@github.com:acme/widgets.git",
        "github.com:acme/widgets.git",
        "file:///srv/git/widgets.git",
        "/srv/git/wid gets",
        "git://git.example/widgets",
    ] {
        assert_eq!(Source::parse(address).unwrap().as_str(), address);
    }
}

#[test]
fn options_programs_and_passwords_are_no_sources_and_secrets_are_not_repeated() {
    for address in [
        "",
        "-x",
        "--upload-pack=touch x",
        "ext::sh -c touch% x",
        "fd::7",
        "transport::address",
        "https://me:hunter2@github.com/acme/widgets",
        "https://me%3Ahunter2@github.com/acme/widgets",
        "https://hunter2hunter2hunter2hunter2@github.com/acme/widgets",
        "ssh://-oProxyCommand=x/acme",
        "-oProxyCommand=x:acme",
        "git@-oProxyCommand=x:acme",
        "relative/path",
        "./here",
        "../there",
        "ftp://git.example/acme",
        "https:///acme",
        "/srv/a\nb",
        "https://git.example/\u{1b}[31m",
    ] {
        let error = Source::parse(address).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn a_list_comes_before_the_servers() {
    let list = r#"{"github.com/acme/widgets": "git@github.com:acme/widgets.git"}"#;
    let map = RepositoryMap::parse(list, Arc::new(HttpsSources)).unwrap();
    let source = |text: &str| map.source(&text.parse::<RepoRef>().unwrap()).unwrap().to_string();
    assert_eq!(source("github.com/acme/widgets"), "git@github.com:acme/widgets.git");
    assert_eq!(source("gitlab.com/a/b/c"), "https://gitlab.com/a/b/c.git");
}

#[test]
fn a_mistake_in_a_list_is_told_with_its_reference() {
    let parse = |text| RepositoryMap::parse(text, Arc::new(HttpsSources)).unwrap_err().to_string();
    assert!(parse(r#"{"widgets": "/srv/x"}"#).contains("\"widgets\""));
    let said = parse(r#"{"github.com/a/b": "https://me:hunter2@github.com/a/b"}"#);
    assert!(said.contains("github.com/a/b") && !said.contains("hunter2"), "{said}");
    assert!(parse("[]").contains("line 1"));
}

#[test]
fn a_list_that_is_not_there_is_empty() {
    let nowhere = tempfile::tempdir().unwrap().path().join("repos.json");
    let map = RepositoryMap::read(&nowhere, Arc::new(HttpsSources)).unwrap();
    assert!(map.source(&"github.com/a/b".parse().unwrap()).is_ok());
}
