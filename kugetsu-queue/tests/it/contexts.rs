//! What is remembered of each issue, and who is told of it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::{AgentEvent, AgentRunner, Request};
use kugetsu_queue::{Contexts, Engine, IssueContext, Mask, Prompts, Speaker, Wait};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::line::{Canned, Site, failure, issue, report, start};

const GOLDEN: &str = include_str!("golden/context.json");

impl Site {
    fn contexts(&self) -> Contexts {
        Contexts::new(self.root.path().join("context"))
    }

    fn context_file(&self, number: u64) -> PathBuf {
        self.root.path().join("context").join(format!("{}.json", issue(number).stem()))
    }

    fn context(&self, number: u64) -> IssueContext {
        self.contexts().find(&issue(number)).unwrap().expect("no context")
    }

    /// An engine that remembers, with this agent.
    fn remembering(&self, agent: Arc<dyn AgentRunner>) -> Engine {
        self.with_agent(agent).with_contexts(self.contexts())
    }
}

fn says(text: &str) -> AgentEvent {
    AgentEvent::Message { text: text.into() }
}

fn tool() -> AgentEvent {
    AgentEvent::ToolEnded { call: "1".into(), tool: "bash".into(), ok: true, summary: "x".into() }
}

fn said(context: &IssueContext) -> Vec<(Speaker, &str)> {
    context.messages.iter().map(|said| (said.who, said.text.as_str())).collect()
}

#[tokio::test]
async fn bug_12_the_line_itself_keeps_the_context_of_an_issue() {
    let site = Site::new().await;
    let session = "ses_1".parse().unwrap();
    let mut events = vec![AgentEvent::SessionStarted { session }];
    events.extend([says("I run "), says("the tests."), tool(), says("All \"pass\".\n")]);
    let engine = site.remembering(Canned::new(events));
    let task = start(&engine, 1, "go").await.unwrap();
    let context = site.context(1);
    assert_eq!(
        said(&context),
        [
            (Speaker::User, "go"),
            (Speaker::Agent, "I run the tests."),
            (Speaker::Agent, "All \"pass\"."),
        ]
    );
    assert_eq!((context.task, context.attempt.0, context.message.as_str()), (task.id, 1, "go"));
    assert_eq!(context.outcome.as_deref(), Some("completed"));
    assert_eq!(context.branch.as_deref(), Some("fix/issue-1"));
    assert!(context.worktree.is_some() && context.session.is_some(), "{context:?}");
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(site.context_file(1)), mode(site.root.path().join("context"))),
        (0o600, 0o700)
    );
    assert_eq!(fs::read_dir(site.root.path().join("context")).unwrap().count(), 1);

    // What follows is added; of another issue nothing is.
    start(&engine, 2, "other").await.unwrap();
    let engine = site.remembering(Canned::new(vec![says("Yes.")]));
    start(&engine, 1, "again").await.unwrap();
    let context = site.context(1);
    assert_eq!(said(&context)[3..], [(Speaker::User, "again"), (Speaker::Agent, "Yes.")]);
    assert_eq!(context.message, "again");
    assert_eq!(site.contexts().issues().unwrap(), [issue(1), issue(2)]);

    // How it failed is told, too.
    let engine = site.remembering(Arc::new(site.agent.clone()));
    let task = start(&engine, 1, "MODEL: http 400").await.unwrap();
    let outcome = site.context(1).outcome.unwrap();
    assert_eq!(outcome, format!("failed: {}", failure(&task)));
    // Nothing is remembered of the PM.
    let never = CancellationToken::new();
    engine.start(Request::pm("MODEL: say hi"), Wait::No, never, |_| {}).await.unwrap();
    assert_eq!(site.contexts().issues().unwrap().len(), 2);
    assert!(site.contexts().remove(&issue(2)).unwrap());
    assert!(!site.contexts().remove(&issue(2)).unwrap());
    assert_eq!(site.contexts().find(&issue(2)).unwrap(), None);
}

#[tokio::test]
async fn a_message_is_remembered_when_the_run_begins_whatever_becomes_of_it() {
    let site = Site::new().await;
    let engine = site.remembering(Arc::new(site.agent.clone()));
    {
        let mut started = pin!(start(&engine, 1, "MODEL: hang"));
        tokio::select! {
            ended = &mut started => panic!("{ended:?}"),
            () = site.agent.until_at_work(1) => {}
        }
        let context = site.context(1);
        assert_eq!(said(&context)[0], (Speaker::User, "MODEL: hang"));
        assert_eq!(context.outcome, None);
    }
    site.agent.until_at_work(0).await;
    assert_eq!(site.context(1).outcome, None);
}

#[tokio::test]
async fn a_context_stays_small_and_holds_the_last_twenty_messages() {
    let site = Site::new().await;
    let big = format!("first {} last", "ä".repeat(20_000));
    let events: Vec<AgentEvent> =
        (0..60).flat_map(|n| [says(&format!("{n} {big}")), tool()]).collect();
    let engine = site.remembering(Canned::new(events));
    start(&engine, 1, &format!("go {big}")).await.unwrap();
    assert!(fs::metadata(site.context_file(1)).unwrap().len() < 100 * 1024);
    let context = site.context(1);
    let last = &context.messages.last().unwrap().text;
    assert!(last.starts_with("59 first ") && last.ends_with(" last"), "{last}");
    assert!(last.contains(" bytes dropped …]") && last.len() < 9 * 1024);
    // What the user said is there although nothing of so long ago is.
    assert!(context.message.starts_with("go first ") && context.message.len() < 9 * 1024);

    let events: Vec<AgentEvent> = (0..60).flat_map(|n| [says(&n.to_string()), tool()]).collect();
    start(&site.remembering(Canned::new(events)), 2, "go").await.unwrap();
    let context = site.context(2);
    let texts: Vec<&str> = context.messages.iter().map(|said| said.text.as_str()).collect();
    let expected: Vec<String> = (40..60).map(|n: u32| n.to_string()).collect();
    assert_eq!(texts, expected);
}

#[tokio::test]
async fn no_secret_that_is_known_is_remembered() {
    let site = Site::new().await;
    let secret = "hunter22-of-the-team";
    let events: Vec<AgentEvent> = [secret, "; ", "hunter22-", "of-the-team"].map(says).into();
    let mask = Arc::new(Mask::new([secret]));
    let engine = site.remembering(Canned::new(events)).with_mask(mask);
    start(&engine, 1, &format!("The key is {secret}.")).await.unwrap();
    let text = fs::read_to_string(site.context_file(1)).unwrap();
    assert!(!text.contains("hunter22"), "{text}");
    assert_eq!(text.matches("***MASKED***").count(), 4, "{text}");
}

#[tokio::test]
async fn whoever_follows_a_lost_session_is_told_the_end_of_its_conversation() {
    let site = Site::new().await;
    let engine = site.remembering(Arc::new(site.agent.clone())).with_prompts(Prompts::default());
    let script = "MODEL: say The heron \u{1b}[31mis new-secret. ;; write a.txt one ;; say Done.";
    start(&engine, 1, script).await.unwrap();
    // When it was written, the secret was none.
    let engine = engine.with_mask(Arc::new(Mask::new(["new-secret"])));
    let lost = site.session(1).await.agent_session.unwrap();
    site.agent.sessions().unwrap().delete(&lost).await.unwrap();
    report(&start(&engine, 1, "MODEL: say second").await.unwrap());
    let runs = site.agent.runs();
    let told = &runs.last().unwrap().message;
    let (_, rest) = told.split_once("\n\nYour earlier session was lost. Its conversation").unwrap();
    let (talk, message) = rest.split_once("\n\nDelegator's message:\n").unwrap();
    assert_eq!(message, "MODEL: say second");
    assert!(talk.contains("\nagent  The heron is ***MASKED***.\n"), "{talk}");
    assert!(talk.contains("\nuser   MODEL: say The heron") && talk.contains("\nagent  Done.\n"));
    let mark = talk.lines().nth(1).unwrap().strip_prefix("<<<< ").unwrap();
    assert_eq!(mark.len(), 32);
    assert!(talk.ends_with(&format!("\n>>>> {mark}")), "{talk}");
    // It is told once, and nobody else is told.
    start(&engine, 1, "MODEL: say third").await.unwrap();
    start(&engine, 2, "MODEL: say hi").await.unwrap();
    let runs = site.agent.runs();
    assert!(runs.iter().rev().take(2).all(|run| !run.message.contains("was lost")));
}

#[tokio::test]
async fn a_context_that_cannot_be_written_fails_nothing_and_is_told_once() {
    let site = Site::new().await;
    let directory = site.root.path().join("context");
    fs::write(&directory, "in the way").unwrap();
    let events: Vec<AgentEvent> = (0..5).flat_map(|n| [says(&n.to_string()), tool()]).collect();
    let engine = site.remembering(Canned::new(events)).with_logs(site.logs());
    report(&start(&engine, 1, "go").await.unwrap());
    let (_, text) = site.log();
    assert_eq!(text.matches(" notes  the issue's context could not be ").count(), 1, "{text}");
    fs::remove_file(&directory).unwrap();

    // No link is followed, neither to read nor to write.
    fs::create_dir(&directory).unwrap();
    let elsewhere = site.root.path().join("elsewhere");
    fs::write(&elsewhere, GOLDEN).unwrap();
    symlink(&elsewhere, site.context_file(1)).unwrap();
    symlink(&elsewhere, directory.join(format!("{}.json.new", issue(1).stem()))).unwrap();
    assert!(site.contexts().find(&issue(1)).is_err());
    site.clock.advance(Duration::from_secs(1));
    report(&start(&engine, 1, "go").await.unwrap());
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), GOLDEN);
    assert_eq!(site.context(1).messages.len(), 6);

    // What is broken is made anew; what a newer kugetsu has written is left as it is.
    let newer = GOLDEN.replace("context/1", "context/2");
    for (there, stays) in [("{", false), (newer.as_str(), true)] {
        fs::write(site.context_file(1), there).unwrap();
        site.clock.advance(Duration::from_secs(1));
        report(&start(&engine, 1, "go").await.unwrap());
        assert_eq!(fs::read_to_string(site.context_file(1)).unwrap() == there, stays);
        let (_, text) = site.log();
        assert!(text.contains(" notes  the issue's context could not be read: "), "{text}");
    }
}

#[tokio::test]
async fn contexts_are_written_as_ever() {
    let site = Site::new().await;
    fs::create_dir(site.root.path().join("context")).unwrap();
    fs::write(site.context_file(1), GOLDEN).unwrap();
    let golden = site.context(1);
    assert_eq!(said(&golden)[1], (Speaker::Agent, "It is fixed."));
    assert_eq!(golden.updated.as_millis(), 1_767_225_610_000);
    let engine = site.remembering(Canned::new(vec![says("Yes.")]));
    start(&engine, 1, "go").await.unwrap();
    let written: Value = serde_json::from_slice(&fs::read(site.context_file(1)).unwrap()).unwrap();
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&written), names(&golden));
    assert_eq!(names(&written["messages"][2]), names(&golden["messages"][0]));
    assert_eq!(written["format"], golden["format"]);
    assert_eq!(written["messages"][0], golden["messages"][0]);
    assert_eq!(written["messages"].as_array().unwrap().len(), 4);
}
