//! One directory with all that the processes share, and an engine over it.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kugetsu_core::{
    Backoff, IssueRef, Request, SlotPool, TaskId, TaskStore, Unsaved, WorkerId, Worktree,
    WorktreeError, WorktreeProvider, WorktreeSpec, WorktreeStatus,
};
use kugetsu_queue::{
    Backends, Engine, FileSlots, Limits, SlotLimits, SqliteStore, SystemChance, SystemClock,
};
use tempfile::TempDir;

use super::agent::ChaosAgent;

pub(crate) const LEASE: Duration = Duration::from_millis(1500);

/// A directory in which an agent finds no slot of its own free is not this small.
const CANARIES: u32 = 32;

#[derive(Debug)]
pub(crate) struct Site {
    home: PathBuf,
    limit: u32,
    // Goes with whoever has made it.
    _directory: Option<TempDir>,
}

impl Site {
    pub(crate) fn new(limit: u32) -> Self {
        let directory = TempDir::with_prefix("kugetsu-chaos-").unwrap();
        let home = directory.path().canonicalize().unwrap();
        for place in ["canaries", "issues", "worktrees", "home"] {
            fs::create_dir(home.join(place)).unwrap();
        }
        fs::write(home.join("limit"), limit.to_string()).unwrap();
        let site = Self { home, limit, _directory: Some(directory) };
        site.blocking(async |engine| drop(engine.init().await.unwrap()));
        site
    }

    /// The one that another process has made.
    pub(crate) fn at(home: &Path) -> Self {
        let limit = fs::read_to_string(home.join("limit")).unwrap().parse().unwrap();
        Self { home: home.to_owned(), limit, _directory: None }
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    pub(crate) async fn store(&self) -> Arc<SqliteStore> {
        Arc::new(SqliteStore::open(self.home.join("kugetsu.db")).await.unwrap())
    }

    pub(crate) fn slots(&self) -> FileSlots {
        FileSlots::open(self.home.join("slots"), SlotLimits::new(self.limit)).unwrap()
    }

    pub(crate) async fn engine(&self, name: &str, seed: u64) -> Engine {
        let store = self.store().await;
        self.engine_over(store.clone(), store, Arc::new(self.slots()), name, seed)
    }

    pub(crate) fn engine_over(
        &self,
        store: Arc<SqliteStore>,
        tasks: Arc<dyn TaskStore>,
        slots: Arc<dyn SlotPool>,
        name: &str,
        seed: u64,
    ) -> Engine {
        let agent = Arc::new(ChaosAgent::new(&self.home, self.limit, seed));
        let backends = Backends::new(
            (tasks, store.clone()),
            slots,
            Arc::new(Directories(self.home.join("worktrees"))),
            agent,
            (Arc::new(SystemClock::new().unwrap()), Arc::new(SystemChance)),
        );
        let limits = Limits::default()
            .with_lease(LEASE, LEASE / 6)
            .with_heed(Duration::from_millis(50))
            .with_grace(Duration::from_millis(200));
        Engine::new(
            backends.with_memos(store),
            WorkerId::new(name).unwrap(),
            self.home.join("home"),
        )
        .with_limits(limits)
        .with_backoff(Backoff::new(Duration::from_millis(5), Duration::from_millis(20)))
        .with_interval(Duration::from_secs(1))
        .with_bell(self.home.join("bell"))
    }

    /// Queues these messages for these issues, and returns the tasks' ids once they are stored.
    pub(crate) fn enqueue(&self, tasks: impl IntoIterator<Item = (u64, String)>) -> Vec<TaskId> {
        let tasks: Vec<_> = tasks.into_iter().collect();
        self.blocking(async |engine| {
            let mut queued = Vec::new();
            for (issue, message) in tasks {
                let task = engine.queue().task(Request::dev(named(issue), message));
                engine.queue().enqueue(&task).await.unwrap();
                queued.push(task.id);
            }
            queued
        })
    }

    /// Does it in a runtime of its own.
    pub(crate) fn blocking<T>(&self, work: impl AsyncFnOnce(Engine) -> T) -> T {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async { work(self.engine("parent", 0).await).await })
    }

    /// The processes of this site that are alive.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let home = self.home.to_str().unwrap().as_bytes();
        let ours = |pid: &u32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            *pid != std::process::id() && environment.windows(home.len()).any(|part| part == home)
        };
        let all = fs::read_dir("/proc").unwrap().flatten();
        all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(ours).collect()
    }
}

fn named(number: u64) -> IssueRef {
    format!("git.example/acme/widgets#{}", number + 1).parse().unwrap()
}

/// The lock of the first free of some files, which the kernel frees with its process.
pub(crate) fn lowest_canary(home: &Path) -> (u32, File) {
    let mut lowest = (0..CANARIES).filter_map(|index| {
        let file = File::create(home.join(format!("canaries/{index}"))).unwrap();
        file.try_lock().ok().map(|()| (index, file))
    });
    lowest.next().expect("all canaries sing")
}

/// Adds a line to a file, and returns once it is on the disk.
pub(crate) fn write_down(path: &Path, line: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
    file.sync_data().unwrap();
}

/// Worktrees that are plain directories.
#[derive(Debug)]
struct Directories(PathBuf);

impl Directories {
    fn of(&self, issue: &IssueRef) -> Worktree {
        Worktree::new(issue.clone(), self.0.join(issue.stem()), issue.branch(), &self.0)
    }
}

#[async_trait]
impl WorktreeProvider for Directories {
    async fn prepare(&self, spec: &WorktreeSpec) -> Result<Worktree, WorktreeError> {
        let worktree = self.of(&spec.issue);
        fs::create_dir_all(&worktree.path).unwrap();
        Ok(worktree)
    }

    async fn inspect(&self, issue: &IssueRef) -> Result<Option<WorktreeStatus>, WorktreeError> {
        Ok(Some(WorktreeStatus::new(self.of(issue))))
    }

    async fn remove(&self, _: &IssueRef, _: Unsaved) -> Result<(), WorktreeError> {
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Worktree>, WorktreeError> {
        Ok(Vec::new())
    }
}
