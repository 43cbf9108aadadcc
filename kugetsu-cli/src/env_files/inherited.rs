//! Which variables of kugetsu's own environment its agents inherit.
//!
//! Whoever runs kugetsu may have anything in their environment. Agents get what programs need to
//! work as they do for their user, and the keys of model providers, since it is with those that
//! opencode is set up. Everything else stays behind unless the setting `inherit_variables` names it.

use super::is_secret;
use crate::settings::SETTINGS;

const NAMES: &[&str] = &[
    "ALL_PROXY",
    "ANDROID_HOME",
    "CC",
    "CI",
    "COLORTERM",
    "CURL_CA_BUNDLE",
    "CXX",
    "DOTNET_ROOT",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "GIT_TERMINAL_PROMPT",
    "GNUPGHOME",
    "GRADLE_USER_HOME",
    "HOME",
    "HOSTNAME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "JAVA_HOME",
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "NODE_EXTRA_CA_CERTS",
    "NO_COLOR",
    "NO_PROXY",
    "PATH",
    "PKG_CONFIG_PATH",
    "PNPM_HOME",
    "REQUESTS_CA_BUNDLE",
    "SDKMAN_DIR",
    "SHELL",
    "SSH_AGENT_PID",
    "SSH_AUTH_SOCK",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TEMP",
    "TERM",
    "TMP",
    "TMPDIR",
    "TZ",
    "USER",
    "VIRTUAL_ENV",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

const FAMILIES: &[&str] = &[
    "ASDF_",
    "BUN_",
    "CARGO_",
    "CONDA_",
    "DENO_",
    "GIT_AUTHOR_",
    "GIT_COMMITTER_",
    "GO",
    "KUGETSU_",
    "LC_",
    "MISE_",
    "NIX_",
    "NPM_CONFIG_",
    "NVM_",
    "OPENCODE_",
    "PIP_",
    "PYENV_",
    "RUSTUP_",
    "UV_",
    "XDG_",
    "npm_config_",
];

/// Whether an agent inherits the variable of this name; `more` are the names that the setting adds,
/// those with a `*` at their end being the beginnings of names.
pub(super) fn is_inherited(name: &str, more: &[&str]) -> bool {
    let is_named = |wanted: &&str| match wanted.strip_suffix('*') {
        Some(front) => name.starts_with(front),
        None => name == *wanted,
    };
    if more.iter().any(is_named) {
        return true;
    }
    // What opencode itself needs to reach its provider.
    if name.ends_with("_API_KEY") || name.ends_with("_BASE_URL") {
        return true;
    }
    let is_known = NAMES.contains(&name)
        || FAMILIES.iter().any(|front| name.starts_with(front))
        || SETTINGS.iter().any(|setting| setting.variable == name);
    is_known && !is_secret(name)
}

#[cfg(test)]
mod tests {
    use super::is_inherited;

    #[test]
    fn agents_inherit_what_programs_need_and_no_secret_but_the_providers_keys() {
        for name in [
            "PATH",
            "HOME",
            "GIT_AUTHOR_NAME",
            "LC_ALL",
            "GOPATH",
            "ANTHROPIC_API_KEY",
            "KUGETSU_STORE",
        ] {
            assert!(is_inherited(name, &[]), "{name}");
        }
        for name in [
            "GITHUB_TOKEN",
            "CARGO_REGISTRY_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "LD_PRELOAD",
            "BASH_ENV",
            "NODE_OPTIONS",
            "DATABASE_URL",
            "KUGETSU_TELEGRAM_TOKEN",
        ] {
            assert!(!is_inherited(name, &[]), "{name}");
            assert!(is_inherited(name, &["X", name]), "{name}");
        }
        assert!(is_inherited("AWS_PROFILE", &["AWS_*"]) && !is_inherited("AWS", &["AWS_*"]));
    }
}
