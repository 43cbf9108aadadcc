//! A scripted model: an OpenAI-compatible server whose answers are written in the prompt.
//!
//! A real agent is pointed at it instead of a provider. It then does real work (it writes files,
//! runs commands, makes commits) without a network, at no cost, and the same way each time.
//!
//! # The script
//!
//! Each line of the **last user message** of the form `MODEL: <directive>` is a step; other lines
//! are ignored, and whitespace, quotation marks, `>`, `*` and `-` may stand before the marker.
//! Several steps may share a line: `MODEL: write a.txt hello ;; commit add a ;; say done it`.
//!
//! An agent asks the model once for each step. Step *k* is answered when *k* assistant messages
//! follow the user message, so the model keeps no memory of who is calling and serves any number
//! of agents at once.
//!
//! A script within a script (a PM whose command starts an agent with a script of its own) has one
//! semicolon more at each level: `;;;` reaches the inner script as `;;`.
//!
//! | directive | what the model answers |
//! |---|---|
//! | `say TEXT` | TEXT. Right before a tool call it goes into the same answer, else it ends the turn |
//! | `tool NAME JSON` | a call of the tool NAME with the arguments JSON, sent as they are even if broken |
//! | `also NAME JSON` | one more call in the same answer; `also` before a convenience below works too |
//! | `write PATH TEXT` | a call that writes TEXT and a newline to PATH, relative to the agent's directory |
//! | `edit PATH OLD => NEW` | a call that replaces OLD by NEW in PATH |
//! | `bash COMMAND` | a call that runs COMMAND in a shell |
//! | `commit MESSAGE` | a call that commits all changes |
//! | `ask PATH` | a call that reads PATH; outside the agent's directory that needs a permission |
//! | `question TEXT` | a call of the question tool, with the choices Yes and No |
//! | `echo` | `bytes=N fnv1a=HEX` of the last user message (64-bit FNV-1a) |
//! | `history` | `users=N assistants=N tools=N first=TEXT earlier=TEXT \| TEXT`: what the conversation holds, each text cut at 60 characters; `earlier` are the user messages before the last |
//! | `think TEXT` | reasoning TEXT and an empty answer |
//! | `stream N MS` | N words, one every MS milliseconds: slow but alive |
//! | `flood BYTES` | BYTES bytes of text, in chunks of 1 KiB |
//! | `unfinished` | half an answer whose stream ends in order, but with no finish reason |
//! | `http CODE [TIMES [RETRY_AFTER]]` | the HTTP status CODE |
//! | `hang [TIMES]` | nothing, until the caller goes away |
//! | `hangmid [TIMES]` | one word, then nothing |
//! | `reset [TIMES]` | a connection reset instead of an answer |
//! | `cut [TIMES]` | half an answer, then the connection breaks |
//! | `garbage [TIMES]` | a stream that is not JSON |
//!
//! The last six are failures. A failure is no step, since it leaves no assistant message behind:
//! it happens TIMES times in this turn of this session and is then passed over. Without TIMES it
//! happens for ever.
//!
//! Modifiers change the next directive, and several may be combined:
//!
//! | modifier | what it does |
//! |---|---|
//! | `gate NAME` | answers only once [`ScriptedModel::open`] (or `POST /gate/NAME`) has opened the gate |
//! | `until NAME` | changes a failure: it happens no more once that gate is open |
//! | `sleep SECONDS` | waits before answering; fractions are allowed |
//! | `usage IN OUT` | the token usage reported |
//! | `finish REASON` | the finish reason reported, such as `length` |
//!
//! In the texts of `say`, `think`, `write` and `edit`, `\n`, `\t` and `\\` are a newline, a tab
//! and a backslash. A script that is used up answers `done`, a message without a script gets a
//! short friendly answer, and a request for a session title gets `Scripted title`. A directive
//! that cannot be read is answered with HTTP 400 and the reason, so that a mistake in a test
//! fails at once.
//!
//! # Endpoints
//!
//! `POST /v1/chat/completions` (streaming or not), `GET /v1/models`, `POST /gate/NAME`, and
//! `GET /health`, which counts: `{"ok":true,"requests":…,"in_flight":…,"most_in_flight":…}`.

mod answer;
mod call;
mod conversation;
#[cfg(feature = "model")]
mod play;
mod record;
mod script;
#[cfg(feature = "model")]
mod serve;
#[cfg(feature = "model")]
mod server;
mod stage;
mod voice;
#[cfg(feature = "model")]
mod wire;

#[cfg(feature = "model")]
pub use conversation::{Message, Role};
#[cfg(not(feature = "model"))]
pub(crate) use conversation::{Message, Role};
#[cfg(feature = "model")]
pub use record::{Ended, Recorded};
#[cfg(feature = "model")]
pub use server::ScriptedModel;
pub(crate) use voice::{Reply, Voice};
