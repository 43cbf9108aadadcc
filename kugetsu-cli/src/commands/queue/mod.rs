//! `kugetsu queue`: what is queued, and what became of it. One verb a file.

mod cancel;
mod clear;
mod enqueue;
mod hold;
mod list;
mod retry;
mod show;
mod stats;

use kugetsu_core::{Attempt, Failure, Outcome};

pub(super) use enqueue::{enqueue, ordered, put, remark as remark_new, store};
pub(super) use hold::{json_of, remark};
pub(super) use show::ending;

use crate::args::Queue;
use crate::errors::CliError;
use crate::screen::{escape, time};
use crate::setup::Setup;

pub(super) async fn queue(args: Queue, setup: &Setup) -> Result<(), CliError> {
    setup.must_be_made()?;
    match args {
        Queue::List { open } => list::list(open, setup).await,
        Queue::Stats => stats::stats(setup).await,
        Queue::Enqueue(args) => enqueue::asked(args, setup).await,
        Queue::Show { task } => show::show(&task, setup).await,
        Queue::Cancel { task } => cancel::cancel(&task, setup).await,
        Queue::Retry { task } => retry::retry(&task, setup).await,
        Queue::Pause { reason } => hold::pause(&reason, setup).await,
        Queue::Resume => hold::resume(setup).await,
        Queue::Clear { older_than, all } => clear::clear(older_than, all, setup).await,
    }
}

/// How many tasks cannot be read, and are in no list.
async fn unreadable(setup: &Setup) -> Result<u64, CliError> {
    match &setup.stores().await?.records {
        Some(records) => Ok(records.unreadable_tasks().await?),
        None => Ok(0),
    }
}

fn remark_unreadable(setup: &Setup, count: u64) {
    if count > 0 {
        let tasks = time::counted(count, "task");
        setup.screen().remark(format!(
            "warning: {tasks} cannot be read, and nobody carries it out; run `kugetsu doctor`"
        ));
    }
}

/// An event of the queue in words: how a task went on.
pub(super) fn settled(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Completed { report } => {
            format!("completed ({})", time::counted(report.commits.into(), "commit"))
        }
        Outcome::Error { failure } => format!("error: {}", escape::line(&failure.reason)),
        Outcome::Cancelled => "cancelled".into(),
        _ => "ended in an unknown way".into(),
    }
}

/// A failed attempt in words.
pub(super) fn failed(attempt: Attempt, failure: &Failure) -> String {
    format!("attempt {attempt} failed: {}", escape::line(&failure.reason))
}
