//! References to issues, parsed once at the edge.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest component of a reference, in bytes: it becomes a file name with something added.
const MAX_COMPONENT: usize = 200;
/// The longest reference, in bytes.
const MAX_REFERENCE: usize = 1000;
/// The longest stem, in bytes: a file name may have 255.
const MAX_STEM: usize = 180;

/// An issue: `github.com/acme/widgets#42`.
///
/// Whatever it is made from, no part of it can leave a directory, look like an option, or hide
/// characters: each component is made of ASCII letters, digits, `.`, `_` and `-`, and starts with a
/// letter, a digit or `_`. What it shows it also reads: `text.parse::<IssueRef>()?.to_string()` is
/// the canonical form of `text`, and parsing that changes nothing.
///
/// ```
/// use kugetsu_core::IssueRef;
///
/// let issue: IssueRef = "https://github.com/acme/widgets/issues/42".parse()?;
/// assert_eq!(issue.to_string(), "github.com/acme/widgets#42");
/// assert_eq!(issue.stem(), "github.com-acme-widgets-42");
/// assert_eq!(IssueRef::parse("acme/widgets#42", Some("github.com"))?, issue);
/// # Ok::<(), kugetsu_core::InvalidIssueRef>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct IssueRef {
    repository: RepoRef,
    number: u64,
}

/// A repository on a git server: `github.com/acme/widgets`. Its owner may have several components,
/// as sub-groups in GitLab have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepoRef {
    host: String,
    owner: String,
    name: String,
}

/// Why a text is no reference to an issue or a repository.
///
/// Made by whatever reads a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no issue reference: {why}")]
#[non_exhaustive]
pub struct InvalidIssueRef {
    /// The text, cut to 80 characters and without what an address has in front of an `@`.
    pub text: String,
    /// What is wrong, and what is right.
    pub why: String,
}

impl IssueRef {
    /// Issue `number` of `repository`; `None` if the number is 0.
    pub fn new(repository: RepoRef, number: u64) -> Option<Self> {
        (number > 0).then_some(Self { repository, number })
    }

    /// Reads a reference. Understood are
    /// `https://host/owner/repo/issues/7` (also without the scheme, with GitLab's `/-/`, and with a
    /// query or fragment behind), `host/owner/repo#7` and, on `default_server`, `owner/repo#7`.
    /// Owners may have several components. The first component is a host if it has a dot or a port
    /// or is `localhost`.
    pub fn parse(text: &str, default_server: Option<&str>) -> Result<Self, InvalidIssueRef> {
        parse(text, default_server).map_err(|why| InvalidIssueRef::new(text, why))
    }

    /// The repository that the issue belongs to.
    pub fn repository(&self) -> &RepoRef {
        &self.repository
    }

    /// The issue's number, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The issue's name as a file name: `github.com-acme-widgets-42`.
    ///
    /// Different references have different stems, also on file systems that ignore case: where the
    /// plain form could belong to two references, a hash is added. At most 180 bytes.
    pub fn stem(&self) -> String {
        let RepoRef { host, owner, name } = &self.repository;
        let plain = format!("{host}-{owner}-{name}-{}", self.number).replace(['/', ':'], "-");
        // With dashes inside a component, or with letters that another reference has in another
        // case, the plain form is not this reference's alone.
        let ours_alone = ![host, owner, name]
            .iter()
            .any(|part| part.contains(['-', ':']) || part.bytes().any(|b| b.is_ascii_uppercase()));
        if ours_alone && plain.len() <= MAX_STEM {
            return plain;
        }
        // A plain stem ends in digits, this one in `-x…`: the two kinds cannot meet.
        let hash = fnv1a(self.to_string().as_bytes());
        let room = MAX_STEM - 18;
        format!("{}-x{hash:016x}", plain.get(..room).unwrap_or(&plain).to_ascii_lowercase())
    }

    /// The issue's own branch: `fix/issue-42`.
    pub fn branch(&self) -> String {
        format!("fix/issue-{}", self.number)
    }
}

impl RepoRef {
    /// Reads `host/owner/repo`, or `owner/repo` on `default_server`.
    pub fn parse(text: &str, default_server: Option<&str>) -> Result<Self, InvalidIssueRef> {
        let read = || {
            check_characters(text)?;
            let path = strip_scheme(text)?.trim_end_matches('/');
            repository(&path.split('/').collect::<Vec<_>>(), default_server)
        };
        read().map_err(|why: String| InvalidIssueRef::new(text, why))
    }

    /// The server, in lower case, with its port if one was given.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Who owns it; components are separated by `/`.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The repository's own name, without `.git`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl InvalidIssueRef {
    pub(crate) fn new(text: &str, why: impl Into<String>) -> Self {
        Self { text: shown(text), why: why.into() }
    }
}

/// The beginning of a text, without the user and the password of an address.
fn shown(text: &str) -> String {
    let short = |text: &str| text.chars().take(80).collect();
    let Some((front, rest)) = text.split_once("://") else { return short(text) };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => short(&format!("{front}://…{}", &rest[at..])),
        None => short(text),
    }
}

impl fmt::Display for IssueRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.repository, self.number)
    }
}

impl fmt::Display for RepoRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.host, self.owner, self.name)
    }
}

macro_rules! text_form {
    ($name:ident) => {
        impl FromStr for $name {
            type Err = InvalidIssueRef;

            /// As [`parse`](Self::parse) without a default server.
            fn from_str(text: &str) -> Result<Self, InvalidIssueRef> {
                Self::parse(text, None)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidIssueRef;

            fn try_from(text: String) -> Result<Self, InvalidIssueRef> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(reference: $name) -> String {
                reference.to_string()
            }
        }
    };
}

text_form!(IssueRef);
text_form!(RepoRef);

const FORMS: &str =
    "write it as https://host/owner/repo/issues/7, host/owner/repo#7 or owner/repo#7";

fn parse(text: &str, default_server: Option<&str>) -> Result<IssueRef, String> {
    check_characters(text)?;
    let rest = strip_scheme(text)?;
    let had_scheme = rest.len() != text.len();
    if let Some((path, number)) = address(rest)? {
        return build(&path, None, number);
    }
    if had_scheme {
        return Err(format!("the address is not that of an issue; {FORMS}"));
    }
    let Some((path, number)) = rest.split_once('#') else {
        return Err(format!("it has no `#` with a number; {FORMS}"));
    };
    if path.is_empty() {
        return Err(format!("the repository is missing; {FORMS}"));
    }
    build(&path.split('/').collect::<Vec<_>>(), default_server, number)
}

fn build(path: &[&str], server: Option<&str>, number: &str) -> Result<IssueRef, String> {
    let repository = repository(path, server)?;
    Ok(IssueRef { repository, number: issue_number(number)? })
}

/// The components and the number of `host/owner/repo/issues/7`, if it is of that form.
fn address(text: &str) -> Result<Option<(Vec<&str>, &str)>, String> {
    let path = text.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let parts: Vec<&str> = path.split('/').collect();
    let [front @ .., kind, number] = parts.as_slice() else { return Ok(None) };
    if !number.bytes().all(|b| b.is_ascii_digit()) || front.len() < 3 {
        return Ok(None);
    }
    let front = front.strip_suffix(&["-"]).unwrap_or(front);
    match *kind {
        "issues" | "work_items" => Ok(Some((front.to_vec(), number))),
        "pull" | "pulls" | "merge_requests" => {
            Err("this is the address of a pull request; give the issue that it is for".into())
        }
        _ => Ok(None),
    }
}

fn repository(parts: &[&str], default_server: Option<&str>) -> Result<RepoRef, String> {
    let (host, path) = match parts {
        [host, path @ ..] if path.len() >= 2 && looks_like_host(host) => (*host, path),
        [host, _] if default_server.is_some_and(|d| d.eq_ignore_ascii_case(host)) => {
            return Err(format!("the repository's owner is missing; {FORMS}"));
        }
        path => match default_server {
            Some(server) => (server, path),
            None if path.len() < 2 => return Err(format!("the owner is missing; {FORMS}")),
            None => {
                return Err(format!(
                    "it names no server (a name with a dot or a port, such as github.com), and there is \
                     no default one; write host/{}",
                    path.join("/")
                ));
            }
        },
    };
    let [owner @ .., name] = path else { return Err(FORMS.into()) };
    if owner.is_empty() {
        return Err(format!("the repository's owner is missing; {FORMS}"));
    }
    let name = name.strip_suffix(".git").unwrap_or(name);
    for part in owner.iter().chain([&name]) {
        component(part)?;
    }
    Ok(RepoRef { host: check_host(host)?, owner: owner.join("/"), name: name.to_owned() })
}

fn issue_number(text: &str) -> Result<u64, String> {
    let plain =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if !plain {
        return Err(format!("{text:?} is no issue number: digits are needed, not starting with 0"));
    }
    text.parse().map_err(|_| format!("the issue number {text} is too large"))
}

fn component(part: &str) -> Result<(), String> {
    let first = part.bytes().next();
    let fault = if part.is_empty() {
        "a part of it is empty"
    } else if part.len() > MAX_COMPONENT {
        return Err(format!(
            "a part of it is {} bytes long; at most {MAX_COMPONENT} are allowed",
            part.len()
        ));
    } else if first.is_some_and(|b| matches!(b, b'-' | b'.')) {
        "a part of it starts with `-` or `.`"
    } else if !part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        "only letters, digits, `.`, `_` and `-` are allowed in owner and repository"
    } else if part.ends_with('.') || has_suffix(part, ".lock") || has_suffix(part, ".git") {
        "a part of it ends with `.`, `.lock` or `.git`, which git keeps for itself"
    } else {
        return Ok(());
    };
    Err(fault.into())
}

fn has_suffix(part: &str, suffix: &str) -> bool {
    part.len() >= suffix.len()
        && part.as_bytes()[part.len() - suffix.len()..].eq_ignore_ascii_case(suffix.as_bytes())
}

fn looks_like_host(text: &str) -> bool {
    text.contains(['.', ':']) || text.eq_ignore_ascii_case("localhost")
}

fn check_host(text: &str) -> Result<String, String> {
    let host = text.to_ascii_lowercase();
    let (name, port) = match host.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host.as_str(), None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if name.len() > MAX_COMPONENT || !name.split('.').all(label) || !looks_like_host(&host) {
        return Err(format!("{text:?} is no server's name with a dot or a port"));
    }
    let port_is_fine = port.is_none_or(|port| {
        !port.starts_with('0')
            && port.bytes().all(|b| b.is_ascii_digit())
            && port.parse::<u16>().is_ok()
    });
    if !port_is_fine {
        return Err(format!("{text:?} has no port between 1 and 65535"));
    }
    Ok(host)
}

fn check_characters(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("it is empty; {FORMS}"));
    }
    if text.len() > MAX_REFERENCE {
        return Err(format!(
            "it is {} bytes long; at most {MAX_REFERENCE} are allowed",
            text.len()
        ));
    }
    if text.starts_with('-') {
        return Err("it starts with `-`, like an option".into());
    }
    match text.chars().find(|c| !c.is_ascii_graphic()) {
        Some(c) => Err(format!("the character U+{:04X} is not allowed in it", u32::from(c))),
        None => Ok(()),
    }
}

/// The text behind `https://` or `http://`; other schemes and user names are refused.
fn strip_scheme(text: &str) -> Result<&str, String> {
    let Some((scheme, rest)) = text.split_once("://") else { return Ok(text) };
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return Err(format!("an issue's address starts with https://, not with {scheme}://"));
    }
    if rest.split('/').next().is_some_and(|host| host.contains('@')) {
        return Err("an issue's address has no user name or password in it".into());
    }
    Ok(rest)
}

/// FNV-1a, 64 bits (offset basis and prime as its authors publish them). Names need a hash that
/// stays the same for ever, not a secret one.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
