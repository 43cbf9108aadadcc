//! Which variables an env file may set, and what env files may be called.

use crate::settings::SETTINGS;

/// Whether a variable may be called so.
pub(super) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether an env file may be called so: a plain word, and no path.
pub(crate) fn is_agent(text: &str) -> bool {
    let is_of_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.len() <= 64
        && text.bytes().next().is_some_and(is_of_word)
        && text.bytes().all(|b| is_of_word(b) || b == b'-' || b == b'_')
}

/// Variables by which programs load or run other code, whatever they are started for.
const LOADERS: &[&str] = &[
    "BASHOPTS",
    "BASH_ENV",
    "BASH_LOADABLES_PATH",
    "CDPATH",
    "CLASSPATH",
    "EDITOR",
    "ENV",
    "GCONV_PATH",
    "GETCONF_DIR",
    "GLOBIGNORE",
    "HOSTALIASES",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LESSOPEN",
    "LOCPATH",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PAGER",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "PERLLIB",
    "PROMPT_COMMAND",
    "PS4",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYLIB",
    "RUBYOPT",
    "RUSTC_WRAPPER",
    "SHELL",
    "SHELLOPTS",
    "VISUAL",
    "ZDOTDIR",
    "_JAVA_OPTIONS",
];

/// Where a loader's family begins so. Of git's only names and dates of authors are left.
const LOADER_FAMILIES: &[&str] = &["LD_", "DYLD_", "BASH_FUNC_", "GIT_"];
const HARMLESS_OF_GIT: &[&str] = &["GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_TERMINAL_PROMPT"];

/// What kugetsu itself decides, for each agent.
const OURS: &[&str] = &[
    "HOME",
    "NOTIFY_SOCKET",
    "OPENCODE",
    "OPENCODE_CONFIG_CONTENT",
    "OPENCODE_DB",
    "OPENCODE_DISABLE_PROJECT_CONFIG",
    "OPENCODE_PERMISSION",
    "OPENCODE_SERVER_PASSWORD",
    "OPENCODE_SERVER_USERNAME",
    "PATH",
];

/// Why an env file may not set this variable; `None` if it may.
pub(crate) fn refused(name: &str) -> Option<&'static str> {
    let is_harmless = HARMLESS_OF_GIT.iter().any(|front| name.starts_with(front));
    let is_loader = LOADERS.contains(&name)
        || (!is_harmless && LOADER_FAMILIES.iter().any(|front| name.starts_with(front)));
    if is_loader {
        return Some("programs load or run other code by it");
    }
    let is_ours = OURS.contains(&name)
        || name.starts_with("KUGETSU_")
        || name.starts_with("XDG_")
        || SETTINGS.iter().any(|setting| setting.variable == name);
    is_ours.then_some("it is kugetsu's own, or where agents find their programs and settings")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loads_other_code_is_refused() {
        for name in [
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "LD_AUDIT",
            "DYLD_INSERT_LIBRARIES",
            "BASH_ENV",
            "ENV",
            "NODE_OPTIONS",
            "PYTHONSTARTUP",
            "PERL5OPT",
            "RUBYOPT",
            "GIT_SSH_COMMAND",
            "PATH",
            "GIT_CONFIG_COUNT",
            "GIT_EXTERNAL_DIFF",
            "PROMPT_COMMAND",
            "IFS",
            "KUGETSU_DIR",
            "KUGETSU_TREE",
            "OPENCODE_DB",
            "OPENCODE_PERMISSION",
            "MAX_CONCURRENT_AGENTS",
        ] {
            assert!(refused(name).is_some(), "{name}");
        }
        for name in ["GITHUB_TOKEN", "A", "GIT_AUTHOR_NAME", "ANTHROPIC_API_KEY", "OPENCODE_MODEL"]
        {
            assert_eq!(refused(name), None, "{name}");
        }
    }

    #[test]
    fn an_env_file_is_called_by_a_plain_word() {
        for name in ["default", "pm-agent", "a_1"] {
            assert!(is_agent(name), "{name}");
        }
        for name in ["", ".", "..", "../x", "a/b", "-a", ".a", "A", "a b", "a\n", &"a".repeat(65)] {
            assert!(!is_agent(name), "{name}");
        }
    }
}
