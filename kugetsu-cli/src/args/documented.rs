//! What the guide and the skill say is what the command understands.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, Parser as _};

use super::Cli;
use crate::settings::SETTINGS;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The pages for users, with what is in them.
fn pages() -> Vec<(String, String)> {
    let root = root();
    let mut paths = vec![root.join("README.md"), root.join("skills/kugetsu/SKILL.md")];
    let docs = fs::read_dir(root.join("docs")).unwrap();
    paths.extend(docs.map(|entry| entry.unwrap().path()));
    paths.retain(|path| path.extension().is_some_and(|end| end == "md"));
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        (name, fs::read_to_string(path).unwrap())
    };
    paths.into_iter().map(read).collect()
}

/// The command lines in the blocks of shell, without prompts.
fn lines(text: &str) -> Vec<String> {
    let (mut lines, mut kind) = (Vec::new(), None);
    for line in text.lines() {
        if let Some(fence) = line.trim().strip_prefix("```") {
            kind = if kind.is_some() { None } else { Some(fence.to_owned()) };
            continue;
        }
        let line = match kind.as_deref() {
            Some("sh") => Some(line),
            Some("console") => line.strip_prefix("$ "),
            _ => None,
        };
        let line = line.map(str::trim).filter(|line| line.starts_with("kugetsu "));
        lines.extend(line.map(str::to_owned));
    }
    lines
}

/// The words of a command line as a shell would hand them over, up to a redirection or a comment.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, '#' | '>' | '<' | '|' | ';' | '&') if word.is_none() => break,
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    assert_eq!(quote, None, "{line}");
    words.extend(word);
    words
}

#[test]
fn a_line_is_read_as_a_shell_reads_it() {
    assert_eq!(
        words("kugetsu start a/b#1 \"it's > 1\" '' --x < a   # b"),
        ["kugetsu", "start", "a/b#1", "it's > 1", "", "--x"]
    );
}

#[test]
fn every_command_line_in_the_guide_is_understood() {
    let mut seen = 0;
    for (page, text) in pages() {
        for line in lines(&text) {
            seen += 1;
            let parsed = Cli::try_parse_from(words(&line));
            let is_help = |error: &clap::Error| !error.use_stderr();
            if let Err(error) = parsed
                && !is_help(&error)
            {
                panic!("{page}: {line}\n{error}");
            }
        }
    }
    assert!(seen > 60, "{seen}");
}

#[test]
fn every_command_has_an_example() {
    fn leaves(command: &clap::Command, path: &str, all: &mut Vec<String>) {
        let inner: Vec<_> =
            command.get_subcommands().filter(|inner| !inner.is_hide_set()).collect();
        if inner.is_empty() {
            all.push(path.to_owned());
        }
        for inner in inner {
            leaves(inner, &format!("{path} {}", inner.get_name()), all);
        }
    }
    let mut all = Vec::new();
    leaves(&Cli::command(), "kugetsu", &mut all);
    let text = fs::read_to_string(root().join("docs/commands.md")).unwrap();
    let examples = lines(&text);
    let is_shown = |path: &&String| {
        examples.iter().any(|line| line == *path || line.starts_with(&format!("{path} ")))
    };
    let missing: Vec<_> = all.iter().filter(|path| !is_shown(path)).collect();
    assert!(missing.is_empty(), "docs/commands.md has no example of {missing:?}");
}

#[test]
fn the_page_of_settings_is_the_table() {
    let mut page = String::from(
        "# Settings\n\n\
         A setting is taken from the first of these that has it: `--config KEY=VALUE`, the environment, \
         `config.toml`, the bash version's `config`, its default. `kugetsu config list` shows each value \
         and where it comes from; `kugetsu help config` says the same as this page.\n\n\
         | in `config.toml` | in the environment | default | what it is |\n|---|---|---|---|\n\
         | | `KUGETSU_DIR` | `~/.kugetsu` | Where everything is kept. |\n",
    );
    for setting in SETTINGS {
        let default = setting.default.map_or("unset".to_owned(), |text| format!("`{text}`"));
        let doc = setting.doc.replace('|', "\\|");
        let (key, variable) = (setting.key, setting.variable);
        let _ = writeln!(page, "| `{key}` | `{variable}` | {default} | {doc} |");
    }
    page += "\nWhere notices are brought stands in `config.toml`, too: [notices.md](notices.md).\n";
    let path = root().join("docs/settings.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "docs/settings.md is not the table: run this test with UPDATE_DOCS=1");
}

#[test]
fn the_skill_is_as_agents_expect_it() {
    let text = fs::read_to_string(root().join("skills/kugetsu/SKILL.md")).unwrap();
    let (front, body) = text.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap();
    let field = |name: &str| front.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    assert_eq!(field("name"), Some("kugetsu"));
    let description = field("description").unwrap();
    assert!((1..=1024).contains(&description.len()) && !description.contains(": "));
    assert!(body.lines().count() < 500);
    for (code, _) in crate::exit::ALL {
        assert!(body.contains(&format!("| {code} |")), "{code}");
    }
}

#[test]
fn every_link_in_the_guide_leads_somewhere() {
    for (page, text) in pages() {
        for (_, rest) in text.match_indices("](").map(|(at, _)| text.split_at(at + 2)) {
            let target = rest.split([')', '#']).next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = root().join(&page).parent().unwrap().join(target);
            assert!(path.exists(), "{page}: {target}");
        }
    }
}
