//! The queue and its daemon.

use std::time::Duration;

use kugetsu_core::{Clock as _, Moment, SlotKey, SlotPool as _, Task, TaskQuery};
use kugetsu_queue::{Hold, HoldKind};

use super::super::finding::{
    CHECK_FAILED, CIRCUIT, Cure, Finding, HUNG, LEFTOVERS, LONG_PAUSED, NO_ROOM, NOT_RUNNING,
    PAUSED, STALE_PID,
};
use super::directory::word;
use super::{Examination, Found};
use crate::commands::daemon;
use crate::errors::CliError;
use crate::screen::{escape, time};
use crate::setup::{Setup, clock};

/// After how long a pause may have been forgotten.
const LONG: Duration = Duration::from_hours(24);

/// For how long work may be due while an agent could take it, before the daemon counts as hung.
const IDLE: Duration = Duration::from_mins(15);

pub(in super::super) async fn check(of: &Examination<'_>) -> Found {
    let setup = of.setup;
    if !setup.paths()?.are_made() {
        return Ok(Vec::new());
    }
    let mut found: Vec<Finding> = stale_pid(setup)?.into_iter().collect();
    let daemon = daemon(setup)?;
    if let Some(daemon) = &daemon
        && is_stopped(daemon.pid)
    {
        found.push(Finding::new(
            HUNG,
            format!("the daemon (process {}) is stopped by a signal", daemon.pid),
            format!("kill -CONT {}", daemon.pid),
        ));
    }
    found.extend(leftovers(setup).await);
    if !of.has_store.get() {
        return Ok(found);
    }
    let holds = setup.holds().await?.active().await?;
    let now = clock()?.moment();
    found.extend(no_room(setup, &holds, daemon.is_some())?);
    for hold in &holds {
        if hold.kind == HoldKind::Circuit {
            let (since, reason) = (time::clock(hold.since), escape::line(&hold.reason));
            let text = format!("the queue rests since {since}: {reason}");
            found.push(Finding::new(CIRCUIT, text, "kugetsu queue resume, when it is mended"));
        }
        if hold.kind != HoldKind::Pause {
            continue;
        }
        let since =
            Duration::from_millis(now.at.as_millis().saturating_sub(hold.since.as_millis()));
        let check = if since >= LONG { LONG_PAUSED } else { PAUSED };
        let reason = match hold.reason.as_str() {
            "" => String::new(),
            reason => format!(": {}", escape::line(reason)),
        };
        let text = format!("the queue is paused since {}{reason}", time::clock(hold.since));
        found.push(Finding::new(check, text, "kugetsu queue resume"));
    }
    let open = setup.queue().await?.store().list(&TaskQuery::open()).await?;
    if daemon.is_none() {
        if !open.is_empty() {
            let count = u64::try_from(open.len()).unwrap_or(u64::MAX);
            let text = format!("the daemon does not run, and {} open", waiting(count));
            found.push(Finding::new(NOT_RUNNING, text, "kugetsu queue-daemon start"));
        }
    } else if holds.is_empty() {
        let is_free = !is_full(setup).await?;
        found.extend(hung(&open, now, is_free));
    }
    Ok(found)
}

/// What an agent that started now would wait for. Where a daemon runs, its server may be up, and it
/// says itself that an agent waits.
fn no_room(setup: &Setup, holds: &[Hold], daemon: bool) -> Result<Option<Finding>, CliError> {
    let told = holds.iter().find(|hold| hold.kind == HoldKind::Room);
    let lack = match told {
        Some(hold) => Some(hold.reason.clone()),
        None => setup.admission()?.and_then(|admission| Some(admission.lack(daemon)?.to_string())),
    };
    let mend = "make room, or lower memory_reserve_mb or disk_reserve_mb";
    Ok(lack.map(|lack| Finding::new(NO_ROOM, format!("waiting: {}", escape::line(&lack)), mend)))
}

fn waiting(count: u64) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("{} {verb}", time::counted(count, "task"))
}

/// Whether every slot is held, so that it is right that nothing more is begun.
async fn is_full(setup: &Setup) -> Result<bool, CliError> {
    let slots = setup.slots()?;
    let held = slots.holders(&SlotKey::Dev).await?.len();
    Ok(held >= usize::try_from(slots.limit(&SlotKey::Dev)).unwrap_or(usize::MAX))
}

/// What is due for long, though it could be taken.
fn hung(open: &[Task], now: Moment, is_free: bool) -> Option<Finding> {
    if !is_free {
        return None;
    }
    let mut lanes = std::collections::BTreeSet::new();
    // Only the first task of each lane can be taken; one with a living lease is being carried out.
    let first = open.iter().filter(|task| lanes.insert(task.lane()));
    let late = first.filter(|task| {
        let past = Moment {
            at: kugetsu_core::Timestamp::from_millis(
                now.at.as_millis().saturating_sub(millis(IDLE)),
            ),
            tick: kugetsu_core::Tick {
                boot: now.tick.boot,
                millis: now.tick.millis.saturating_sub(millis(IDLE)),
            },
        };
        task.due().is_some_and(|due| due.reached(past))
    });
    let count = u64::try_from(late.count()).unwrap_or(u64::MAX);
    (count > 0).then(|| {
        let text = format!(
            "the daemon runs, and {} due for more than {} minutes though a slot is free",
            waiting(count),
            IDLE.as_secs() / 60
        );
        Finding::new(HUNG, text, "kugetsu queue-daemon restart --now")
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A note of a daemon that is gone. The lock is the kernel's, and free.
fn stale_pid(setup: &Setup) -> Result<Option<Finding>, CliError> {
    let path = setup.paths()?.queue().join("daemon.pid");
    let Ok(note) = crate::paths::read(&path) else { return Ok(None) };
    let whose: Option<u32> = note.split_whitespace().next().and_then(|pid| pid.parse().ok());
    let now = daemon(setup)?.map(|daemon| daemon.pid);
    if whose.is_some() && whose == now {
        return Ok(None);
    }
    let text = match whose {
        Some(pid) => format!("{} names process {pid}, which is no daemon", word(&path)),
        None => format!("{} names no process", word(&path)),
    };
    let mend = format!("rm {}", word(&path));
    Ok(Some(Finding::new(STALE_PID, text, mend).cured_by(Cure::Remove(path))))
}

/// Processes of agents whose kugetsu is gone.
async fn leftovers(setup: &Setup) -> Vec<Finding> {
    let failed = |error: String| {
        let mend = "see to it that you may read its directory";
        vec![Finding::new(CHECK_FAILED, error, mend)]
    };
    let mut told = Vec::new();
    if let Ok(Some(opencode)) = setup.opencode_agent() {
        match opencode.leftovers().await {
            Ok(left) => told.extend(left),
            Err(error) => return failed(error.to_string()),
        }
    }
    for trees in setup.trees_of_programs().unwrap_or_default() {
        let left = tokio::task::spawn_blocking(move || trees.leftovers()).await;
        match left.map_err(std::io::Error::other).flatten() {
            Ok(left) => told.extend(left),
            Err(error) => return failed(error.to_string()),
        }
    }
    let living = told.into_iter().filter(|left| !left.processes.is_empty());
    living
        .map(|left| {
            let names: Vec<String> = left
                .processes
                .iter()
                .map(|process| format!("{} ({})", process.0, escape::line(&process.1)))
                .collect();
            let text = format!("processes of an agent are left over: {}", names.join(", "));
            Finding::new(LEFTOVERS, text, "kugetsu doctor --fix ends them, as the next start does")
                .cured_by(Cure::EndLeftovers)
        })
        .collect()
}

/// Whether the process is stopped, as by `kill -STOP`.
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next());
    matches!(state, Some("T" | "t"))
}

#[cfg(test)]
mod tests {
    use kugetsu_core::{Clock as _, Moment, Request, Task, TaskId, Tick, Timestamp};
    use kugetsu_queue::SystemChance;

    use super::{IDLE, hung, millis};
    use crate::setup::clock;

    #[test]
    fn a_daemon_is_hung_if_what_it_could_do_stays_undone() {
        let asked = clock().unwrap().moment();
        let task = |number: u32| {
            let issue = format!("example.com/acme/widgets#{number}").parse().unwrap();
            Task::new(TaskId::new(asked.at, &SystemChance), Request::dev(issue, "Do it."), asked)
        };
        let after = |wait: u64| Moment {
            at: Timestamp::from_millis(asked.at.as_millis() + wait),
            tick: Tick { boot: asked.tick.boot, millis: asked.tick.millis + wait },
        };
        // Of one issue only the first task can be taken.
        let open = [task(1), task(1), task(2)];
        let late = millis(IDLE) + 60_000;
        let told = hung(&open, after(late), true).unwrap();
        assert!(told.found.contains("2 tasks are due"), "{}", told.found);
        assert!(hung(&open, after(60_000), true).is_none());
        assert!(hung(&open, after(late), false).is_none());
        assert!(hung(&[], after(late), true).is_none());
    }
}
