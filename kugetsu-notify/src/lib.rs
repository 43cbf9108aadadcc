//! Brings notices to people: a command, a webhook, Telegram.
//!
//! Each of them is a [`Notifier`](kugetsu_core::Notifier) for one sink. None of them repeats what
//! failed or keeps what is to come: whoever brings the notices reads the event log from a cursor,
//! so that a sink which is slow or dead costs nobody else anything. An error says by its
//! [`retry`](kugetsu_core::NotifyError::retry) what to do: a notice that was refused is not brought
//! again; anything else is the sink's own fault, and the same notice is tried again later.
//!
//! * [`CommandNotifier`] runs a program with the notice on its standard input.
//! * [`WebhookNotifier`] posts the notice, signed as Standard Webhooks describe it.
//! * [`TelegramNotifier`] writes it into chats; with [`Bot::updates`] and [`Update::asked`] a chat
//!   can ask something back.
//! * [`Routed`] passes on only some notices to another notifier.
//!
//! No secret of a sink is shown: [`Secret`] has neither `Debug` nor `Display`, and no error names
//! more of an address than its scheme, host and port.

#![warn(missing_docs, unreachable_pub)]

mod command;
mod http;
mod routed;
mod secret;
pub mod telegram;
mod webhook;

pub use command::CommandNotifier;
pub use http::{BadAddress, origin};
pub use routed::{Route, Routed};
pub use secret::Secret;
pub use telegram::{Asked, Bot, ChatId, Command, TelegramNotifier, Update};
pub use webhook::{BadSecret, SigningKey, WebhookNotifier};

/// What the package's page says compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
