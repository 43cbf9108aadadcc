//! What agents are told before each message.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use kugetsu_core::{AgentRunner, Request, Task};
use kugetsu_queue::{Engine, Mask, Prompts, Verbosity, Wait};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio_util::sync::CancellationToken;

use crate::line::{Site, failure, issue, report, start};

impl Site {
    fn prompted(&self, prompts: Prompts) -> Engine {
        self.with_agent(Arc::new(self.agent.clone())).with_prompts(prompts).with_logs(self.logs())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// What the agent was told at last.
    fn message(&self) -> String {
        self.agent.runs().last().unwrap().message.clone()
    }
}

async fn ask_pm(engine: &Engine, message: &str) -> Task {
    let never = CancellationToken::new();
    engine.start(Request::pm(message), Wait::No, never, |_| {}).await.unwrap()
}

#[tokio::test]
async fn the_rules_come_first_and_from_the_file_as_it_is_now() {
    let site = Site::new().await;
    let file = site.file("dev-agent.md");
    let engine = site.prompted(Prompts::default().with_dev_file(&file));
    let message = "  MODEL: say {issue} \r\n\u{202e}$(x) `y` '\" {branch}\n\n";
    start(&engine, 1, message).await.unwrap();
    let told = site.message();
    assert!(told.starts_with("You work on the issue git.example/acme/widgets#1.\n"), "{told}");
    assert!(told.ends_with(&format!("\n\nDelegator's message:\n{message}")), "{told:?}");
    let directory = site.session(1).await.directory.unwrap();
    assert!(told.contains(&format!("directory {} and", directory.display())), "{told}");
    assert!(!told.contains("Other repositories") && !told.contains("lost"), "{told}");

    fs::write(&file, "On {branch} of {issue} in {directory}: {x} {{}} {issue\n").unwrap();
    start(&engine, 1, "MODEL: say hi").await.unwrap();
    let expected = format!(
        "On fix/issue-1 of {} in {}: {{x}} {{{{}}}} {{issue\n\nDelegator's message:\nMODEL: say hi",
        issue(1),
        directory.display()
    );
    assert_eq!(site.message(), expected);
    fs::remove_file(&file).unwrap();
    start(&engine, 1, "MODEL: say hi").await.unwrap();
    assert!(site.message().starts_with("You work on"), "{}", site.message());
}

#[tokio::test]
async fn a_file_that_is_no_prompt_ends_the_attempt_and_is_named() {
    let site = Site::new().await;
    let file = site.file("prompt.md");
    let prompts = Prompts::default().with_dev_file(&file).with_pm_file(&file);
    let engine = site.prompted(prompts);
    let long = vec![b'x'; 64 * 1024 + 1];
    let table: [(&str, &[u8]); 4] = [
        ("is empty", b" \n"),
        ("is longer than 64 KiB", &long),
        ("is not UTF-8", b"\xff"),
        ("contains a NUL character", b"a\0b"),
    ];
    for (why, text) in table {
        fs::write(&file, text).unwrap();
        for task in [start(&engine, 1, "go").await.unwrap(), ask_pm(&engine, "go").await] {
            let failure = failure(&task);
            assert!(!failure.retry.is_possible(), "{failure:?}");
            let named = format!("the prompt {} {why}", file.display());
            assert!(failure.reason.contains(&named), "{failure}");
        }
    }
    fs::remove_file(&file).unwrap();
    // Nobody will ever write into it.
    mknodat(CWD, &file, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let task = start(&engine, 1, "go").await.unwrap();
    assert!(failure(&task).reason.contains("is no file"), "{task:?}");
    assert!(site.agent.runs().is_empty());
}

#[tokio::test]
async fn a_new_session_is_told_how_the_log_of_the_lost_one_ended() {
    let site = Site::new().await;
    let engine = site.prompted(Prompts::default()).with_mask(Arc::new(Mask::new(["new-secret"])));
    let script =
        format!("MODEL: say first {} ;; write a.txt one ;; say new-secrets", "x".repeat(5000));
    // When it was written, the secret was none.
    start(&engine.clone().with_mask(Arc::default()), 1, &script).await.unwrap();
    let lost = site.session(1).await.agent_session.unwrap();
    site.agent.sessions().unwrap().delete(&lost).await.unwrap();
    report(&start(&engine, 1, "MODEL: say second").await.unwrap());
    let told = site.message();
    let (rules, rest) = told.split_once("\n\nYour earlier session was lost.").unwrap();
    assert!(rules.starts_with("You work on the issue"), "{rules}");
    let (tail, message) = rest.split_once("\n\nDelegator's message:\n").unwrap();
    assert_eq!(message, "MODEL: say second");
    assert!(tail.len() < 5000 && tail.contains("ended  completed"), "{tail}");
    assert!(!tail.contains("first") && tail.contains("***MASKED***s"), "{tail}");
    let mark = tail.lines().nth(1).unwrap().strip_prefix("<<<< ").unwrap();
    assert_eq!(mark.len(), 32);
    assert!(tail.ends_with(&format!("\n>>>> {mark}")), "{tail}");

    // It is told once: now it knows.
    start(&engine, 1, "MODEL: say third").await.unwrap();
    assert!(!site.message().contains("was lost"), "{}", site.message());
    // And whoever had none before has lost none.
    start(&engine, 2, "MODEL: say hi").await.unwrap();
    assert!(!site.message().contains("was lost"), "{}", site.message());
}

#[tokio::test]
async fn the_pm_is_told_its_prompt_how_much_to_say_and_the_users_words() {
    let site = Site::new().await;
    let file = site.file("pm-agent.md");
    let prompts = Prompts::default().with_pm_file(&file);
    let engine = site.prompted(prompts.clone());
    ask_pm(&engine, "MODEL: say hi").await;
    let told = site.message();
    assert!(told.starts_with("You are the PM of this team."), "{told}");
    for rule in ["never write code", "kugetsu start --detach", "Never use `kugetsu delegate`"] {
        assert!(told.contains(rule), "{rule} is missing: {told}");
    }
    assert!(told.ends_with("\n\nUser's message:\nMODEL: say hi"), "{told}");
    assert!(!told.contains("Repositories"), "{told}");

    start(&engine, 1, "MODEL: say hi").await.unwrap();
    fs::write(&file, "Be kind to {issue}.\n").unwrap();
    let mut seen = Vec::new();
    for verbosity in [Verbosity::Verbose, Verbosity::Default, Verbosity::Quiet] {
        let engine = site.prompted(prompts.clone().with_verbosity(verbosity));
        ask_pm(&engine, "MODEL: say hi").await;
        seen.push(site.message());
        let told = seen.last().unwrap();
        let front = "Be kind to {issue}.\n\nRepositories in which there are agents already: \
                     git.example/acme/widgets.\n\nHow much to say: ";
        assert!(told.starts_with(front), "{told}");
    }
    seen.dedup();
    assert_eq!(seen.len(), 3, "{seen:?}");
}
