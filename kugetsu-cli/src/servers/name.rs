//! What servers are called, and the variables that hold their tokens.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::is_host;
use crate::env_files;

/// The longest name.
const LONGEST: usize = 200;

/// What a server is called: a host as references have it, or a short name such as `github`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether references can have it as their host.
    pub(crate) fn is_host(&self) -> bool {
        is_host(&self.0)
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.to_ascii_lowercase();
        let is_short = name.len() <= LONGEST
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if is_short || is_host(&name) {
            return Ok(Self(name));
        }
        let shown: String = text.chars().take(80).collect();
        // An address where a name belongs may have a password in it.
        let shown = if shown.contains(['@', '/']) { String::new() } else { format!("{shown:?}: ") };
        Err(format!(
            "{shown}a server's name is a host such as git.example.com or git.example.com:3000, or a \
             short name of letters, digits, `-` and `_`"
        ))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a variable that holds a token.
///
/// It says by itself that it holds a secret, so that its value is masked wherever it turns up; and
/// it is written in capitals, so that nobody gives the token itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct TokenVariable(String);

impl TokenVariable {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TokenVariable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = text.len() <= LONGEST
            && text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if is_name && env_files::is_secret(text) {
            return Ok(Self(text.to_owned()));
        }
        // It is not shown: it may be a token.
        Err("this is the name of the variable that holds the token, in capitals and with TOKEN, \
             SECRET, PASSWORD or API_KEY in it, such as WORK_TOKEN; never the token itself"
            .into())
    }
}

macro_rules! text_form {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(named: $name) -> Self {
                named.0
            }
        }
    };
}

text_form!(Name);
text_form!(TokenVariable);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_host_or_a_short_name() {
        for (text, is_host) in [
            ("github", Some(false)),
            ("my_git-2", Some(false)),
            ("GitHub.com", Some(true)),
            ("localhost", Some(true)),
            ("localhost:3000", Some(true)),
            ("git.example.com:22", Some(true)),
            ("", None),
            ("-x", None),
            ("_x", None),
            ("..", None),
            ("a/b", None),
            ("a.b/c", None),
            ("a b", None),
            ("git.example.com:0", None),
            ("ü", None),
            ("https://github.com", None),
        ] {
            let name: Result<Name, String> = text.parse();
            assert_eq!(name.ok().map(|name| name.is_host()), is_host, "{text}");
        }
        let told = "https://me:hunter2@a.example".parse::<Name>().unwrap_err();
        assert!(!told.contains("hunter2"), "{told}");
    }

    #[test]
    fn a_token_is_no_name_of_a_variable_and_is_not_shown() {
        for good in ["GITHUB_TOKEN", "WORK_PASSWORD", "_API_KEY2"] {
            assert!(good.parse::<TokenVariable>().is_ok(), "{good}");
        }
        for bad in ["ghp_abcTOKEN", "glpat-hunter2", "WORK", "A TOKEN", "2TOKEN", "TOKEN=x", ""] {
            let told = bad.parse::<TokenVariable>().unwrap_err();
            assert!(bad.len() < 7 || !told.contains(bad), "{told}");
        }
    }
}
