//! `kugetsu slots`: who holds the places for agents, and a place for a command of the user's own.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use kugetsu_core::{Slot, SlotHolder, SlotKey, SlotPool};
use rustix::io::{FdFlags, fcntl_setfd};
use serde_json::json;

use crate::args::{RunInSlot, SlotClass};
use crate::errors::{CliError, Kind};
use crate::screen::table::Rows;
use crate::screen::{escape, time};
use crate::setup::Setup;

pub(super) async fn slots(setup: &Setup) -> Result<(), CliError> {
    setup.must_be_made()?;
    let (screen, pool) = (setup.screen(), setup.slots()?);
    let mut classes = Vec::new();
    for key in [SlotKey::Dev, SlotKey::Pm] {
        classes.push((pool.limit(&key), pool.holders(&key).await?, key));
    }
    if screen.json {
        let told: Vec<_> = classes
            .iter()
            .map(|(limit, holders, key)| {
                json!({
                    "class": key.to_string(),
                    "limit": limit,
                    "held": holders.iter().map(json_of).collect::<Vec<_>>(),
                })
            })
            .collect();
        return screen.answer(&json!({ "slots": told }));
    }
    let mut rows = Rows::new(["CLASS", "PLACE", "HOLDER", "PID", "SINCE"]);
    for (limit, holders, key) in &classes {
        for (place, holder) in places(*limit, holders) {
            rows.row(row(key, place, holder));
        }
    }
    rows.show(screen)
}

/// `kugetsu slots run`: takes a slot and becomes the command, which inherits it. Only an error returns.
pub(super) fn run(args: &RunInSlot, setup: &Setup) -> Result<(), CliError> {
    if !setup.around().is_of_process {
        return Err(CliError::failed("`slots run` becomes the command, and needs its own process"));
    }
    setup.must_be_made()?;
    let (program, words) =
        args.command.split_first().ok_or_else(|| CliError::usage("there is no command to run"))?;
    let slot = taken(args.class, program.as_ref(), setup)?;
    if let Some(file) = slot.file() {
        fcntl_setfd(file, FdFlags::empty())
            .map_err(|error| CliError::io("hand on the slot", &error.into()))?;
    }
    let error = Command::new(program).args(words).exec();
    let shown = setup.screen().path(program.as_ref());
    Err(match error.kind() {
        io::ErrorKind::NotFound => {
            CliError::new(Kind::Missing, format!("there is no program {shown}"))
        }
        _ => CliError::io(format_args!("run {shown}"), &error),
    })
}

/// A slot in the program's name. What else the command is told may be secret.
fn taken(class: SlotClass, program: &Path, setup: &Setup) -> Result<Slot, CliError> {
    let key = match class {
        SlotClass::Dev => SlotKey::Dev,
        SlotClass::Pm => SlotKey::Pm,
    };
    let name = program.file_name().unwrap_or(program.as_os_str());
    let holder = format!("slots run {}", name.to_string_lossy());
    let pool = setup.slots()?;
    // Mostly one is free, and no runtime is needed.
    match pool.try_take(&key, &holder)? {
        Some(slot) => Ok(slot),
        None => Ok(super::small()?.block_on(pool.acquire(&key, &holder))?),
    }
}

/// The places that are held or can be taken. After the limit was lowered, places above it may still
/// be held. They count: so many of those below stay empty.
fn places(limit: u32, holders: &[SlotHolder]) -> Vec<(u32, Option<&SlotHolder>)> {
    let is_empty = |place: &u32| holders.iter().all(|holder| holder.index != *place);
    let free = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(holders.len());
    let mut places: Vec<_> =
        (0..limit).filter(is_empty).take(free).map(|place| (place, None)).collect();
    places.extend(holders.iter().map(|holder| (holder.index, Some(holder))));
    places.sort_by_key(|(place, _)| *place);
    places
}

fn row(key: &SlotKey, place: u32, holder: Option<&SlotHolder>) -> [String; 5] {
    let dash = || "-".to_owned();
    let Some(holder) = holder else {
        return [key.to_string(), place.to_string(), "free".into(), dash(), dash()];
    };
    [
        key.to_string(),
        place.to_string(),
        escape::line(&holder.holder),
        holder.pid.map_or_else(dash, |pid| pid.to_string()),
        holder.since.map_or_else(dash, time::clock),
    ]
}

fn json_of(holder: &SlotHolder) -> serde_json::Value {
    json!({
        "place": holder.index,
        "holder": holder.holder,
        "pid": holder.pid,
        "since": holder.since.and_then(time::rfc3339),
    })
}

#[cfg(test)]
mod tests {
    use super::places;
    use kugetsu_core::{SlotHolder, SlotKey};

    #[test]
    fn no_more_places_are_free_than_can_be_taken() {
        let (held, free) = (true, false);
        let check = |limit, indices: &[u32], expected: &[(u32, bool)]| {
            let holders: Vec<_> = indices
                .iter()
                .map(|index| SlotHolder::new(SlotKey::Dev, *index, "a/b#1"))
                .collect();
            let shown: Vec<_> = places(limit, &holders)
                .into_iter()
                .map(|(place, holder)| (place, holder.is_some()))
                .collect();
            assert_eq!(shown, expected, "{indices:?} of {limit}");
        };
        check(2, &[], &[(0, free), (1, free)]);
        check(3, &[1], &[(0, free), (1, held), (2, free)]);
        check(1, &[2], &[(2, held)]);
        check(2, &[0, 2], &[(0, held), (2, held)]);
        check(2, &[2], &[(0, free), (2, held)]);
        check(1, &[0, 1, 2], &[(0, held), (1, held), (2, held)]);
    }
}
