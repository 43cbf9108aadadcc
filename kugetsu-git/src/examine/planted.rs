//! Settings that run programs, or point git elsewhere.

use std::path::Path;

use git2::Config;

use crate::git::without_secrets;

/// Names that run a program, or point git elsewhere, whatever is in between.
const PLANTED: [(&str, &str); 36] = [
    ("core.worktree", ""),
    ("core.hookspath", ""),
    ("core.fsmonitor", ""),
    ("core.sshcommand", ""),
    ("core.askpass", ""),
    ("core.pager", ""),
    ("core.editor", ""),
    ("core.gitproxy", ""),
    ("core.alternaterefscommand", ""),
    ("core.attributesfile", ""),
    ("core.excludesfile", ""),
    ("credential.", ""),
    ("diff.external", ""),
    ("diff.", ".textconv"),
    ("diff.", ".command"),
    ("filter.", ""),
    ("merge.", ".driver"),
    ("remote.", ".uploadpack"),
    ("remote.", ".receivepack"),
    ("remote.", ".vcs"),
    ("remote.", ".pushurl"),
    ("remote.", ".proxy"),
    ("uploadpack.packobjectshook", ""),
    ("gpg.", "program"),
    ("url.", ""),
    ("protocol.", ""),
    ("alias.", ""),
    ("sequence.editor", ""),
    ("include.", ""),
    ("includeif.", ""),
    ("http.", "proxy"),
    ("http.", "sslverify"),
    ("pager.", ""),
    ("mergetool.", ".cmd"),
    ("difftool.", ".cmd"),
    ("submodule.", ".update"),
];

/// The names in a configuration that run programs or lead elsewhere; their values may be secrets.
pub(super) fn planted(file: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let Ok(config) = Config::open(file) else { return names };
    let Ok(mut all) = config.entries(None) else { return names };
    while let Some(Ok(entry)) = all.next() {
        let Ok(name) = entry.name() else { continue };
        let lower = name.to_ascii_lowercase();
        let is_planted = PLANTED.iter().any(|(before, after)| {
            let rest = lower.strip_prefix(before);
            match (before.ends_with('.'), after.is_empty()) {
                (false, _) => lower == *before,
                (true, true) => rest.is_some(),
                (true, false) => rest.is_some_and(|rest| format!(".{rest}").ends_with(after)),
            }
        });
        // A part of the name may be an address with a password in it.
        let name = without_secrets(name);
        if is_planted && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
