//! One breakage after the other: found, and mended or left alone.

use std::path::Path;

use rusqlite::Connection;

use crate::desk::{Desk, ISSUE, Ran, desk, initialised, initialised_at};

/// What is to become of a breakage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// `--fix` mends it.
    Mended,
    /// It is told, and nothing is changed.
    Told,
}

/// Breaks something of a desk at which an agent has worked, and looks at what doctor says and does.
/// Returns the desk after `--fix` and what that told.
#[track_caller]
pub(super) fn check(check: &str, fate: Fate, breaks: impl FnOnce(&Desk)) -> (Desk, Ran) {
    check_at(worked(), check, fate, breaks)
}

/// The same at this desk.
#[track_caller]
pub(super) fn check_at(
    desk: Desk,
    check: &str,
    fate: Fate,
    breaks: impl FnOnce(&Desk),
) -> (Desk, Ran) {
    breaks(&desk);
    let before = ids(&desk.run(&["doctor", "--json"]), "findings");
    assert!(before.iter().any(|id| id == check), "{check}: {before:?}");
    let fixed = desk.run(&["doctor", "--fix", "--json"]);
    let left = ids(&desk.run(&["doctor", "--json"]), "findings");
    match fate {
        Fate::Mended => {
            let mended = ids(&fixed, "mended");
            assert!(mended.iter().any(|id| id == check), "{}", fixed.shown());
            assert!(!left.iter().any(|id| id == check), "{}", fixed.shown());
        }
        Fate::Told => assert!(left.iter().any(|id| id == check), "{}", fixed.shown()),
    }
    (desk, fixed)
}

/// A desk at which one issue was worked on, and at which nothing is wrong.
#[track_caller]
pub(super) fn worked() -> Desk {
    worked_at(initialised())
}

/// The same where everything is in readable files.
#[track_caller]
pub(super) fn worked_in_files() -> Desk {
    worked_at(initialised_at(desk().with("KUGETSU_STORE", "json")))
}

#[track_caller]
fn worked_at(desk: Desk) -> Desk {
    desk.run(&["start", ISSUE, "MODEL: write a.txt precious"]).done();
    let told = desk.run(&["doctor", "--json"]);
    assert_eq!(ids(&told, "findings"), Vec::<String>::new(), "{}", told.shown());
    assert_eq!((told.code, told.json()["worst"].as_str()), (0, Some("ok")));
    desk
}

/// The names of what was found, or mended. How full this machine's disk is is nobody's breakage.
#[track_caller]
pub(super) fn ids(ran: &Ran, which: &str) -> Vec<String> {
    let told = ran.json();
    let findings = told[which].as_array().unwrap();
    let ids = findings.iter().map(|finding| finding["check"].as_str().unwrap().to_owned());
    ids.filter(|id| !id.starts_with("disk.")).collect()
}

/// Changes the store as nothing of ours does.
pub(super) fn sql(desk: &Desk, statement: &str) {
    let store = Connection::open(desk.kugetsu("kugetsu.db")).unwrap();
    assert!(store.execute(statement, []).unwrap() > 0, "{statement} changes nothing");
}

/// Everything is in the one file, as after a clean end.
pub(super) fn settle(desk: &Desk) {
    let store = Connection::open(desk.kugetsu("kugetsu.db")).unwrap();
    store.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(store);
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(desk.kugetsu(&format!("kugetsu.db{suffix}")));
    }
}

pub(super) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().unwrap().permissions().mode() & 0o7777
}

pub(super) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
