//! `kugetsu doctor`: what is wrong, why it matters, and mending it.
//!
//! A check returns what it found, as data; whoever asks for `--fix` has each finding's cure carried out,
//! and everything is examined again: what is told to be mended was looked at once more.

mod bounded;
mod checks;
mod cure;
mod finding;
mod permissions;
mod report;

use std::collections::BTreeSet;
use std::time::Duration;

use kugetsu_core::IssueRef;
use kugetsu_git::Fault;

use self::bounded::NoAnswer;
use self::checks::Examination;
use self::finding::{CHECK_FAILED, CHECK_HUNG, Cure, Finding, Severity};
use crate::args::Doctor;
use crate::errors::CliError;
use crate::setup::Setup;

/// How long one group of checks may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often it is mended and examined again: what is mended first may uncover more.
const ROUNDS: usize = 4;

pub(super) async fn doctor(args: Doctor, setup: &Setup) -> Result<(), CliError> {
    if args.fix_permissions {
        setup.make_do();
        permissions::fix(setup).await?;
        if !args.fix {
            return Ok(());
        }
    }
    let mut mended: Vec<Finding> = Vec::new();
    let mut left = Box::pin(examine(setup)).await;
    for _ in 0..if args.fix { ROUNDS } else { 0 } {
        if !left.iter().any(|finding| finding.cure.is_some()) {
            break;
        }
        let tried = cure::all(std::mem::take(&mut left), setup).await;
        left = Box::pin(examine(setup)).await;
        let mut has_helped = false;
        for tried in tried {
            match left.iter_mut().find(|finding| finding.is_same(&tried)) {
                Some(still) => still.failed = tried.failed,
                None if tried.mended.is_some() => {
                    has_helped = true;
                    mended.push(tried);
                }
                None => {}
            }
        }
        if !has_helped {
            break;
        }
    }
    report::show(&mended, &left, args.fix, setup)?;
    match left.iter().map(|finding| finding.severity).max() {
        Some(Severity::Error) => Err(CliError::silent()),
        _ => Ok(()),
    }
}

/// Everything that is wrong, by group and the worst first.
async fn examine(setup: &Setup) -> Vec<Finding> {
    let examination = Examination::new(setup);
    let mut found = Vec::new();
    macro_rules! look {
        ($($name:literal: $check:expr;)*) => {
            $(match bounded::within(PATIENCE, $check).await {
                Ok(Ok(more)) => found.extend(more),
                Ok(Err(error)) => found.push(failed($name, error.message())),
                Err(NoAnswer::Hung) => found.push(hung($name)),
                Err(NoAnswer::Crashed) => found.push(failed($name, "it panicked")),
            })*
        };
    }
    look! {
        "directory": checks::directory::check(&examination);
        "settings": checks::settings::check(&examination);
        "store": checks::store::check(&examination);
        "programs": checks::programs::check(&examination);
        "sessions": checks::sessions::check(&examination);
        "worktrees": checks::worktrees::check(&examination);
        "queue": checks::queue::check(&examination);
        "servers": checks::servers::check(&examination);
    }
    told_once(&mut found);
    found.sort_by(|a, b| a.group.cmp(&b.group).then(b.severity.cmp(&a.severity)));
    found
}

/// A session without a worktree is told as that alone: making the worktree again mends what git has
/// left of the one that is gone.
fn told_once(found: &mut Vec<Finding>) {
    let gone: BTreeSet<IssueRef> = found
        .iter()
        .filter_map(|finding| match &finding.cure {
            Some(Cure::MakeWorktree(issue)) => Some(issue.clone()),
            _ => None,
        })
        .collect();
    found.retain(|finding| match &finding.cure {
        Some(Cure::Worktrees(of)) if of.fault == Fault::DirectoryGone => {
            of.issue.as_ref().is_none_or(|issue| !gone.contains(issue))
        }
        _ => true,
    });
}

fn failed(name: &str, why: &str) -> Finding {
    let mend = "see what is wrong there, and run `kugetsu doctor` again";
    Finding::new(CHECK_FAILED, format!("the checks of the {name} failed: {why}"), mend)
}

fn hung(name: &str) -> Finding {
    let found = format!("the checks of the {name} took longer than {} s", PATIENCE.as_secs());
    Finding::new(CHECK_HUNG, found, "look for a disk, a network drive or a program that hangs")
}
