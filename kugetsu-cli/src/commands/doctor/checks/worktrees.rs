//! Worktrees and clones, as [`kugetsu_git`] examines them.

use std::sync::Arc;

use kugetsu_core::{IssueRef, SessionKind, SessionQuery};
use kugetsu_git::{HttpsSources, Remedy, RepositoryMap, Weight};

use super::super::finding::{Cure, Finding, Group, Severity, WORKTREES_CLOSED};
use super::{Examination, Found};
use crate::servers::Servers;

pub(in super::super) async fn check(of: &Examination<'_>) -> Found {
    let setup = of.setup;
    let paths = setup.paths()?;
    // A directory that is none, and what is wrong with repos.json or servers.json, are told elsewhere.
    let place = paths.worktrees();
    let is_told = (place.exists() && !place.is_dir())
        || RepositoryMap::read(&paths.sources(), Arc::new(HttpsSources)).is_err()
        || Servers::read(&paths.servers()).is_err();
    if !paths.are_made() || is_told {
        return Ok(Vec::new());
    }
    if let Err(error) = setup.worktrees() {
        let mend = error.advice().unwrap_or("correct the setting `worktrees`");
        return Ok(vec![Finding::new(WORKTREES_CLOSED, error.message(), mend)]);
    }
    let Some(git) = setup.git_worktrees()? else { return Ok(Vec::new()) };
    let examined = match git.examine(&issues(of).await).await {
        Ok(examined) => examined,
        Err(error) => {
            let mend = "see to it that you may read what is there";
            return Ok(vec![Finding::new(WORKTREES_CLOSED, error.to_string(), mend)]);
        }
    };
    Ok(examined.into_iter().map(told).collect())
}

/// The issues that kugetsu knows.
async fn issues(of: &Examination<'_>) -> Vec<IssueRef> {
    if !of.has_store.get() {
        return Vec::new();
    }
    let Ok(stores) = of.setup.stores().await else { return Vec::new() };
    let sessions = stores.sessions.find(&SessionQuery::all()).await.unwrap_or_default();
    sessions
        .into_iter()
        .filter_map(|session| match session.kind {
            SessionKind::Dev(issue) => Some(issue),
            _ => None,
        })
        .collect()
}

fn told(finding: kugetsu_git::Finding) -> Finding {
    let severity = match finding.fault.weight() {
        Weight::Note => Severity::Note,
        Weight::Warning => Severity::Warning,
        _ => Severity::Error,
    };
    let (mend, fixable) = match &finding.remedy {
        Remedy::Mend(what) => (format!("`kugetsu doctor --fix`: {what}"), true),
        Remedy::ByHand(what) => (what.clone(), false),
        _ => ("nothing has to be done".to_owned(), false),
    };
    Finding {
        check: finding.fault.id(),
        group: Group::Worktrees,
        severity,
        found: finding.found.clone(),
        why: finding.fault.why(),
        mend,
        fixable,
        mended: None,
        failed: None,
        cure: fixable.then(|| Cure::Worktrees(Box::new(finding))),
    }
}
