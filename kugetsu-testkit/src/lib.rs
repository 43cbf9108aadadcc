//! kugetsu's promises as reusable tests, with fakes and a scripted model server.
//!
//! Who writes a backend of one of [kugetsu-core](kugetsu_core)'s traits proves it right with a
//! [`suite`]; who writes something that stands on backends tests it with the [fakes](fake).
//!
//! ```toml
//! [dependencies]
//! kugetsu-core = "0.1"
//! async-trait = "0.1"
//!
//! [dev-dependencies]
//! kugetsu-testkit = "0.1"
//! serde_json = "1"
//! tempfile = "3"
//! ```
//!
//! # A notifier, from nothing to proven
//!
//! The suite has to know two things: how to open your backend, and what came of it. Both stand in a
//! *fixture*, which is one place of your backend, empty at first, such as a temporary directory.
//! The macro makes one `#[test]` of each promise, named like it, each with a fixture of its own.
//!
//! ```
//! use std::fs;
//! use std::io::{self, Write};
//! use std::path::PathBuf;
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use kugetsu_core::{Notice, Notifier, NotifyError};
//! use kugetsu_testkit::suite::NotifierFixture;
//!
//! /// Keeps each notice as a whole file, named by its key: one that comes again changes nothing.
//! #[derive(Debug)]
//! struct Files(PathBuf);
//!
//! #[async_trait]
//! impl Notifier for Files {
//!     fn name(&self) -> &str {
//!         "files"
//!     }
//!
//!     async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
//!         let written = || -> io::Result<()> {
//!             let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
//!             file.write_all(&serde_json::to_vec(notice)?)?;
//!             file.as_file().sync_all()?;
//!             file.persist(self.0.join(&notice.key))?;
//!             Ok(())
//!         };
//!         written().map_err(|error| NotifyError::Backend {
//!             who: "files".into(),
//!             operation: "keep a notice".into(),
//!             retry: kugetsu_core::Retry::Later,
//!             source: error.into(),
//!         })
//!     }
//! }
//!
//! struct Place(tempfile::TempDir);
//!
//! #[async_trait]
//! impl NotifierFixture for Place {
//!     // Every call is another process that opens the same place.
//!     async fn open(&self) -> Arc<dyn Notifier> {
//!         Arc::new(Files(self.0.path().to_owned()))
//!     }
//!
//!     // What is there now, in its order.
//!     async fn kept(&self) -> Vec<Notice> {
//!         let files = fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path());
//!         let read = |path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
//!         let mut notices: Vec<Notice> = files.map(read).collect();
//!         notices.sort_by_key(|notice| notice.key["event-".len()..].parse::<u64>().unwrap());
//!         notices
//!     }
//! }
//!
//! kugetsu_testkit::notifier_conformance!(Place(tempfile::tempdir().unwrap()));
//! # #[tokio::main]
//! # async fn main() {
//! #     use kugetsu_testkit::suite::{examine, notices::PROMISES};
//! #     let place = async || Box::new(Place(tempfile::tempdir().unwrap())) as Box<dyn NotifierFixture>;
//! #     let report = examine(PROMISES, place).await;
//! #     assert!(report.all_kept(), "{report}");
//! # }
//! ```
//!
//! `cargo test` then says, among other things, `notices_come_in_their_order ... ok`. A store, a pool of
//! slots or a provider of worktrees is tested the same way; the [table](suite) has each trait's
//! fixture and macro. What a suite cannot see from outside is what a crash leaves behind: kill a
//! process of yours in the middle of its work, and look.
//!
//! # A runner of agents
//!
//! Its suite tells the agent what to do, in messages, and looks at what it did. An agent that takes
//! any OpenAI-compatible server is pointed at the [scripted model](model), which finds what to answer
//! in the message (the feature `model`):
//!
//! ```no_run
//! # use std::path::PathBuf;
//! # use std::sync::Arc;
//! # use async_trait::async_trait;
//! # use kugetsu_core::AgentRunner;
//! # use tempfile::TempDir;
//! # fn my_runner(base_url: &str, home: &std::path::Path) -> Arc<dyn AgentRunner> { unimplemented!() }
//! use kugetsu_testkit::model::{Recorded, ScriptedModel};
//! use kugetsu_testkit::suite::AgentRunnerFixture;
//!
//! struct Stage {
//!     model: ScriptedModel,
//!     home: TempDir,
//! }
//!
//! #[async_trait]
//! impl AgentRunnerFixture for Stage {
//!     async fn runner(&self) -> Arc<dyn AgentRunner> {
//!         my_runner(&self.model.base_url(), self.home.path())
//!     }
//!
//!     async fn directory(&self) -> PathBuf {
//!         TempDir::new_in(self.home.path().canonicalize().unwrap()).unwrap().keep()
//!     }
//!
//!     async fn open(&self, gate: &str) {
//!         self.model.open(gate);
//!     }
//!
//!     async fn heard(&self) -> Vec<String> {
//!         self.model.requests().iter().map(|request| request.prompt().to_owned()).collect()
//!     }
//!
//!     async fn until_at_work(&self, turns: usize) {
//!         let at_work = |requests: &[Recorded]| {
//!             requests.iter().filter(|request| request.ended.is_none()).count() == turns
//!         };
//!         self.model.wait_for(at_work).await;
//!     }
//! }
//!
//! kugetsu_testkit::agent_runner_conformance!(Stage {
//!     model: ScriptedModel::start().await.unwrap(),
//!     home: tempfile::tempdir().unwrap(),
//! });
//! # fn main() {}
//! ```
//!
//! Any other agent is given a model, or a program in its place, that does each
//! [`Deed`](suite::Deed) when it is told so in words that the fixture's
//! [`message`](suite::AgentRunnerFixture::message) chooses.
//!
//! # What a backend cannot do
//!
//! A runner that says in its [capabilities](kugetsu_core::AgentCapabilities) that it cannot resume
//! has to refuse it; then the promises about resuming are none of its own. As tests they pass, and
//! a [`Report`](suite::Report), which [`examine`](suite::examine) makes for programs that check a
//! backend, says that they are not applicable, and why.
//!
//! # When a promise is not kept
//!
//! The test's name is the promise, and its panic says what was seen instead. `docs/promises.md` of
//! kugetsu's repository lists for each promise what backends do that break it, which is the quickest
//! way to what is wrong with yours. One that hangs is broken after three minutes.
//!
//! # Fakes
//!
//! For tests of what stands on backends. None waits for time to pass, and clones of one share all.
//!
//! | in place of | |
//! |---|---|
//! | an agent | [`FakeAgent`](fake::FakeAgent): does what its messages say, with real files and commands |
//! | worktrees | [`FakeWorktrees`](fake::FakeWorktrees), of a [`SampleRepository`](sandbox::SampleRepository) |
//! | a store | [`MemoryStore`](kugetsu_core::MemoryStore), and around it [`StrictStore`](fake::StrictStore), which panics at what no caller may do and fails when it is to |
//! | slots | [`MemorySlots`](kugetsu_core::MemorySlots) |
//! | a notifier | [`RecordingNotifier`](fake::RecordingNotifier) |
//! | time | [`ManualClock`](fake::ManualClock), moved by hand |
//! | chance | [`FixedChance`](fake::FixedChance), [`SeededChance`](fake::SeededChance) |
//! | a forge | [`FakeForge`](fake::FakeForge), with the API of GitHub, Gitea or GitLab (the feature `forge`) |
//! | a model | [`ScriptedModel`](model::ScriptedModel), for real agents (the feature `model`) |
//!
//! # Features
//!
//! None is on by default: the suites, but for that of forges, and the fakes of core's traits need no
//! HTTP server.
//!
//! | feature | brings | by default |
//! |---|---|---|
//! | `model` | [`ScriptedModel`](model::ScriptedModel), its program `kugetsu-model`, and [`OpencodeSandbox`](sandbox::OpencodeSandbox), a home for a real opencode | |
//! | `forge` | [`FakeForge`](fake::FakeForge) and [`forge_conformance!`](forge_conformance) | |
//! | `telegram` | a fake of Telegram's Bot API for kugetsu's own tests, which may change at any time | |

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs, unreachable_pub)]

pub mod fake;
#[cfg_attr(
    not(feature = "model"),
    allow(
        dead_code,
        unreachable_pub,
        reason = "the fake agent speaks what the model does, without its server"
    )
)]
pub mod model;
pub mod sandbox;
pub mod suite;

/// What the package's page says compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
