//! A program as an agent: what it is told, and what becomes of what it does.

use std::fs::{self, File};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::agent::{AgentError, AgentEvent, AgentRun, Finish, Role, RunRequest, Stop};
use kugetsu_core::slot::{Slot, SlotGuard, SlotKey};
use kugetsu_core::{AgentCapabilities, AgentId, AgentRunner as _, Conversation, Retry};
use kugetsu_guard::{Environment, GuardProgram};
use kugetsu_plugin::{CommandAgent, CommandConfig, Output};
use rustix::fs::FlockOperation;
use tempfile::TempDir;
use tokio_stream::StreamExt as _;

use crate::world::AGENT;

/// Far more than anything here takes; nothing waits for it but a failing test.
pub(crate) const BOUND: Duration = Duration::from_mins(2);

/// A place for a shell script that is an agent.
struct Fixture {
    place: TempDir,
    work: PathBuf,
}

/// All that a run told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) events: Vec<AgentEvent>,
    pub(crate) end: Result<Finish, AgentError>,
}

impl Fixture {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let work = place.path().canonicalize().unwrap().join("work");
        fs::create_dir(&work).unwrap();
        Self { place, work }
    }

    fn config(&self, script: &str) -> CommandConfig {
        let state = self.place.path().join("state");
        CommandConfig::new(AgentId::new("command:sh").unwrap(), "/bin/sh", state)
            .with_args(["-c", script])
            .with_guard(GuardProgram::at(AGENT))
    }

    fn request(&self) -> RunRequest {
        RunRequest::new(&self.work, "a message")
    }

    async fn told(&self, config: CommandConfig) -> Told {
        read(CommandAgent::new(config).start(self.request()).await.unwrap()).await
    }

    /// Nothing of any tree is on record any more.
    fn assert_quiet(&self) {
        for name in ["trees", "tmp"] {
            let left = fs::read_dir(self.place.path().join("state").join(name)).unwrap().count();
            assert_eq!(left, 0, "{name}");
        }
    }
}

pub(crate) async fn read(mut run: AgentRun) -> Told {
    let read = async {
        let mut events = Vec::new();
        loop {
            match run.events.next().await.expect("the run has no end") {
                Ok(AgentEvent::Finished(finish)) => return Told { events, end: Ok(finish) },
                Ok(event) => events.push(event),
                Err(error) => return Told { events, end: Err(error) },
            }
        }
    };
    tokio::time::timeout(BOUND, read).await.expect("the run does not end")
}

/// Reads until the agent has said this.
async fn said(run: &mut AgentRun, wanted: &str) {
    let mut said = String::new();
    while !said.contains(wanted) {
        let next = tokio::time::timeout(BOUND, run.events.next()).await.expect("nothing is said");
        match next {
            Some(Ok(AgentEvent::Message { text })) => said += &text,
            Some(Ok(AgentEvent::SessionStarted { .. })) => {}
            other => panic!("instead of {wanted:?} there was {other:?} after {said:?}"),
        }
    }
}

impl Told {
    pub(crate) fn said(&self) -> String {
        let texts = self.events.iter().filter_map(|event| match event {
            AgentEvent::Message { text } => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    pub(crate) fn failure(&self) -> (&str, Retry) {
        match &self.end {
            Ok(Finish::Failed { failure }) => (&failure.reason, failure.retry),
            other => panic!("instead of a failure there was {other:?}: {:?}", self.events),
        }
    }

    pub(crate) fn assert_done(&self) {
        assert!(matches!(self.end, Ok(Finish::Done)), "{self:?}");
    }
}

#[tokio::test]
async fn a_program_is_told_what_it_is_for_and_has_the_message_on_its_input() {
    let fixture = Fixture::new();
    let script = r#"
        for name in ROLE SESSION ORIGIN TITLE; do eval "echo $name \"\${KUGETSU_AGENT_$name-none}\""; done
        echo "$KUGETSU_CONVERSATION $GIVEN ${NOTIFY_SOCKET-none} $KUGETSU_TREE"; pwd; cat; echo; echo $#
    "#;
    let environment = Environment::new().with("GIVEN", "too").with("NOTIFY_SOCKET", "/run/x");
    let config = fixture
        .config(script)
        .with_capabilities(AgentCapabilities::default().with_resume().with_fork())
        .with_environment(environment)
        .with_label("dev of tests");
    let agent = CommandAgent::new(config);
    let request = fixture.request().with_title("A \"title\"\n");
    let told = read(agent.start(request).await.unwrap()).await;
    told.assert_done();
    let Some(AgentEvent::SessionStarted { session }) = told.events.first() else {
        panic!("the session does not come first: {told:?}")
    };
    let work = fixture.work.display();
    let wanted = format!(
        "ROLE dev\nSESSION {session}\nORIGIN none\nTITLE A \"title\"\n\nfresh too none dev of tests\n\
         {work}\na message\n0\n"
    );
    assert_eq!(told.said(), wanted);

    for (conversation, word) in [
        (Conversation::Resume(session.clone()), "resume too"),
        (Conversation::Fork(session.clone()), "fork too"),
    ] {
        let request = fixture.request().with_conversation(conversation.clone());
        let said = read(agent.start(request).await.unwrap()).await.said();
        let is_same = said.contains(&format!("SESSION {session}\n"));
        let has_origin = said.contains(&format!("ORIGIN {session}\n"));
        let is_fork = matches!(conversation, Conversation::Fork(_));
        assert!(said.contains(word) && said.contains("TITLE none"), "{said}");
        assert_eq!((is_same, has_origin), (!is_fork, is_fork), "{said}");
    }
    fixture.assert_quiet();
}

#[tokio::test]
async fn a_pm_is_refused_unless_it_is_said_that_the_program_keeps_it() {
    let fixture = Fixture::new();
    let config = fixture.config("echo $KUGETSU_AGENT_ROLE");
    let request = || fixture.request().with_role(Role::Pm);
    let refused = CommandAgent::new(config.clone()).start(request()).await.unwrap_err();
    assert!(matches!(refused, AgentError::Unsupported { .. }), "{refused:?}");
    let run = CommandAgent::new(config.with_pm(true)).start(request()).await.unwrap();
    assert_eq!(read(run).await.said(), "pm\n");
}

#[tokio::test]
async fn what_cannot_be_started_is_told_before_anything_is() {
    let fixture = Fixture::new();
    let config = fixture.config("echo here");
    let not_executable = fixture.work.join("file");
    File::create(&not_executable).unwrap();
    for program in [Path::new("/nowhere/agent"), Path::new("no-such-agent"), &not_executable] {
        let mut config = config.clone();
        config.program = program.to_owned();
        let agent = CommandAgent::new(config);
        for error in
            [agent.probe().await.unwrap_err(), agent.start(fixture.request()).await.unwrap_err()]
        {
            assert!(matches!(error, AgentError::Missing { .. }), "{error:?}");
            assert!(error.to_string().contains(program.to_str().unwrap()), "{error}");
        }
    }
    let agent = CommandAgent::new(config.with_guard(GuardProgram::at("/nowhere/guard")));
    assert!(agent.probe().await.unwrap().trouble.unwrap().contains("/nowhere/guard"));
    let error = agent.start(fixture.request()).await.unwrap_err();
    assert!(matches!(error, AgentError::Missing { .. }), "{error:?}");
}

#[tokio::test]
async fn a_status_is_a_failure_with_the_programs_last_words() {
    let fixture = Fixture::new();
    let script = "echo half; for i in 1 2 3 4 5 6; do echo why $i >&2; done; exit 3";
    let told = fixture.told(fixture.config(script)).await;
    let reason = "command:sh ended with status 3: why 3 / why 4 / why 5 / why 6";
    assert_eq!((told.failure(), &*told.said()), ((reason, Retry::Later), "half\n"));
    let told = fixture.told(fixture.config("echo no key >&2; exit 78")).await;
    assert_eq!(told.failure(), ("command:sh ended with status 78: no key", Retry::Never));
    let told = fixture.told(fixture.config("echo half; kill -9 $$")).await;
    assert!(matches!(&told.end, Err(AgentError::Died { detail, .. }) if detail == "signal 9"));
    fixture.assert_quiet();
}

#[tokio::test]
async fn what_a_program_leaves_running_ends_with_its_turn() {
    let fixture = Fixture::new();
    let script = "(setsid sleep 1000 &); sleep 1000 & echo done";
    fixture.told(fixture.config(script)).await.assert_done();
    fixture.assert_quiet();
}

#[tokio::test]
async fn who_has_said_its_last_word_and_lives_on_is_ended() {
    let fixture = Fixture::new();
    let script = r#"
        echo '{"type":"message","data":{"text":"hi"}}'
        echo '{"type":"finished","data":{"how":"done"}}'
        exec sleep 1000"#;
    let config = fixture.config(script).with_output(Output::Json).with_linger(Duration::ZERO);
    fixture.told(config).await.assert_done();
    fixture.assert_quiet();
}

#[tokio::test]
async fn who_writes_without_end_waits_for_its_reader_and_is_stopped() {
    let fixture = Fixture::new();
    let config = fixture.config("while :; do echo more; done");
    for how in [Stop::Politely, Stop::Now] {
        let mut run = CommandAgent::new(config.clone()).start(fixture.request()).await.unwrap();
        said(&mut run, "more").await;
        run.control.stop(how).await.unwrap();
        let told = read(run).await;
        assert!(matches!(told.end, Ok(Finish::Stopped)), "{told:?}");
        // What waited to be read, and no more.
        assert!(told.events.len() <= 64, "{}", told.events.len());
    }
    let line = "head -c 2000000 /dev/zero | tr '\\0' x";
    let told = fixture.told(fixture.config(line).with_output(Output::Json)).await;
    let (reason, retry) = told.failure();
    assert!(reason.contains("line 1 of what command:sh writes is longer than"), "{reason}");
    assert_eq!(retry, Retry::Never);
    fixture.assert_quiet();
}

#[tokio::test]
async fn who_closes_its_output_works_on_and_ends_by_its_own_status() {
    let fixture = Fixture::new();
    let script = "echo hello; exec >&-; until [ -e go ]; do :; done; echo worked > done; exit 78";
    let mut run = CommandAgent::new(fixture.config(script)).start(fixture.request()).await.unwrap();
    said(&mut run, "hello").await;
    File::create(fixture.work.join("go")).unwrap();
    let told = read(run).await;
    assert_eq!(told.failure(), ("command:sh ended with status 78", Retry::Never));
    assert!(fixture.work.join("done").exists());

    let script = "echo hello; exec >&-; exec sleep 1000";
    let mut run = CommandAgent::new(fixture.config(script)).start(fixture.request()).await.unwrap();
    said(&mut run, "hello").await;
    run.control.stop(Stop::Politely).await.unwrap();
    assert!(matches!(read(run).await.end, Ok(Finish::Stopped)));
    fixture.assert_quiet();
}

#[tokio::test]
async fn what_follows_the_last_word_is_not_heard_however_long_it_is() {
    let fixture = Fixture::new();
    let script = r#"
        echo '{"type":"message","data":{"text":"hi"}}'
        echo '{"type":"finished","data":{"how":"done"}}'
        head -c 3000000 /dev/zero | tr '\0' x"#;
    fixture.told(fixture.config(script).with_output(Output::Json)).await.assert_done();
    fixture.assert_quiet();
}

#[tokio::test]
async fn who_is_stopped_politely_may_say_goodbye_and_by_force_may_not() {
    let fixture = Fixture::new();
    let script =
        "trap 'echo bye > bye; exit 0' TERM; echo ready; while :; do sleep 1000 & wait $!; done";
    let stubborn = "trap '' TERM; trap 'echo asked' USR1; echo ready; while :; do sleep 1000; done";
    let agent = |script| CommandAgent::new(fixture.config(script).with_grace(BOUND * 100));
    let mut run = agent(script).start(fixture.request()).await.unwrap();
    said(&mut run, "ready").await;
    run.control.stop(Stop::Politely).await.unwrap();
    assert!(fixture.work.join("bye").exists());

    // Force also ends a politeness that leads to nothing.
    let mut run = agent(stubborn).start(fixture.request()).await.unwrap();
    said(&mut run, "ready").await;
    let control = Arc::clone(&run.control);
    let polite = tokio::spawn(async move { control.stop(Stop::Politely).await });
    tokio::task::yield_now().await;
    tokio::time::timeout(BOUND, run.control.stop(Stop::Now)).await.unwrap().unwrap();
    polite.await.unwrap().unwrap();
    fixture.assert_quiet();
}

#[derive(Debug)]
struct LockedFile(File);

impl SlotGuard for LockedFile {
    fn file(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

#[tokio::test]
async fn a_slots_lock_is_held_by_the_tree_itself() {
    let fixture = Fixture::new();
    let path = fixture.place.path().join("slot");
    let file = File::create(&path).unwrap();
    rustix::fs::flock(&file, FlockOperation::LockExclusive).unwrap();
    let slot = Slot::new(SlotKey::Dev, 0, Arc::new(LockedFile(file)));
    let config = fixture.config("echo ready; exec sleep 1000");
    let request = fixture.request().with_slots(vec![slot]);
    let mut run = CommandAgent::new(config).start(request).await.unwrap();
    said(&mut run, "ready").await;
    // The program's own descriptors, since ours would hold it, too.
    let trees = fs::read_dir(fixture.place.path().join("state/trees")).unwrap();
    let note = trees
        .map(|tree| tree.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "json"))
        .unwrap();
    let note: serde_json::Value = serde_json::from_slice(&fs::read(note).unwrap()).unwrap();
    let guard = i32::try_from(note["guard"]["pid"].as_i64().unwrap()).unwrap();
    let program = kugetsu_guard::proc::first_child(guard).unwrap();
    let held = fs::read_dir(format!("/proc/{}/fd", program.pid)).unwrap();
    let held = held.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
    assert!(held.into_iter().any(|held| held == path.canonicalize().unwrap()));
    run.control.stop(Stop::Now).await.unwrap();
    let other = File::open(&path).unwrap();
    rustix::fs::flock(&other, FlockOperation::NonBlockingLockExclusive).unwrap();
}

#[tokio::test]
async fn a_session_that_the_program_has_lost_is_unknown_from_then_on() {
    let fixture = Fixture::new();
    let script = "[ $KUGETSU_CONVERSATION = fresh ] || exit 66; echo hi";
    let config = fixture.config(script);
    let agent =
        CommandAgent::new(config.with_capabilities(AgentCapabilities::default().with_resume()));
    let first = read(agent.start(fixture.request()).await.unwrap()).await;
    let Some(AgentEvent::SessionStarted { session }) = first.events.first() else { panic!() };
    let resume = || fixture.request().with_conversation(Conversation::Resume(session.clone()));
    let told = read(agent.start(resume()).await.unwrap()).await;
    assert!(
        matches!(&told.end, Err(AgentError::UnknownSession { session: lost }) if lost == session)
    );
    let refused = agent.start(resume()).await.unwrap_err();
    assert!(matches!(refused, AgentError::UnknownSession { .. }), "{refused:?}");
}
