//! `kugetsu import`: moving over from the bash version.

mod files;
mod issues;
mod old;
mod queue;
mod report;
mod settings;

use std::path::{Path, PathBuf};

use files::{Found, OldDir};
use old::Reading;
use report::Report;

use crate::args;
use crate::caller::is_one_directory;
use crate::errors::CliError;
use crate::setup::Setup;

/// What every part of an import needs.
struct Import<'a> {
    setup: &'a Setup,
    old: OldDir,
    /// The server of references that name none.
    server: Option<String>,
    /// Whether the bash version's directory is our own: what lies in its place stays there.
    is_own: bool,
    dry_run: bool,
}

pub(super) async fn import(args: args::Import, setup: &Setup) -> Result<(), CliError> {
    let paths = setup.paths()?;
    let dir =
        args.dir.map_or_else(|| paths.root().to_owned(), |dir| setup.around().directory.join(dir));
    let shown = setup.screen().path(&dir);
    let old = OldDir::open(&dir)
        .map_err(|error| CliError::failed(format!("{shown} cannot be read: {error}")))?;
    if old.is_store() {
        return Err(CliError::failed(format!("what is in {shown} is of this very kugetsu"))
            .hint("`kugetsu store convert` copies it into another store"));
    }
    if !old.is_old() {
        return Err(CliError::failed(format!("no bash version of kugetsu was at work in {shown}"))
            .hint("it would have an index.json, sessions or queue/items there"));
    }
    if !args.dry_run {
        setup.must_be_initialised().await?;
        not_at_work(&old, &shown)?;
    }
    let is_own = is_one_directory(&dir, paths.root());
    let server = setup.settings()?.default_server().map(str::to_owned);
    let import = Import { setup, old, server, is_own, dry_run: args.dry_run };
    let report = import.run().await?;
    report.show(setup.screen(), args.dry_run)
}

impl Import<'_> {
    /// Imports everything, in an order in which nothing is there before what it needs.
    async fn run(&self) -> Result<Report, CliError> {
        let mut report = Report::default();
        self.settings(&mut report)?;
        self.env_files(&mut report)?;
        self.repositories(&mut report)?;
        self.issues(&mut report).await?;
        self.tasks(&mut report).await?;
        self.notices(&mut report).await?;
        Ok(report)
    }

    fn reading(&self) -> Reading<'_> {
        Reading { old: &self.old, default_server: self.server.as_deref() }
    }
}

/// Where a bash version has left something: our own directory, or the one that it used by itself.
pub(super) fn find(setup: &Setup) -> Option<PathBuf> {
    let own = setup.paths().ok()?.root().to_owned();
    let home = setup.around().variable("HOME").map(|home| Path::new(home).join(".kugetsu"));
    std::iter::once(own).chain(home).find(|dir| OldDir::open(dir).is_ok_and(|old| old.is_old()))
}

/// Refuses while the daemon of the bash version runs, which would do the same tasks.
fn not_at_work(old: &OldDir, shown: &str) -> Result<(), CliError> {
    let Found::Text(pid) = old.text("queue/daemon.pid") else { return Ok(()) };
    let Ok(pid) = pid.trim().parse::<u32>() else { return Ok(()) };
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    if !String::from_utf8_lossy(&command).contains("kugetsu") {
        return Ok(());
    }
    Err(CliError::failed(format!("the daemon of {shown} is at work (process {pid})"))
        .hint("stop it first with `kugetsu queue-daemon stop`, of the version that started it"))
}
