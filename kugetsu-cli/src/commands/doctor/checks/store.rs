//! The store: its file, and the records in it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kugetsu_queue::json;
use kugetsu_queue::sqlite::care::{self, FileFault, Kind};

use super::super::bounded::{NoAnswer, aside};
use super::super::finding::{
    CHECK_HUNG, Check, Cure, EVENT_UNREADABLE, Finding, LANE_STUCK, NOTICE_UNREADABLE,
    SESSION_UNREADABLE, STORE_CLOSED, STORE_DAMAGED, STORE_GONE, STORE_NEWER, STORE_TORN,
    STORE_TORN_KEPT, STORE_TWO, STORE_UNKNOWN, TASK_UNREADABLE,
};
use super::directory::word;
use super::{Examination, Found};
use crate::args::StoreKind;
use crate::errors::CliError;
use crate::paths::Paths;
use crate::setup::Gone;

/// How long a look at every page of the file may take.
const PATIENCE: Duration = Duration::from_secs(50);

/// How many records of a kind are named one by one.
const NAMED: usize = 5;

const FIX: &str = "kugetsu doctor --fix";

pub(in super::super) async fn check(of: &Examination<'_>) -> Found {
    let paths = of.setup.paths()?;
    if !paths.are_made() {
        return Ok(Vec::new());
    }
    let kind = of.setup.place()?.setting("store").unwrap_or("sqlite").to_owned();
    let kind = match kind.as_str() {
        "sqlite" => StoreKind::Sqlite,
        "json" => StoreKind::Json,
        other => return Ok(self::other(of, other).await),
    };
    if let Some(gone) = Gone::find(kind, paths) {
        of.has_store.set(false);
        return Ok(vec![told_gone(&gone)]);
    }
    let mut found = match kind {
        StoreKind::Sqlite => database(of, paths.database()).await?,
        StoreKind::Json => journal(of, paths.root()).await?,
    };
    found.extend(two(kind, paths));
    Ok(found)
}

/// What the journal says of itself.
async fn journal(of: &Examination<'_>, directory: &Path) -> Found {
    let (told, path) = (word(&of.setup.paths()?.journal()), directory.to_owned());
    let examined = match aside(PATIENCE, move || json::care::examine(&path)).await {
        Ok(examined) => examined,
        Err(NoAnswer::Hung) => {
            let text = format!("{told} was not read to its end within {} s", PATIENCE.as_secs());
            return Ok(vec![Finding::new(CHECK_HUNG, text, "see what keeps the disk busy")]);
        }
        Err(NoAnswer::Crashed) => return Err(CliError::failed("looking at the store panicked")),
    };
    of.has_store.set(examined.fault.is_none());
    let mut found: Vec<Finding> =
        examined.fault.map(|fault| of_file(&told, fault)).into_iter().collect();
    if examined.torn > 0 {
        let text = format!("{told} ends with {} bytes of a line whose writer died", examined.torn);
        found.push(Finding::new(STORE_TORN, text, FIX).cured_by(Cure::CutJournal));
    }
    if let Some(kept) = examined.kept {
        let kept = word(&kept);
        let text = format!("what was cut off behind {told} is kept in {kept}");
        found.push(Finding::new(STORE_TORN_KEPT, text, format!("rm {kept}")));
    }
    Ok(found)
}

/// Whether there is another store beside the one that is used.
fn two(kind: StoreKind, paths: &Paths) -> Option<Finding> {
    let (used, other, to) = match kind {
        StoreKind::Sqlite => (paths.database(), paths.journal(), "json"),
        StoreKind::Json => (paths.journal(), paths.database(), "sqlite"),
    };
    (used.exists() && other.exists()).then(|| {
        let (used, other) = (word(&used), word(&other));
        let text = format!("{other} is there beside {used}, which is the one that is used");
        let mend = format!(
            "move it and the files of its name away, if a conversion has left it; \
             `kugetsu store convert --to {to}` does so by itself"
        );
        Finding::new(STORE_TWO, text, mend)
    })
}

/// What the database says of itself.
async fn database(of: &Examination<'_>, path: PathBuf) -> Found {
    let told = word(&path);
    let examined = match aside(PATIENCE, move || care::examine(&path)).await {
        Ok(examined) => examined,
        Err(NoAnswer::Hung) => {
            return Ok(vec![Finding::new(
                CHECK_HUNG,
                format!("{told} was not read to its end within {} s", PATIENCE.as_secs()),
                format!("see what `sqlite3 {told} 'PRAGMA integrity_check'` says"),
            )]);
        }
        Err(NoAnswer::Crashed) => return Err(CliError::failed("looking at the store panicked")),
    };
    of.has_store.set(examined.fault.is_none());
    let mut found = Vec::new();
    if let Some(fault) = examined.fault {
        found.push(of_file(&told, fault));
    }
    for kind in [Kind::Task, Kind::Event, Kind::Session, Kind::Notice] {
        let check: &Check = match kind {
            Kind::Event => EVENT_UNREADABLE,
            Kind::Session => SESSION_UNREADABLE,
            Kind::Notice => NOTICE_UNREADABLE,
            _ => TASK_UNREADABLE,
        };
        let records: Vec<_> = examined.unreadable.iter().filter(|r| r.kind == kind).collect();
        for record in records.iter().take(NAMED) {
            let text = format!("the {kind} {} cannot be read: {}", record.name, record.why);
            found.push(Finding::new(check, text, FIX).cured_by(Cure::SetAside));
        }
        if records.len() > NAMED {
            let text = format!("{} more {kind}s cannot be read", records.len() - NAMED);
            found.push(Finding::new(check, text, FIX).cured_by(Cure::SetAside));
        }
    }
    for lane in examined.stuck_lanes {
        let text = format!("no task of {lane} may run, though there are some that could");
        found.push(Finding::new(LANE_STUCK, text, FIX).cured_by(Cure::FreeLanes));
    }
    Ok(found)
}

/// A store that was used, and is not there.
fn told_gone(gone: &Gone) -> Finding {
    let text = format!("{} is gone, though kugetsu has worked here", word(&gone.path));
    let found = Finding::new(STORE_GONE, text, gone.advice(word));
    if gone.is_for_good() { found.cured_by(Cure::Salvage) } else { found }
}

fn of_file(told: &str, fault: FileFault) -> Finding {
    match fault {
        FileFault::Gone => Finding::new(
            STORE_GONE,
            format!("{told} is gone, though it was made before"),
            "put it back from a backup; `kugetsu doctor --fix` brings back what it finds",
        )
        .cured_by(Cure::Salvage),
        FileFault::Newer { found, known } => Finding::new(
            STORE_NEWER,
            format!("{told} has format {found}, and this kugetsu knows formats up to {known}"),
            "use the newer kugetsu that has written it",
        ),
        FileFault::Damaged { detail } => Finding::new(
            STORE_DAMAGED,
            format!("{told} is damaged: {detail}"),
            "put it back from a backup, or have `kugetsu doctor --fix` save what can be read",
        )
        .cured_by(Cure::Salvage),
        FileFault::Closed { detail } => Finding::new(
            STORE_CLOSED,
            format!("{told} cannot be read: {detail}"),
            "see to it that it is a file of yours that nothing else locks",
        ),
        _ => Finding::new(STORE_CLOSED, format!("{told} cannot be used"), "use the newest kugetsu"),
    }
}

/// A store that is none of these: whether it opens and reads is all that can be told.
async fn other(of: &Examination<'_>, kind: &str) -> Vec<Finding> {
    match of.setup.stores().await {
        Ok(_) => {
            of.has_store.set(true);
            let text = format!("the store `{kind}` opens; what is in it was not examined");
            vec![Finding::new(STORE_UNKNOWN, text, "nothing has to be done")]
        }
        Err(error) => {
            // What an error advises is to ask the doctor, who is asked here.
            let mend = match error.advice() {
                Some(advice) if !advice.contains("doctor") => advice,
                _ => "see what is wrong there",
            };
            vec![Finding::new(STORE_CLOSED, error.message(), mend)]
        }
    }
}
