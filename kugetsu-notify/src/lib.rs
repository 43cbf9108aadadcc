//! Brings notices to people: a command, a webhook, Telegram.

#![warn(missing_docs, unreachable_pub)]
