//! `kugetsu logs`: what agents said and did.

mod events;
mod follow;
mod list;
mod show;

use kugetsu_core::{Event, IssueRef, Request, TaskId, TaskQuery, TaskQueue};
use kugetsu_queue::{LogFile, Logs};

use crate::args;
use crate::errors::CliError;
use crate::setup::Setup;
use crate::tasks;

/// How many logs are listed, unless said.
const LISTED: usize = 10;

pub(super) async fn logs(args: args::Logs, setup: &Setup) -> Result<(), CliError> {
    setup.must_be_made()?;
    let what = What::parse(args.what.as_deref(), setup).await?;
    match what {
        What::Whose(whose) if setup.screen().json => {
            events::show(Some(&whose), args.lines, args.follow, setup).await
        }
        What::Last(None) if setup.screen().json && !args.follow => {
            events::show(None, args.lines, false, setup).await
        }
        What::Whose(whose) if args.follow => follow::follow(&whose, args.lines, setup).await,
        What::Whose(whose) => show::show(&whose, args.lines, setup),
        What::Last(_) if args.follow || args.lines.is_some() || setup.screen().json => {
            Err(CliError::usage("it is not said whose log is meant")
                .hint("name an issue, a task's id, or `pm`"))
        }
        What::Last(count) => list::list(count.unwrap_or(LISTED), setup).await,
    }
}

/// What is asked for.
enum What {
    /// The last so many logs.
    Last(Option<usize>),
    /// Those of somebody.
    Whose(Whose),
}

/// Whose logs.
pub(super) enum Whose {
    Issue(IssueRef),
    Pm,
    Task(TaskId),
}

impl What {
    async fn parse(text: Option<&str>, setup: &Setup) -> Result<Self, CliError> {
        let Some(text) = text else { return Ok(Self::Last(None)) };
        if let (false, Ok(count)) = (tasks::may_be_id(text), text.parse()) {
            return Ok(Self::Last(Some(count)));
        }
        Ok(Self::Whose(match (text, text.parse()) {
            ("pm", _) => Whose::Pm,
            // Its log may be there still when the task is forgotten.
            (_, Ok(task)) => Whose::Task(task),
            _ if tasks::may_be_id(text) => {
                Whose::Task(tasks::named(&setup.queue().await?, text).await?.id)
            }
            _ => Whose::Issue(setup.issue(text)?),
        }))
    }
}

impl Whose {
    /// Their logs, the newest first.
    fn logs(&self, logs: &Logs) -> Result<Vec<LogFile>, CliError> {
        let lane = match self {
            Self::Issue(issue) => Some(Logs::lane(&Request::dev(issue.clone(), ""))),
            Self::Pm => Some(Logs::lane(&Request::pm(""))),
            Self::Task(_) => None,
        };
        let mut found = listed(logs, lane.as_deref())?;
        if let Self::Task(task) = self {
            found.retain(|log| log.task == *task);
        }
        Ok(found)
    }

    /// Whether something of theirs is still to be done.
    async fn is_open(&self, queue: &TaskQueue) -> Result<bool, CliError> {
        let store = queue.store();
        Ok(match self {
            Self::Issue(issue) => {
                !store.list(&TaskQuery::open().with_issue(issue.clone())).await?.is_empty()
            }
            Self::Pm => {
                let open = store.list(&TaskQuery::open()).await?;
                open.iter().any(|task| task.request.issue().is_none())
            }
            Self::Task(id) => store.load(*id).await?.is_some_and(|task| !task.is_settled()),
        })
    }

    /// Whether this happened to one of theirs.
    fn means(&self, event: &Event) -> bool {
        match self {
            Self::Issue(issue) => event.issue.as_ref() == Some(issue),
            Self::Pm => event.issue.is_none(),
            Self::Task(task) => event.task == *task,
        }
    }
}

impl std::fmt::Display for Whose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Issue(issue) => issue.fmt(f),
            Self::Pm => f.write_str("the PM"),
            Self::Task(task) => write!(f, "task {task}"),
        }
    }
}

fn listed(logs: &Logs, lane: Option<&str>) -> Result<Vec<LogFile>, CliError> {
    logs.list(lane).map_err(|error| CliError::io("list the logs", &error))
}
