//! Whatever is in a reference or a message, it stays one.

use std::fs;
use std::io::Write as _;

use kugetsu_core::{Outcome, Request, TaskState};
use kugetsu_queue::Wait;
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;

use super::house::{House, contents, finish, issue, reference};

fn messages() -> Vec<String> {
    let mut messages: Vec<String> = [
        "-rf /",
        "--help",
        "-",
        "--",
        "$(touch canary) `touch canary` ${IFS} $HOME",
        "; touch canary && true | cat > canary",
        "'single' \"double\" \\back\\ `tick`",
        "one\ntwo\r\nthree\n\n\nfour",
        "\ttabs\u{b}and\u{7f}controls\u{1b}[31mred\u{1b}[0m",
        "emoji 🦀🏳️‍🌈 and 漢字 and e\u{301}",
        "right\u{202e}to left\u{202c} and zero\u{200b}width",
        "%s %n {} {{}} %00 \\0 \\x00 &lt;b&gt;",
        "../../../../etc/passwd",
        "@file.txt #include <x> /help /clear !ls",
        "    leading and trailing    ",
    ]
    .map(str::to_owned)
    .into();
    messages.push("m".repeat(1 << 20));
    messages
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_reaches_the_model_byte_for_byte_whatever_is_in_it() {
    let house = House::new().await;
    let (engine, runner) = house.engine(1).await;
    for message in messages() {
        let before = house.model.requests().len();
        let request = Request::dev(reference(1), message.clone());
        let task = engine.start(request, Wait::No, CancellationToken::new(), |_| {}).await.unwrap();
        let completed =
            matches!(task.state, TaskState::Settled { outcome: Outcome::Completed { .. }, .. });
        let start: String = message.chars().take(40).collect();
        assert!(completed, "{start:?}: {:?}", task.state);
        let asked = house.model.requests();
        let told = asked.get(before).unwrap().prompt();
        let (_, told) = told.split_once("Delegator's message:\n").unwrap();
        assert!(
            told == message,
            "{start:?} arrived as {:?}",
            told.chars().take(60).collect::<String>()
        );
    }
    let worktree = house.place("embedded").join("worktrees/git.example-acme-widgets-1");
    assert!(!worktree.join("canary").exists());
    runner.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_survives_the_command_line_the_input_and_a_file() {
    let house = House::new().await;
    let hostile = "-x \"quoted\" $(touch canary) `id` 'it'\n--json 🦀 \\";
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(hostile.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();

    let argument = house.run(&["start", "--json", &issue(1), hostile]).await;
    let option = house.run(&["start", "--json", &issue(1), "--", "--json"]).await;
    let from_file = house.run(&["start", "--json", &issue(1), "--message-file", path]).await;
    let mut piped = house.kugetsu(&["start", "--json", &issue(1), "-"]);
    let input = fs::File::open(file.path()).unwrap();
    let piped = finish(piped.stdin(input).spawn().unwrap()).await;
    let asked = house.model.requests();
    let expected =
        [(&argument, hostile), (&option, "--json"), (&from_file, hostile), (&piped, hostile)];
    for (index, (ran, message)) in expected.into_iter().enumerate() {
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let told = asked[index].prompt();
        let (_, told) = told.split_once("Delegator's message:\n").unwrap();
        assert_eq!(told, message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_reference_is_refused_and_leaves_nothing() {
    let house = House::new().await;
    let long_owner = format!("git.example/{}/widgets#1", "o".repeat(300));
    let endless = format!("git.example/acme/widgets#{}", "1".repeat(10_000));
    let before = contents(&house.directory());
    for hostile in [
        "-x",
        "--upload-pack=touch canary",
        "../../x#1",
        "git.example/../../x#1",
        "git.example/acme/..#1",
        "git.example/.git/hooks#1",
        "/etc/passwd#1",
        "git.example/acme/wid gets#1",
        "git.example/acme/$(touch canary)#1",
        "git.example/acme/widgets;touch canary#1",
        "git.example/acme/\"widgets\"#1",
        "git.example/acme/widgets#1\n2",
        "git.example/acme/widgets#-1",
        "git.example/acme/widgets#0",
        "git.example/acme/🦀#1",
        "git.example/acme/\u{202e}stegdiw#1",
        "https://user:secret@git.example/acme/widgets/issues/1",
        "ext::sh -c touch%20canary",
        "file:///etc/passwd",
        "",
        &long_owner,
        &endless,
    ] {
        let ran = house.run(&["start", "--", hostile, "do it"]).await;
        assert_eq!(ran.code, Some(64), "{hostile:?}: {ran:?}");
        assert!(ran.stdout.is_empty(), "{ran:?}");
        assert!(!ran.stderr.contains('\u{202e}'), "{ran:?}");
        assert!(ran.stderr.len() < 2000, "{} bytes", ran.stderr.len());
    }
    let after = contents(&house.directory());
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    assert!(house.model.requests().is_empty());
}
