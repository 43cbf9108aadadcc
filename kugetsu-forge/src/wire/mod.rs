//! What the three APIs look like, as far as it is used.

pub(crate) mod hub;
pub(crate) mod lab;

use kugetsu_core::forge::ForgeError;
use kugetsu_core::{RepoRef, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::ask::Asker;

/// The most people whose association is asked for, for one issue; those beyond are strangers.
const PEOPLE: usize = 50;

/// The time in a document, or 1970 if it is none.
fn time(text: Option<&str>) -> Timestamp {
    let time = text.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let millis = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
    Timestamp::from_millis(millis.unwrap_or(0))
}

/// What needs no encoding anywhere (RFC 3986) stays.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text as a part of a path or a query.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The repository's owner as the API knows it: a server below a path of its host stands with that
/// path in references.
fn owner<'a>(asker: &Asker, repository: &'a RepoRef) -> &'a str {
    let owner = repository.owner();
    match owner.strip_prefix(asker.below.as_str()).and_then(|rest| rest.strip_prefix('/')) {
        Some(rest) if !asker.below.is_empty() => rest,
        _ => owner,
    }
}

fn not_found(what: &str) -> ForgeError {
    ForgeError::NotFound { what: what.to_owned() }
}
