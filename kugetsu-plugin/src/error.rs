//! What a plugin can do wrong.

use std::fmt;
use std::time::Duration;

use kugetsu_core::Retry;

use crate::protocol::{PROTOCOL, VERSION};

/// Why a plugin did not do what it was asked.
///
/// Each of them names the plugin, and carries the end of what the plugin has written to its standard
/// error, of a bounded length and without control characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// There is no such program, or it cannot be run.
    #[error("the plugin {plugin} cannot be started: {why}")]
    NotStarted {
        /// Which plugin.
        plugin: String,
        /// What is wrong, and how to mend it.
        why: String,
        /// Whether trying again could help.
        retry: Retry,
    },
    /// It speaks another version of the protocol.
    #[error("the plugin {plugin} speaks {theirs}, and this kugetsu {PROTOCOL}/{VERSION}")]
    OtherVersion {
        /// Which plugin.
        plugin: String,
        /// What it says that it speaks.
        theirs: String,
    },
    /// It is another kind of backend.
    #[error("the plugin {plugin} is no {wanted}: it says that it is {kinds}")]
    OtherKind {
        /// Which plugin.
        plugin: String,
        /// What was needed.
        wanted: &'static str,
        /// What it is.
        kinds: String,
    },
    /// It wrote what the protocol does not allow, and was ended for it.
    #[error("the plugin {plugin} does not keep to the protocol: {why}{said}")]
    Garbled {
        /// Which plugin.
        plugin: String,
        /// What it wrote, and what is allowed.
        why: String,
        /// The end of its standard error.
        said: Said,
    },
    /// It ended, or closed its standard output, before it answered.
    #[error("the plugin {plugin} ended before it answered: {how}{said}")]
    Ended {
        /// Which plugin.
        plugin: String,
        /// How it ended.
        how: String,
        /// The end of its standard error.
        said: Said,
    },
    /// It did not answer in time, and was ended for it.
    #[error("the plugin {plugin} did not answer `{method}` within {} s{said}", after.as_secs_f64())]
    Silent {
        /// Which plugin.
        plugin: String,
        /// What was not answered.
        method: String,
        /// How long it was waited for.
        after: Duration,
        /// The end of its standard error.
        said: Said,
    },
    /// It was started too often in a short time, and is left alone for a while.
    #[error(
        "the plugin {plugin} was started {times} times in a short time, and is not started again \
         for {} s: {last}", wait.as_secs().max(1)
    )]
    TooOften {
        /// Which plugin.
        plugin: String,
        /// How often it was started.
        times: usize,
        /// When it may be started again.
        wait: Duration,
        /// What became of it last.
        last: String,
    },
    /// It answered that it did not do what it was asked.
    #[error("{message}")]
    Refused {
        /// Which plugin.
        plugin: String,
        /// What it says.
        message: String,
        /// Whether trying again could help.
        retry: Retry,
    },
}

impl PluginError {
    /// Whether trying again could help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::NotStarted { retry, .. } | Self::Refused { retry, .. } => *retry,
            Self::OtherVersion { .. } | Self::OtherKind { .. } | Self::Garbled { .. } => {
                Retry::Never
            }
            Self::Ended { .. } | Self::Silent { .. } => Retry::Later,
            Self::TooOften { wait, .. } => Retry::after(*wait),
        }
    }

    /// Whether nothing that speaks the protocol is behind the plugin's name.
    pub fn is_no_plugin(&self) -> bool {
        matches!(
            self,
            Self::NotStarted { .. }
                | Self::OtherVersion { .. }
                | Self::OtherKind { .. }
                | Self::Garbled { .. }
        )
    }
}

/// The end of what a program has written to its standard error: at most some hundred characters of
/// its last lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said(String);

/// How many of the last lines are kept, and how much of them.
const LINES: usize = 4;
const LENGTH: usize = 800;

impl Said {
    /// The end of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let lines: Vec<String> = text
            .lines()
            .rev()
            .map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>())
            .filter(|line| !line.trim().is_empty())
            .take(LINES)
            .collect();
        let lines: Vec<&str> = lines.iter().rev().map(String::as_str).collect();
        let joined = lines.join(" | ");
        let surplus = joined.chars().count().saturating_sub(LENGTH);
        Self(joined.chars().skip(surplus).collect())
    }

    /// The text, with ` | ` between lines; empty if nothing was said.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "; it said: {}", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::Said;

    #[test]
    fn what_is_kept_is_the_end_without_what_acts_on_a_terminal() {
        let check = |text: &str, said: &str| assert_eq!(Said::of(text.as_bytes()).as_str(), said);
        check("", "");
        check(" \n\n", "");
        check("one\n\ntwo\r\n", "one | two");
        check("1\n2\n3\n4\n5\n", "2 | 3 | 4 | 5");
        check("\u{1b}[31mred\u{7}", "[31mred");
        let long = Said::of("é".repeat(5000).as_bytes());
        assert_eq!(long.as_str().chars().count(), 800);
        assert_eq!(Said::of(b"\xff\xfe").to_string(), "; it said: \u{fffd}\u{fffd}");
    }
}
