//! The shell of agents that may not change anything: it runs one program of ours with whatever
//! arguments, and a few that only read what is below the agent's own directory.
//!
//! opencode asks for permission by command, but what it takes for a command is less than what a
//! shell does: `> file` is none, and in `{ ls; } > file` it is `ls` alone (1.18.33). Here a command
//! line is one command of plain and quoted words, started directly. There are no redirections, no
//! pipes, no variables, no substitutions and no patterns, so that there is nothing to forget.
//!
//! It is the [guard's](crate) program under the name [`NAME`]: see [`install`].

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use crate::marker::Marker;

/// The name under which the program is this shell.
pub const NAME: &str = "kugetsu-narrow-shell";

/// The variable that names the program which may have any arguments.
pub const PROGRAM: &str = "KUGETSU_NARROW_PROGRAM";

/// Programs that only read, and only what they are told.
pub const READERS: [&str; 6] = ["cat", "echo", "head", "ls", "tail", "wc"];

/// The status of what is refused, as a shell has it for what it may not run.
const REFUSED: i32 = 126;
/// The status of what cannot be started.
const NOT_FOUND: i32 = 127;

/// Makes the shell in the directory, which is made if it is not there, and returns its path.
/// `program` is the guard's: see [`GuardProgram::lasting`](crate::GuardProgram::lasting). Making it
/// twice is making it once.
pub fn install(directory: &Path, program: &Path) -> io::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let link = directory.join(NAME);
    if is_one_file(&link, program)? {
        return Ok(link);
    }
    let unseen = directory.join(format!("{NAME}.{}", Marker::new()?));
    // Agents take another shell if this one is missing, so it has to outlive the program's own
    // file. Not every file can be linked so.
    if fs::hard_link(program, &unseen).is_err() {
        std::os::unix::fs::symlink(program, &unseen)?;
    }
    fs::rename(unseen, &link)?;
    Ok(link)
}

fn is_one_file(link: &Path, program: &Path) -> io::Result<bool> {
    let program = fs::metadata(program)?;
    let same = |link: fs::Metadata| (link.dev(), link.ino()) == (program.dev(), program.ino());
    Ok(fs::metadata(link).is_ok_and(same))
}

/// Whether a program of this name is asked to be the shell.
pub(crate) fn is_asked(program: &OsStr) -> bool {
    Path::new(program).file_name() == Some(OsStr::new(NAME))
}

/// Is the shell: `NAME -c <command line>`.
pub(crate) fn main() -> ! {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let line = match words.as_slice() {
        [option, line] if option == "-c" => line.to_str(),
        _ => None,
    };
    let program = std::env::var_os(PROGRAM);
    let own = program.as_deref().map(Path::new);
    let read = line.ok_or(Refusal::Form).and_then(|line| allowed(line, own));
    let words = match read {
        Ok(words) => words,
        Err(refusal) => end(REFUSED, &refusal.to_string()),
    };
    // `allowed` lets no empty line through.
    let Some((name, rest)) = words.split_first() else { end(REFUSED, "there is no command") };
    let mut command = match own.filter(|own| is_own(own, name)) {
        Some(own) => Command::new(own),
        None => Command::new(name),
    };
    let error = command.args(rest).exec();
    end(NOT_FOUND, &format!("could not start {name}: {error}"))
}

fn end(status: i32, why: &str) -> ! {
    let _ = writeln!(io::stderr(), "{why}");
    std::process::exit(status)
}

/// Why a command line is not carried out, in words for an agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("refused: the command line is not one command")]
    Form,
    #[error(
        "refused: `{0}` means something to a shell, and this is none. Give one command of plain and \
         quoted words, without redirections, pipes, variables, substitutions and patterns. Put what \
         is meant literally into single quotes. Errors are shown without `2>&1`"
    )]
    Shell(char),
    #[error("refused: a quotation mark is not closed")]
    Unclosed,
    #[error("refused: {name} may not be run here. You may run {allowed}")]
    Program { name: String, allowed: String },
    #[error("refused: {0} is not below this directory, and nothing else may be read here")]
    Outside(String),
}

/// The words of the line, if it is a command that may be carried out.
fn allowed(line: &str, own: Option<&Path>) -> Result<Vec<String>, Refusal> {
    let words = split(line)?;
    let Some((name, arguments)) = words.split_first() else { return Err(Refusal::Form) };
    if own.is_some_and(|own| is_own(own, name)) {
        return Ok(words);
    }
    if name == "pwd" && arguments.is_empty() {
        return Ok(words);
    }
    if !READERS.contains(&name.as_str()) {
        let own = own.and_then(Path::file_name).map(|own| own.to_string_lossy().into_owned());
        let known: Vec<&str> = own.as_deref().into_iter().chain(["pwd"]).chain(READERS).collect();
        return Err(Refusal::Program { name: name.clone(), allowed: known.join(", ") });
    }
    if name != "echo"
        && let Some(outside) = arguments.iter().find(|argument| !stays_below(argument))
    {
        return Err(Refusal::Outside(outside.clone()));
    }
    Ok(words)
}

fn is_own(own: &Path, name: &str) -> bool {
    own.file_name().is_some_and(|own| own == name)
}

/// Whether an argument can name only what is below the directory. An option with a path in it is
/// not told apart from a path.
fn stays_below(argument: &str) -> bool {
    let path = argument.rsplit('=').next().unwrap_or(argument);
    if argument.starts_with('-') && argument.contains('/') {
        return false;
    }
    let plain = Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !plain {
        return false;
    }
    // A link may lead anywhere.
    let (Ok(here), Ok(there)) = (Path::new(".").canonicalize(), Path::new(path).canonicalize())
    else {
        return true;
    };
    there.starts_with(here)
}

/// The words of a line in which quotes are all that is not literal.
fn split(line: &str) -> Result<Vec<String>, Refusal> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.trim().chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next().ok_or(Refusal::Unclosed)? {
                        '\'' => break,
                        other => word.push(other),
                    }
                }
            }
            '"' => quoted(&mut letters, word.get_or_insert_default())?,
            '\\' => match letters.next() {
                Some(escaped) if escaped != '\n' => word.get_or_insert_default().push(escaped),
                _ => return Err(Refusal::Shell('\\')),
            },
            // A comment or a directory's name only where a word begins; inside of one it is itself.
            '#' | '~' if word.is_none() => return Err(Refusal::Shell(letter)),
            ';' | '&' | '|' | '<' | '>' | '(' | ')' | '{' | '}' | '$' | '`' | '*' | '?' | '['
            | ']' | '!' | '\n' | '\r' | '\0' => return Err(Refusal::Shell(letter)),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    // Such a word in front would set a variable.
    if words.first().is_some_and(|first| first.contains('=')) {
        return Err(Refusal::Shell('='));
    }
    Ok(words)
}

fn quoted(letters: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), Refusal> {
    loop {
        match letters.next().ok_or(Refusal::Unclosed)? {
            '"' => return Ok(()),
            letter @ ('$' | '`') => return Err(Refusal::Shell(letter)),
            '\\' => match letters.next().ok_or(Refusal::Unclosed)? {
                escaped @ ('"' | '\\' | '$' | '`') => word.push(escaped),
                '\n' => {}
                other => word.extend(['\\', other]),
            },
            other => word.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Vec<String>, Refusal> {
        allowed(line, Some(Path::new("/opt/kugetsu")))
    }

    #[test]
    fn one_command_of_plain_and_quoted_words_is_carried_out() {
        for (line, words) in [
            ("kugetsu list", &["kugetsu", "list"][..]),
            ("  kugetsu\tqueue  list \n", &["kugetsu", "queue", "list"]),
            (
                "kugetsu start --detach a/b#1 'a > b; $(x) `y` *'",
                &["kugetsu", "start", "--detach", "a/b#1", "a > b; $(x) `y` *"],
            ),
            (
                r#"kugetsu start a/b#1 "say \"hi\" \\ \n""#,
                &["kugetsu", "start", "a/b#1", "say \"hi\" \\ \\n"],
            ),
            ("kugetsu start a/b#1 \"two\nlines\"", &["kugetsu", "start", "a/b#1", "two\nlines"]),
            (r"kugetsu a\ b 'it'\''s' ''", &["kugetsu", "a b", "it's", ""]),
            ("pwd", &["pwd"]),
            ("ls -la", &["ls", "-la"]),
            ("cat Cargo.toml", &["cat", "Cargo.toml"]),
            ("echo /etc", &["echo", "/etc"]),
        ] {
            assert_eq!(read(line).unwrap(), words, "{line}");
        }
    }

    #[test]
    fn whatever_else_a_shell_would_do_is_refused() {
        for line in [
            "",
            "   ",
            "> f",
            ": > f",
            "kugetsu list > f",
            "kugetsu list 2>&1",
            "{ kugetsu list; } > f",
            "(kugetsu list) > f",
            "kugetsu list | tee f",
            "kugetsu list; touch f",
            "kugetsu list && touch f",
            "kugetsu list & touch f",
            "kugetsu list\ntouch f",
            "kugetsu list \\\n touch f",
            "kugetsu start a/b#1 \"$(touch f)\"",
            "kugetsu start a/b#1 \"`touch f`\"",
            "kugetsu start a/b#1 $(touch f)",
            "kugetsu start a/b#1 <(touch f)",
            "kugetsu start a/b#1 - <<EOF\nx\nEOF",
            "kugetsu start a/b#1 $HOME",
            "PATH=. kugetsu list",
            "kugetsu list 'unclosed",
            "kugetsu list # comment",
            "! kugetsu list",
            "for i in 1; do ls; done > f",
            "touch f",
            "/tmp/kugetsu list",
            "./kugetsu list",
            "/opt/kugetsu list",
            "git diff --output=f",
            "env kugetsu list",
            "sh -c 'touch f'",
            "tee f",
            "cat /etc/passwd",
            "cat ../secret",
            "cat ~/secret",
            "cat ..",
            "head -c5 /etc/passwd",
            "wc --files0-from=/etc/passwd",
            "wc --files0-from=../x",
            "ls /",
            "ls '/'",
            "pwd x",
        ] {
            assert!(read(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn a_link_that_leads_out_is_not_followed() {
        assert!(stays_below("src") && stays_below("not-there") && stays_below("-n5"));
        assert!(!stays_below("/proc/self/root") && !stays_below("src/../.."));
    }
}
