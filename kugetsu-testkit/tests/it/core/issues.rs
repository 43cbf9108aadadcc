use std::collections::BTreeMap;
use std::path::{Component, Path};

use kugetsu_core::{IssueRef, RepoRef};
use proptest::prelude::*;

/// What a text is read as, with github.com as the default server.
fn read(text: &str) -> Result<String, String> {
    IssueRef::parse(text, Some("github.com"))
        .map(|issue| issue.to_string())
        .map_err(|error| error.to_string())
}

#[test]
fn every_form_of_a_reference_is_read() {
    for (text, wanted) in [
        ("github.com/acme/widgets#42", "github.com/acme/widgets#42"),
        ("acme/widgets#42", "github.com/acme/widgets#42"),
        ("https://github.com/acme/widgets/issues/42", "github.com/acme/widgets#42"),
        ("http://github.com/acme/widgets/issues/42", "github.com/acme/widgets#42"),
        ("HTTPS://GitHub.com/acme/widgets/issues/42", "github.com/acme/widgets#42"),
        ("github.com/acme/widgets/issues/42", "github.com/acme/widgets#42"),
        ("https://github.com/acme/widgets/issues/42/", "github.com/acme/widgets#42"),
        ("https://github.com/acme/widgets/issues/42?x=1", "github.com/acme/widgets#42"),
        ("https://github.com/acme/widgets/issues/42#issuecomment-7", "github.com/acme/widgets#42"),
        ("https://gitlab.com/a/b/c/-/issues/7", "gitlab.com/a/b/c#7"),
        ("https://gitlab.com/a/b/c/-/work_items/7", "gitlab.com/a/b/c#7"),
        ("gitlab.com/a/b/c/d#7", "gitlab.com/a/b/c/d#7"),
        ("a/b/c#7", "github.com/a/b/c#7"),
        ("git.example:3000/acme/widgets#1", "git.example:3000/acme/widgets#1"),
        ("localhost/acme/widgets#1", "localhost/acme/widgets#1"),
        ("LOCALHOST:80/acme/widgets#1", "localhost:80/acme/widgets#1"),
        ("127.0.0.1:8080/acme/widgets#1", "127.0.0.1:8080/acme/widgets#1"),
        ("github.com/acme/widgets.git#42", "github.com/acme/widgets#42"),
        ("github.com/Acme/Widgets#42", "github.com/Acme/Widgets#42"),
        (
            "github.com/_a/b.c_d-e#18446744073709551615",
            "github.com/_a/b.c_d-e#18446744073709551615",
        ),
        ("github.com/acme/issues#5", "github.com/acme/issues#5"),
    ] {
        assert_eq!(read(text).as_deref(), Ok(wanted), "{text}");
    }
}

#[test]
fn a_short_reference_needs_a_default_server() {
    let error = "acme/widgets#42".parse::<IssueRef>().unwrap_err();
    assert!(error.to_string().contains("no server"), "{error}");
    let own = IssueRef::parse("acme/widgets#42", Some("git.example:3000")).unwrap();
    assert_eq!(own.to_string(), "git.example:3000/acme/widgets#42");
    // The default server is parsed like any other.
    for server in ["", "-x", "a b", "../x", "nodots", "x.y/z", "a.b\n"] {
        assert!(IssueRef::parse("acme/widgets#42", Some(server)).is_err(), "{server:?}");
    }
}

/// No references, with github.com as the default server.
const HOSTILE: &[&str] = &[
    "",
    " ",
    "#",
    "#1",
    "1",
    "/",
    "//#1",
    "acme",
    "acme/widgets",
    "acme#1",
    "acme/widgets#",
    "acme/widgets#0",
    "acme/widgets#-1",
    "acme/widgets#+1",
    "acme/widgets#007",
    "acme/widgets#1x",
    "acme/widgets#1 ",
    " acme/widgets#1",
    "acme/widgets#1#2",
    "acme/widgets#18446744073709551616",
    "acme/widgets#１",
    "acme//widgets#1",
    "/acme/widgets#1",
    "acme/widgets/#1",
    "github.com//widgets#1",
    "github.com/widgets#1",
    "-rf/widgets#1",
    "acme/-rf#1",
    "--help",
    "-acme/widgets#1",
    "acme/--upload-pack=x#1",
    "../../etc/passwd#1",
    "acme/..#1",
    "acme/.#1",
    "./acme#1",
    "acme/.git#1",
    "acme/.hidden#1",
    "acme/../widgets#1",
    "github.com/../acme/widgets#1",
    "..com/acme/widgets#1",
    "acme/widgets.lock#1",
    "acme/widgets.LOCK#1",
    "acme/widgets.git.git#1",
    "acme/x.#1",
    "acme.git/widgets#1",
    "acme/widgets\\x#1",
    "acme\\widgets#1",
    "$(touch pwned)/widgets#1",
    "acme/$(id)#1",
    "acme/`id`#1",
    "acme/${HOME}#1",
    "acme/wid'gets#1",
    "acme/wid\"gets#1",
    "acme/wid;gets#1",
    "acme/wid|gets#1",
    "acme/wid gets#1",
    "acme/wid\tgets#1",
    "acme/wid\ngets#1",
    "acme/widgets#1\n",
    "acme/wid\0gets#1",
    "acme/wid\u{7f}gets#1",
    "acme/wid\u{1b}[31m#1",
    "acme/wid%2fgets#1",
    "acme/wid*gets#1",
    "acme/wid?gets#1",
    "acme/wid~gets#1",
    "acme/wid^gets#1",
    "acme/wid:gets#1",
    "acme/wid@gets#1",
    "acme/wid{gets#1",
    "acme/widgets@{1}#1",
    "acme/👩‍💻#1",
    "acme/wídgets#1",
    "аcme/widgets#1",
    "acme/\u{202e}stegdiw#1",
    "acme/wid\u{200b}gets#1",
    "\u{feff}acme/widgets#1",
    "acme/日本語#1",
    "https://github.com/acme/widgets",
    "https://github.com/acme/widgets/pull/42",
    "https://gitlab.com/a/b/-/merge_requests/1",
    "https://github.com/acme/widgets/issues/0",
    "https://github.com/acme/widgets/issues/",
    "https://github.com/acme/widgets/issues/x",
    "https://github.com/issues/42",
    "https://user@github.com/acme/widgets/issues/42",
    "https://user:secret@github.com/acme/widgets/issues/42",
    "https:///acme/widgets/issues/42",
    "ssh://github.com/acme/widgets/issues/42",
    "file:///acme/widgets/issues/42",
    "javascript://github.com/acme/widgets/issues/42",
    "git@github.com:acme/widgets#42",
    "github.com:0/acme/widgets#1",
    "github.com:65536/acme/widgets#1",
    "github.com:/acme/widgets#1",
    "github.com:x/acme/widgets#1",
    "github.com:1:2/a/b#1",
    "-github.com/acme/widgets#1",
    "git-.com/acme/widgets#1",
    ".github.com/acme/widgets#1",
    "github..com/acme/widgets#1",
    "github.com./acme/widgets#1",
    "[::1]/acme/widgets#1",
];

#[test]
fn what_is_no_reference_is_refused_with_a_reason() {
    let long_owner = format!("github.com/{}/widgets#1", "o".repeat(300));
    let long = "x".repeat(10_000);
    let very_long = format!("github.com/acme/{}#1", "w/".repeat(5_000));
    let long = [long_owner.as_str(), &long, &very_long];
    for text in HOSTILE.iter().copied().chain(long) {
        let error = match IssueRef::parse(text, Some("github.com")) {
            Ok(issue) => panic!("{text:?} was read as {issue}"),
            Err(error) => error,
        };
        assert!(!error.why.is_empty());
        assert!(error.to_string().chars().count() < 600, "{error}");
        assert!(!error.to_string().contains(['\n', '\0', '\u{1b}', '\u{202e}']), "{error:?}");
        assert!(!error.why.contains("secret"), "{error}");
        assert!(serde_json::from_value::<IssueRef>(text.into()).is_err(), "{text:?}");
    }
}

#[test]
fn no_password_of_an_address_is_told() {
    for text in [
        "https://me:hunter2@github.com/acme/widgets/issues/7",
        "https://hunter2@github.com/acme/widgets/issues/7",
        "ftp://me:hunter2@github.com",
    ] {
        let told = format!("{0} {0:?}", IssueRef::parse(text, None).unwrap_err());
        assert!(told.contains("@github.com") && !told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_reference_is_serialised_as_its_text() {
    let issue: IssueRef = "github.com/acme/widgets#42".parse().unwrap();
    assert_eq!(serde_json::to_value(&issue).unwrap(), "github.com/acme/widgets#42");
    let repository = issue.repository();
    assert_eq!(serde_json::to_value(repository).unwrap(), "github.com/acme/widgets");
    assert_eq!(
        (repository.host(), repository.owner(), repository.name()),
        ("github.com", "acme", "widgets")
    );
    assert!(IssueRef::new(repository.clone(), 0).is_none());
    assert_eq!(IssueRef::new(repository.clone(), 42), Some(issue));
}

#[test]
fn a_repository_is_read_in_its_forms() {
    for (text, wanted) in [
        ("github.com/acme/widgets", "github.com/acme/widgets"),
        ("https://github.com/acme/widgets", "github.com/acme/widgets"),
        ("https://github.com/acme/widgets.git/", "github.com/acme/widgets"),
        ("acme/widgets", "github.com/acme/widgets"),
        ("gitlab.com/a/b/c", "gitlab.com/a/b/c"),
    ] {
        let read = RepoRef::parse(text, Some("github.com")).unwrap();
        assert_eq!(read.to_string(), wanted, "{text}");
    }
    for text in
        ["", "acme", "github.com", "acme/..", "git@github.com:acme/widgets", "-x/y", "a/b#1"]
    {
        assert!(RepoRef::parse(text, Some("github.com")).is_err(), "{text:?}");
    }
}

#[test]
fn stems_and_branches_are_what_people_expect() {
    let stem = |text: &str| text.parse::<IssueRef>().unwrap().stem();
    assert_eq!(stem("github.com/shoko/kugetsu#14"), "github.com-shoko-kugetsu-14");
    assert_eq!(stem("gitlab.com/a/b/c#7"), stem("gitlab.com/a/b/c#7"));
    let issue: IssueRef = "github.com/shoko/kugetsu#14".parse().unwrap();
    assert_eq!(issue.branch(), "fix/issue-14");
}

/// One that is hardly ever alone in how it looks.
fn part() -> impl Strategy<Value = String> {
    "[aAbB0_]([aAbB0._-]{0,6}[aAbB0_])?".prop_filter("git keeps these for itself", |part| {
        let lower = part.to_ascii_lowercase();
        ![".git", ".lock"].iter().any(|suffix| lower.ends_with(suffix))
    })
}

fn reference() -> impl Strategy<Value = IssueRef> {
    let host = prop_oneof![
        Just("a.b".to_owned()),
        Just("a-b.a".to_owned()),
        Just("a.b-a".to_owned()),
        Just("a.b:1".to_owned()),
        Just("localhost".to_owned()),
        "[ab]{1,3}[.-][ab]{1,3}\\.[ab]{1,3}(:[1-9][0-9]{0,3})?",
    ];
    let owner = prop::collection::vec(part(), 1..4);
    (host, owner, part(), 1u64..30).prop_map(|(host, owner, name, number)| {
        let text = format!("{host}/{}/{name}#{number}", owner.join("/"));
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    })
}

fn assert_stays_in_its_directory(name: &str) {
    assert!(!name.is_empty() && name.len() <= 180, "{name:?}");
    let parts: Vec<_> = Path::new(name).components().collect();
    assert!(matches!(parts.as_slice(), [Component::Normal(part)] if *part == name), "{name:?}");
    assert!(!name.starts_with(['-', '.']), "{name:?}");
    assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)), "{name:?}");
}

proptest! {
    #[test]
    fn what_a_reference_shows_it_also_reads(issue in reference()) {
        let text = issue.to_string();
        prop_assert_eq!(text.parse::<IssueRef>().unwrap(), issue.clone());
        let (repository, number) = (issue.repository().clone(), issue.number());
        let address = format!("https://{repository}/issues/{number}");
        prop_assert_eq!(address.parse::<IssueRef>().unwrap(), issue.clone());
        prop_assert_eq!(repository.to_string().parse::<RepoRef>().unwrap(), repository);
        let json = serde_json::to_string(&issue).unwrap();
        prop_assert_eq!(serde_json::from_str::<IssueRef>(&json).unwrap(), issue);
    }

    #[test]
    fn no_text_makes_a_name_that_leaves_its_directory(
        text in prop_oneof![
            any::<String>(),
            "[-./a:#@~$\\\\ %\u{202e}é0-9]{0,24}",
            "(https?://)?[a.:-]{1,6}/[a./-]{1,8}/[a./-]{1,8}(#|/issues/)[0-9]{1,3}",
            "[a-c./-]{1,10}#[0-9]{1,3}",
        ],
        server in prop_oneof![Just(None), any::<String>().prop_map(Some), Just(Some("a.b".to_owned()))],
    ) {
        if let Ok(issue) = IssueRef::parse(&text, server.as_deref()) {
            assert_stays_in_its_directory(&issue.stem());
            let repository = issue.repository();
            for part in [repository.name()].into_iter().chain(repository.owner().split('/')) {
                assert_stays_in_its_directory(&format!("x{part}"));
                prop_assert!(!part.starts_with(['-', '.']) && !part.is_empty(), "{:?}", part);
            }
            prop_assert_eq!(issue.to_string().parse::<IssueRef>().unwrap(), issue);
        }
        let _ = RepoRef::parse(&text, server.as_deref());
    }

    #[test]
    fn different_references_have_different_stems(issues in prop::collection::vec(reference(), 2..60)) {
        let mut stems: BTreeMap<String, IssueRef> = BTreeMap::new();
        for issue in issues {
            assert_stays_in_its_directory(&issue.stem());
            // A file system may ignore case.
            let other = stems.entry(issue.stem().to_ascii_lowercase()).or_insert(issue.clone());
            prop_assert_eq!(other, &issue);
        }
    }
}

#[test]
fn long_references_have_stems_that_fit() {
    let part = "w".repeat(200);
    let first = format!("github.com/{part}/{part}/{part}#1").parse::<IssueRef>().unwrap();
    let second = format!("github.com/{part}/{part}/{part}#2").parse::<IssueRef>().unwrap();
    assert_stays_in_its_directory(&first.stem());
    assert_ne!(first.stem(), second.stem());
}
