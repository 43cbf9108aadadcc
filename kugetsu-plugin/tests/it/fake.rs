//! A plugin that does one thing wrong.

use std::path::PathBuf;
use std::time::Duration;

use kugetsu_core::{Worktree, WorktreeError, WorktreeProvider as _};
use kugetsu_guard::GuardProgram;
use kugetsu_plugin::{Plugin, PluginConfig, PluginError, PluginTracker, PluginWorktrees};
use tempfile::TempDir;

/// The fake plugin and its directory.
pub(crate) struct Fake {
    pub(crate) home: TempDir,
    pub(crate) worktrees: PluginWorktrees,
    pub(crate) tracker: PluginTracker,
}

/// One that does this, as `fake.py` has it.
pub(crate) fn fake(deed: &str) -> Fake {
    fake_with(deed, |config| config)
}

pub(crate) fn fake_with(deed: &str, set: impl FnOnce(PluginConfig) -> PluginConfig) -> Fake {
    let home = TempDir::new().unwrap();
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fake.py");
    let config = PluginConfig::new("fake", "python3", home.path());
    let config = config.with_arguments([program, deed]).with_guard(guard());
    let plugin = Plugin::new(set(config));
    let worktrees = PluginWorktrees::new(plugin.clone());
    Fake { home, worktrees, tracker: PluginTracker::new(plugin) }
}

/// A test cannot be its own guard.
pub(crate) fn guard() -> GuardProgram {
    GuardProgram::at(crate::world::AGENT)
}

impl Fake {
    /// Something that it has written down.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.path().join("own").join(name)
    }

    pub(crate) fn noted(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    pub(crate) fn plugin(&self) -> &Plugin {
        self.worktrees.plugin()
    }

    pub(crate) async fn list(&self) -> Result<Vec<Worktree>, PluginError> {
        self.worktrees.list().await.map_err(below)
    }
}

/// What a plugin did, below what a provider says of it.
pub(crate) fn below(error: WorktreeError) -> PluginError {
    match error {
        WorktreeError::Backend { source, retry, .. } => {
            let source = source.downcast::<PluginError>().unwrap();
            assert_eq!(source.retry(), retry);
            *source
        }
        other => panic!("{other:?}"),
    }
}

/// Waits until the process whose id is in the file is not alive any more.
pub(crate) async fn gone(pid: &str) {
    assert!(!pid.is_empty());
    until(|| {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = state.rsplit(')').next().unwrap_or_default().trim();
        state.is_empty() || state.starts_with('Z') || state.starts_with('X')
    })
    .await;
}

pub(crate) async fn until(holds: impl Fn() -> bool) {
    let look = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), look).await.expect("it never came so far");
}
