use serde_json::json;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The real opencode that tests drive.
///
/// That is what `KUGETSU_TEST_OPENCODE` names, else the one that `./scripts/opencode` installs
/// into the workspace.
///
/// # Panics
///
/// If there is neither, because a test that skips itself tests nothing.
pub fn opencode_program() -> PathBuf {
    if let Some(program) = std::env::var_os("KUGETSU_TEST_OPENCODE") {
        return program.into();
    }
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/opencode");
    program.canonicalize().unwrap_or_else(|_| {
        panic!(
            "opencode is not installed; run ./scripts/opencode, or set KUGETSU_TEST_OPENCODE to \
             the path of an opencode"
        )
    })
}

/// A home in which opencode works offline, against one model, and touches nothing else.
///
/// It uses the model `scripted/model` (and `scripted/small` for titles) and has a git identity.
/// Permissions are opencode's own defaults. A temporary home goes away when this is dropped.
#[derive(Debug)]
pub struct OpencodeSandbox {
    root: PathBuf,
    _temporary: Option<TempDir>,
}

impl OpencodeSandbox {
    /// Makes a temporary home whose model is at `base_url`.
    pub fn new(base_url: &str) -> io::Result<Self> {
        let temporary = TempDir::with_prefix("kugetsu-opencode-")?;
        let sandbox = Self::write_to(temporary.path(), base_url)?;
        Ok(Self { _temporary: Some(temporary), ..sandbox })
    }

    /// Makes a home in `directory` that stays. Writing it twice is writing it once.
    pub fn write_to(directory: &Path, base_url: &str) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let root = directory.canonicalize()?;
        let sandbox = Self { root, _temporary: None };
        let settings = sandbox.home().join(".config/opencode");
        fs::create_dir_all(settings.join("node_modules"))?;
        fs::create_dir_all(sandbox.root.join("tmp"))?;
        // With this beside a node_modules, opencode takes its plugin package for installed.
        let lock = json!({
            "lockfileVersion": 3,
            "packages": {"": {"dependencies": {"@opencode-ai/plugin": "*"}}},
        });
        fs::write(settings.join("package-lock.json"), lock.to_string())?;
        fs::write(sandbox.config(), format!("{:#}\n", config(base_url)))?;
        // An empty catalogue costs opencode less time and memory than its built-in one.
        fs::write(sandbox.models(), "{}\n")?;
        fs::write(
            sandbox.gitconfig(),
            "[user]\n\tname = Scripted Agent\n\temail = agent@example.invalid\n\
             [init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n",
        )?;
        Ok(sandbox)
    }

    /// The directory that opencode takes for the user's home.
    pub fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// The environment variables that make opencode use this home, to be set on top of `PATH`.
    pub fn env(&self) -> Vec<(OsString, OsString)> {
        let home = self.home();
        let paths = [
            ("HOME", home.clone()),
            ("XDG_CONFIG_HOME", home.join(".config")),
            ("XDG_DATA_HOME", home.join(".local/share")),
            ("XDG_STATE_HOME", home.join(".local/state")),
            ("XDG_CACHE_HOME", home.join(".cache")),
            ("TMPDIR", self.root.join("tmp")),
            ("OPENCODE_CONFIG", self.config()),
            ("OPENCODE_MODELS_PATH", self.models()),
            ("GIT_CONFIG_GLOBAL", self.gitconfig()),
        ];
        let words = [
            ("OPENCODE_DISABLE_MODELS_FETCH", "1"),
            ("OPENCODE_DISABLE_DEFAULT_PLUGINS", "1"),
            ("OPENCODE_DISABLE_AUTOUPDATE", "1"),
            ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1"),
            ("OPENCODE_DISABLE_EXTERNAL_SKILLS", "1"),
            ("OPENCODE_DISABLE_CLAUDE_CODE", "1"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_AUTHOR_NAME", "Scripted Agent"),
            ("GIT_AUTHOR_EMAIL", "agent@example.invalid"),
            ("GIT_COMMITTER_NAME", "Scripted Agent"),
            ("GIT_COMMITTER_EMAIL", "agent@example.invalid"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("NO_COLOR", "1"),
        ];
        let paths = paths.into_iter().map(|(name, path)| (name.into(), path.into()));
        let words = words.into_iter().map(|(name, word)| (name.into(), word.into()));
        paths.chain(words).collect()
    }

    fn config(&self) -> PathBuf {
        self.root.join("opencode.json")
    }

    fn models(&self) -> PathBuf {
        self.root.join("models.json")
    }

    fn gitconfig(&self) -> PathBuf {
        self.root.join("gitconfig")
    }
}

fn config(base_url: &str) -> serde_json::Value {
    let limit = json!({"context": 1_000_000, "output": 32_000});
    json!({
        "$schema": "https://opencode.ai/config.json",
        "autoupdate": false,
        "share": "disabled",
        "model": "scripted/model",
        "small_model": "scripted/small",
        "enabled_providers": ["scripted"],
        "provider": {"scripted": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Scripted model",
            "options": {"baseURL": base_url, "apiKey": "scripted"},
            "models": {
                "model": {"name": "Scripted", "tool_call": true, "limit": limit.clone()},
                "small": {"name": "Scripted, small", "limit": limit},
            },
        }},
    })
}
