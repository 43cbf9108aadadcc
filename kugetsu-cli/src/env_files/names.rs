//! Which variables an env file may set, and what env files may be called.

use super::loaders;
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

/// What kugetsu itself decides, for each agent.
const OURS: &[&str] = &["HOME", "NOTIFY_SOCKET", "OPENCODE", "PATH"];
const FAMILIES_OF_OURS: &[&str] = &["KUGETSU_", "XDG_", "OPENCODE_"];

/// Of opencode's own: keys, the model, and switches. The rest says where its settings, programs and
/// plugins are, or how kugetsu reaches it.
const HARMLESS_OF_OPENCODE: &[&str] =
    &["OPENCODE_API_KEY", "OPENCODE_CONSOLE_TOKEN", "OPENCODE_LOG_LEVEL", "OPENCODE_MODEL"];
const SWITCHES_OF_OPENCODE: &[&str] =
    &["OPENCODE_DISABLE_", "OPENCODE_ENABLE_", "OPENCODE_EXPERIMENTAL"];
const OUR_SWITCH: &str = "OPENCODE_DISABLE_PROJECT_CONFIG";

/// Why an env file may not set this variable; `None` if it may.
pub(crate) fn refused(name: &str) -> Option<&'static str> {
    let begins = |fronts: &[&str]| fronts.iter().any(|front| name.starts_with(front));
    if let Some(why) = loaders::refused(name) {
        return Some(why);
    }
    let is_harmless = HARMLESS_OF_OPENCODE.contains(&name)
        || (begins(SWITCHES_OF_OPENCODE) && name != OUR_SWITCH);
    let is_ours = OURS.contains(&name)
        || begins(FAMILIES_OF_OURS)
        || SETTINGS.iter().any(|setting| setting.variable == name);
    (is_ours && !is_harmless)
        .then_some("it is kugetsu's own, or where agents find their programs and settings")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kugetsu_decides_is_refused() {
        for name in "LD_PRELOAD PATH HOME KUGETSU_DIR KUGETSU_TREE MAX_CONCURRENT_AGENTS XDG_CONFIG_HOME OPENCODE \
             OPENCODE_DB OPENCODE_PERMISSION OPENCODE_CONFIG OPENCODE_CONFIG_DIR OPENCODE_CONFIG_CONTENT \
             OPENCODE_BIN_PATH OPENCODE_TUI_CONFIG OPENCODE_MODELS_PATH OPENCODE_DISABLE_PROJECT_CONFIG \
             OPENCODE_SERVER_PASSWORD OPENCODE_PLUGIN_META_FILE"
            .split_whitespace()
        {
            assert!(refused(name).is_some(), "{name}");
        }
        for name in "GITHUB_TOKEN A ANTHROPIC_API_KEY OPENCODE_MODEL OPENCODE_API_KEY OPENCODE_DISABLE_PRUNE"
            .split_whitespace()
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
