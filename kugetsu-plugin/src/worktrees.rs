//! Worktrees by a plugin.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{
    IssueRef, RepoRef, Unsaved, Worktree, WorktreeError, WorktreeProvider, WorktreeSpec,
    WorktreeStatus,
};

use crate::error::PluginError;
use crate::plugin::{Failed, Plugin, PluginInfo, Refused};
use crate::protocol::{
    Inspect, IssueDto, IssueParams, List, Method, Nothing, Prepare, PrepareParams, Recover, Remove,
    RemoveParams, StatusDto, UnsavedDto, WorktreeDto,
};

/// Where a repository is cloned from, or why that is not known.
type Sources = Arc<dyn Fn(&RepoRef) -> Result<String, String> + Send + Sync>;

/// Worktrees that a [plugin](Plugin) makes.
///
/// What the plugin answers is checked for its shape only: that it keeps the promises of a
/// [`WorktreeProvider`] is for the conformance kit to show.
#[derive(Clone)]
pub struct PluginWorktrees {
    plugin: Plugin,
    sources: Sources,
}

impl PluginWorktrees {
    /// The worktrees that this plugin makes. A repository is cloned from its own server,
    /// `https://host/owner/repo.git`, unless [`with_sources`](Self::with_sources) says otherwise.
    pub fn new(plugin: Plugin) -> Self {
        Self { plugin, sources: Arc::new(|repository| Ok(format!("https://{repository}.git"))) }
    }

    /// Where each repository is cloned from: an address or an absolute path; or why that is not
    /// known, and how to mend it.
    pub fn with_sources(
        mut self,
        sources: impl Fn(&RepoRef) -> Result<String, String> + Send + Sync + 'static,
    ) -> Self {
        self.sources = Arc::new(sources);
        self
    }

    /// The plugin.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    async fn ask<M: Method>(
        &self,
        params: &M::Params,
        about: &About<'_>,
    ) -> Result<M::Answer, WorktreeError> {
        let asked = async {
            self.is_provider().await?;
            self.plugin.ask::<M>(params).await
        };
        asked.await.map_err(|failed| self.error(failed, about))
    }

    async fn is_provider(&self) -> Result<PluginInfo, Failed> {
        self.plugin.as_kind("worktree provider", PluginInfo::makes_worktrees).await
    }

    fn error(&self, failed: Failed, about: &About<'_>) -> WorktreeError {
        match failed {
            Failed::Refused(refused) => self.refused(&refused, about),
            Failed::Plugin(error) => self.fault(error, about.operation()),
        }
    }

    fn refused(&self, refused: &Refused, about: &About<'_>) -> WorktreeError {
        let path = refused.data.path.as_deref().and_then(|text| path(text).ok());
        let why = refused.message.clone();
        match (refused.kind(), path, about) {
            ("unsaved_work", Some(path), _) => WorktreeError::UnsavedWork {
                path,
                dirty: refused.data.dirty.unwrap_or_default(),
                unpushed: refused.data.unpushed.unwrap_or_default(),
            },
            ("in_the_way", Some(path), _) => WorktreeError::InTheWay { path, why },
            ("no_repository", _, About::Prepare(spec)) => {
                WorktreeError::NoRepository { repository: spec.issue.repository().to_string(), why }
            }
            ("no_base_branch", _, About::Prepare(spec)) => WorktreeError::NoBaseBranch {
                repository: spec.issue.repository().to_string(),
                branch: spec.base.clone().unwrap_or_else(|| "as its default".into()),
            },
            ("unsupported", ..) => {
                WorktreeError::Unsupported { who: self.plugin.who(), operation: about.operation() }
            }
            _ => {
                let (plugin, retry) = (self.plugin.name().to_owned(), refused.retry());
                let error = PluginError::Refused { plugin, message: why, retry };
                self.fault(error, about.operation())
            }
        }
    }

    fn fault(&self, error: PluginError, operation: String) -> WorktreeError {
        let (who, retry) = (self.plugin.who(), error.retry());
        WorktreeError::Backend { who, operation, retry, source: error.into() }
    }

    /// The worktree as the plugin tells it.
    fn worktree<M: Method>(
        &self,
        told: &WorktreeDto,
        about: &About<'_>,
    ) -> Result<Worktree, WorktreeError> {
        let read = || {
            let issue: IssueRef = told.issue.parse().map_err(|error| format!("{error}"))?;
            if about.issue().is_some_and(|asked| *asked != issue) {
                return Err(format!("it is about {issue}"));
            }
            let branch = line(&told.branch, "branch")?;
            let worktree = Worktree::new(issue, path(&told.path)?, branch, path(&told.repository)?);
            Ok(worktree.with_created(told.created))
        };
        read()
            .map_err(|why: String| self.fault(self.plugin.garbled(M::NAME, why), about.operation()))
    }

    fn status(&self, told: StatusDto, about: &About<'_>) -> Result<WorktreeStatus, WorktreeError> {
        let worktree = self.worktree::<Inspect>(&told.worktree, about)?.with_created(false);
        let plain = |text: Option<String>, what| text.map(|text| line(&text, what)).transpose();
        let texts = plain(told.head, "head").and_then(|head| Ok((head, plain(told.base, "base")?)));
        let (head, base) = texts.map_err(|why| {
            self.fault(self.plugin.garbled(Inspect::NAME, why), about.operation())
        })?;
        let mut status = WorktreeStatus::new(worktree);
        (status.head, status.base) = (head, base);
        (status.dirty, status.ahead, status.unpushed) = (told.dirty, told.ahead, told.unpushed);
        Ok(status)
    }
}

#[async_trait]
impl WorktreeProvider for PluginWorktrees {
    async fn prepare(&self, spec: &WorktreeSpec) -> Result<Worktree, WorktreeError> {
        let repository = spec.issue.repository();
        let source = (self.sources)(repository).map_err(|why| WorktreeError::NoRepository {
            repository: repository.to_string(),
            why,
        })?;
        let origin = source.clone();
        let params =
            PrepareParams { issue: IssueDto::of(&spec.issue), source, base: spec.base.clone() };
        let about = About::Prepare(spec);
        let answer = self.ask::<Prepare>(&params, &about).await?;
        let worktree = self.worktree::<Prepare>(&answer.worktree, &about)?;
        match nobodys(&worktree.path, &origin, self.plugin.directory()) {
            None => Ok(worktree),
            Some(why) => {
                let why = format!("{} {why}", worktree.path.display());
                Err(self.fault(self.plugin.garbled(Prepare::NAME, why), about.operation()))
            }
        }
    }

    async fn inspect(&self, issue: &IssueRef) -> Result<Option<WorktreeStatus>, WorktreeError> {
        let about = About::Inspect(issue);
        let params = IssueParams { issue: IssueDto::of(issue) };
        let answer = self.ask::<Inspect>(&params, &about).await?;
        answer.status.map(|told| self.status(told, &about)).transpose()
    }

    async fn remove(&self, issue: &IssueRef, unsaved: Unsaved) -> Result<(), WorktreeError> {
        let unsaved = match unsaved {
            Unsaved::Keep => UnsavedDto::Keep,
            Unsaved::Discard => UnsavedDto::Discard,
        };
        let params = RemoveParams { issue: IssueDto::of(issue), unsaved };
        self.ask::<Remove>(&params, &About::Remove(issue)).await?;
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Worktree>, WorktreeError> {
        let about = About::List;
        let answer = self.ask::<List>(&Nothing {}, &about).await?;
        let told = answer.worktrees.iter();
        let read = |told| Ok(self.worktree::<List>(told, &about)?.with_created(false));
        let mut worktrees = told.map(read).collect::<Result<Vec<_>, _>>()?;
        worktrees.sort_by(|one, other| one.issue.cmp(&other.issue));
        Ok(worktrees)
    }

    async fn recover(&self) -> Result<Vec<String>, WorktreeError> {
        let about = About::Recover;
        let info = self.is_provider().await.map_err(|failed| self.error(failed, &about))?;
        if !info.recovers() {
            return Ok(Vec::new());
        }
        let removed = self.ask::<Recover>(&Nothing {}, &about).await?.removed;
        let plain = |text: String| text.chars().filter(|c| !c.is_control()).take(500).collect();
        Ok(removed.into_iter().map(plain).collect())
    }
}

impl fmt::Debug for PluginWorktrees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PluginWorktrees").field(&self.plugin).finish()
    }
}

/// What the plugin is asked for.
enum About<'a> {
    Prepare(&'a WorktreeSpec),
    Inspect(&'a IssueRef),
    Remove(&'a IssueRef),
    List,
    Recover,
}

impl About<'_> {
    fn issue(&self) -> Option<&IssueRef> {
        match self {
            Self::Prepare(spec) => Some(&spec.issue),
            Self::Inspect(issue) | Self::Remove(issue) => Some(issue),
            Self::List | Self::Recover => None,
        }
    }

    /// In words that follow "could not".
    fn operation(&self) -> String {
        match self {
            Self::Prepare(spec) => format!("prepare the worktree of {}", spec.issue),
            Self::Inspect(issue) => format!("inspect the worktree of {issue}"),
            Self::Remove(issue) => format!("remove the worktree of {issue}"),
            Self::List => "list the worktrees".into(),
            Self::Recover => "remove what was left of worktrees".into(),
        }
    }
}

/// The longest path and the longest name that are taken, in bytes.
const LONGEST: usize = 4096;

fn path(text: &str) -> Result<PathBuf, String> {
    let text = line(text, "path")?;
    if Path::new(&text).is_absolute() {
        return Ok(text.into());
    }
    Err(format!("the path {text:?} is not absolute"))
}

/// Why no agent may be sent there to work, if it may not: an agent may do in its worktree what it likes.
fn nobodys(path: &Path, origin: &str, ours: &Path) -> Option<&'static str> {
    if ours.starts_with(path) {
        return Some("is not a worktree: kugetsu's own files are in it");
    }
    let real = path.canonicalize().ok()?;
    if real != path {
        return Some("has a symbolic link in it, or is not written plainly");
    }
    if Path::new(origin).canonicalize().is_ok_and(|origin| origin == real) {
        return Some("is where the repository comes from, and somebody's own");
    }
    let is_one = path.join(".git").symlink_metadata().is_ok();
    (!is_one).then_some("is not a worktree: there is no `.git` in it")
}

fn line(text: &str, what: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
        return Err(format!("the {what} is empty, longer than {LONGEST} bytes or no plain text"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_agent_is_sent_to_what_is_somebodys_own() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        let (ours, origin) = (root.join("home/.kugetsu/state"), root.join("checkout"));
        let (good, plain) = (root.join("good"), root.join("plain"));
        for directory in [&ours, &origin.join(".git"), &plain] {
            fs::create_dir_all(directory).unwrap();
        }
        fs::create_dir(&good).unwrap();
        fs::write(good.join(".git"), "gitdir: /elsewhere").unwrap();
        symlink(&good, root.join("link")).unwrap();
        let origin_text = origin.to_str().unwrap().to_owned();
        let refused = |path: &Path| nobodys(path, &origin_text, &ours).is_some();
        assert!(!refused(&good));
        let home = root.join("home");
        let winding = root.join("plain/../good");
        for path in [Path::new("/"), &home, &ours, &origin, &plain, &root.join("link"), &winding] {
            assert!(refused(path), "{}", path.display());
        }
    }
}
