//! Issues and pull requests on GitHub, Gitea, Forgejo and GitLab.
//!
//! A [`ForgeClient`] is an [`IssueTracker`](kugetsu_core::IssueTracker) and a
//! [`Forge`](kugetsu_core::Forge) for one server. Which of the three it speaks is its [`ForgeKind`];
//! whoever does not know asks the server with [`ForgeKind::detect`].
//!
//! ```no_run
//! use kugetsu_core::IssueTracker as _;
//! use kugetsu_forge::{ForgeClient, ForgeKind, Token};
//!
//! # async fn read() -> Result<(), Box<dyn std::error::Error>> {
//! let token = std::env::var("GITHUB_TOKEN").ok().map(|text| Token::new(&text));
//! let github = ForgeClient::new(ForgeKind::GitHub, "https://github.com", token)?;
//! let issue = github.fetch(&"github.com/acme/widgets#42".parse()?).await?;
//! println!("{}: {} comments", issue.title, issue.comments.len());
//! # Ok(())
//! # }
//! ```
//!
//! # Promises
//!
//! * A token goes to its own server's API and nowhere else: redirections are not followed, and a list
//!   that goes on outside of the API is not read on. It stands in no error and in no `Debug`.
//! * Nothing is asked while the server has said to wait: [`ForgeError::Limited`] is answered at once.
//! * What writes is sent once. If its answer is lost, what it would have written is looked for, and
//!   the next call looks again before it writes.
//! * Every request and every call has a time limit, every answer a largest size and every list a
//!   largest length.
//!
//! [`ForgeError::Limited`]: kugetsu_core::ForgeError::Limited

#![warn(missing_docs, unreachable_pub)]

mod answer;
mod ask;
mod client;
mod detect;
mod http;
mod kind;
mod mark;
mod token;
mod wire;

pub use client::ForgeClient;
pub use http::BadServer;
pub use kind::ForgeKind;
pub use token::Token;

/// What the package's page says compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
