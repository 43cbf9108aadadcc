//! The systemd unit.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// What a unit says of the place for which it is made.
#[derive(Debug)]
pub(super) struct Unit<'a> {
    /// The program, by its absolute path.
    pub(super) program: &'a str,
    /// Settings that it is started with.
    pub(super) flags: &'a [String],
    /// Its environment.
    pub(super) variables: &'a [(&'a str, &'a str)],
    /// How long it may drain.
    pub(super) drain: Duration,
}

/// How long systemd waits beyond the drain: longer than stopping the agents takes.
const BEYOND: Duration = Duration::from_secs(30);

impl Unit<'_> {
    pub(super) fn text(&self) -> String {
        let mut flags = String::new();
        for flag in self.flags {
            let _ = write!(flags, " --config {}", argument(flag));
        }
        let mut variables = String::new();
        for (name, value) in self.variables {
            let _ = writeln!(variables, "Environment={}", quoted(&format!("{name}={value}")));
        }
        let program = quoted(self.program);
        let stop = (self.drain.saturating_add(BEYOND)).as_secs();
        format!(
            "\
# Written by `kugetsu queue-daemon install --user`.
[Unit]
Description=kugetsu: a team of coding agents on a team's issues

[Service]
Type=notify
ExecStart={program}{flags} queue-daemon run
{variables}# A daemon that hangs is killed and started again; its tasks are recovered then.
WatchdogSec=60
Restart=on-failure
RestartSec=5
# Another daemon runs, or the settings are wrong: starting again would not help.
RestartPreventExitStatus=2 78
# SIGTERM lets the running agents end; whatever is left at last is killed.
KillMode=mixed
TimeoutStopSec={stop}
Delegate=yes
UMask=0077

[Install]
WantedBy=default.target
"
        )
    }
}

/// Whether systemd could be told this at all: it knows neither control characters nor, in a
/// program's path, anything but absolute ones.
pub(super) fn is_tellable(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// As an argument of a command: variables in it are not replaced.
fn argument(text: &str) -> String {
    quoted(text).replace('$', "$$")
}

/// As one word of a unit file: specifiers in it are not replaced.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '%' => quoted.push_str("%%"),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

/// The program's path as text, if a unit can start it.
pub(super) fn program(path: &Path) -> Option<&str> {
    path.to_str().filter(|text| path.is_absolute() && is_tellable(text))
}

#[cfg(test)]
mod tests {
    use super::Unit;
    use std::time::Duration;

    /// The unit that the workspace ships; a package of this crate has none.
    const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../systemd/kugetsu.service");

    /// Reads a line as systemd.syntax(7) and systemd.service(5) say.
    fn words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        let mut letters = line.chars().peekable();
        while letters.peek().is_some() {
            let mut word = String::new();
            let is_quoted = letters.next_if_eq(&'"').is_some();
            while let Some(letter) = letters.next() {
                match letter {
                    '"' if is_quoted => break,
                    ' ' if !is_quoted => break,
                    '\\' => word.push(letters.next().unwrap()),
                    '%' => {
                        assert_eq!(letters.next(), Some('%'), "a specifier in {line}");
                        word.push('%');
                    }
                    other => word.push(other),
                }
            }
            letters.next_if_eq(&' ');
            words.push(word);
        }
        words
    }

    #[test]
    fn whatever_is_in_a_path_or_a_setting_comes_through() {
        let hard = r#"/home/o'neil/a "b" c\d/100%h $HOME ${X};#"#;
        let flags = [format!("base_branch={hard}")];
        let unit = Unit {
            program: hard,
            flags: &flags,
            variables: &[("KUGETSU_DIR", hard), ("PATH", "/a:/b c")],
            drain: Duration::from_mins(5),
        };
        let text = unit.text();
        let line = |start: &str| {
            let mut found = text.lines().filter_map(|line| line.strip_prefix(start));
            words(found.next().unwrap())
        };
        let exec = line("ExecStart=");
        assert_eq!(exec[0], hard, "the path of the program knows no variables");
        assert_eq!(exec[1], "--config");
        // systemd itself makes one `$` of two.
        assert_eq!(exec[2].replace("$$", "$"), flags[0]);
        assert_eq!(exec[3..], ["queue-daemon", "run"]);
        assert_eq!(line("Environment="), [format!("KUGETSU_DIR={hard}")]);
        assert!(text.contains("\nTimeoutStopSec=330\n"), "{text}");
    }

    #[test]
    fn the_unit_that_is_shipped_is_the_one_that_would_be_written() {
        let unit = Unit {
            program: "/usr/local/bin/kugetsu",
            flags: &[],
            variables: &[],
            drain: Duration::from_mins(5),
        };
        assert_eq!(std::fs::read_to_string(SHIPPED).unwrap(), unit.text());
    }
}
