//! The store: gone, damaged, newer, and records that make no sense.

use std::fs;
use std::os::unix::fs::FileExt as _;

use serde_json::Value;

use super::breakage::Fate::{Mended, Told};
use super::breakage::{check, settle, sql, worked};
use crate::desk::{Desk, ISSUE};

/// What is done to a file of this length.
type Damage<'a> = &'a dyn Fn(&fs::File, u64);

/// Two tasks that wait, beside the one that is done.
fn with_tasks(desk: &Desk) {
    for number in 1..=2 {
        let issue = format!("example.com/acme/widgets#{number}");
        desk.run(&["queue", "enqueue", &issue, "Do it."]).done();
    }
}

fn tasks(desk: &Desk) -> usize {
    desk.run(&["queue", "list", "--json"]).done().json()["tasks"].as_array().unwrap().len()
}

/// The work is where it was.
fn assert_work_is_there(desk: &Desk) {
    assert_eq!(fs::read_to_string(desk.worktree().join("a.txt")).unwrap().trim(), "precious");
}

#[test]
fn a_store_that_is_gone_is_never_an_empty_queue() {
    for names in [&["kugetsu.db"][..], &["kugetsu.db", "kugetsu.db.lock"]] {
        let (desk, fixed) = check("store.gone", Mended, |desk| {
            settle(desk);
            for name in names {
                fs::remove_file(desk.kugetsu(name)).unwrap();
            }
            for words in [&["queue", "list"][..], &["status"], &["list"], &["init"]] {
                let ran = desk.run(words);
                assert_eq!((ran.code, ran.out.as_str()), (65, ""), "{}", ran.shown());
                assert!(ran.err.contains("gone") && ran.err.contains("kugetsu doctor"));
            }
            assert!(!desk.kugetsu("kugetsu.db").exists());
        });
        // The base and the PM are made again in the same go.
        assert!(fixed.out.contains("session.pm-missing"), "{}", fixed.shown());
        assert_eq!(desk.run(&["status"]).done().out, "ok\n");
        assert_work_is_there(&desk);
        desk.run(&["start", ISSUE, "MODEL: say on"]).done();
    }
}

#[test]
fn a_damaged_store_is_told_kept_and_saved_as_far_as_it_can_be_read() {
    let page = 4096;
    // What is done to the file, and how many of the three tasks can still be read at least.
    let ways: [(&str, Damage<'_>, usize); 4] = [
        ("its first page is empty", &|file, _| file.write_all_at(&[0; 4096], 0).unwrap(), 3),
        ("it is cut", &|file, length| file.set_len(length / 2 / page * page).unwrap(), 0),
        (
            "bits are flipped",
            &|file, length| {
                for at in (page..length).step_by(64) {
                    let mut byte = [0];
                    file.read_exact_at(&mut byte, at).unwrap();
                    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
                }
            },
            0,
        ),
        (
            "it is no database at all",
            &|file, length| {
                let text =
                    "This is the diary of a madman. ".repeat(usize::try_from(length / 31).unwrap());
                file.write_all_at(text.as_bytes(), 0).unwrap();
            },
            0,
        ),
    ];
    for (name, damage, least) in ways {
        let mut damaged = Vec::new();
        let (desk, fixed) = check("store.damaged", Mended, |desk| {
            with_tasks(desk);
            settle(desk);
            let path = desk.kugetsu("kugetsu.db");
            let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
            damage(&file, file.metadata().unwrap().len());
            damaged = fs::read(&path).unwrap();
            let ran = desk.run(&["doctor"]);
            assert_eq!(ran.code, 1, "{name}: {}", ran.shown());
            assert_eq!(fs::read(&path).unwrap(), damaged, "{name}: looking changes nothing");
        });
        assert!(tasks(&desk) >= least, "{name}: {}", fixed.shown());
        let kept: Vec<_> = fs::read_dir(desk.kugetsu(""))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().contains("kugetsu.db.damaged-"))
            .collect();
        assert_eq!(kept.len(), 1, "{name}: {kept:?}");
        assert_eq!(fs::read(&kept[0]).unwrap(), damaged, "{name}: kept as it was");
        assert_work_is_there(&desk);
        desk.run(&["start", ISSUE, "MODEL: say on"]).done();
    }
}

#[test]
fn a_store_of_a_newer_kugetsu_is_left_alone() {
    check("store.newer", Told, |desk| {
        let store = rusqlite::Connection::open(desk.kugetsu("kugetsu.db")).unwrap();
        store.pragma_update(None, "user_version", 1000).unwrap();
    });
}

#[test]
fn a_record_that_makes_no_sense_stops_nothing_and_is_kept_with_all_its_bytes() {
    // What is broken, what it is called then, and whether the work on the others goes on meanwhile.
    let strange = r#"{"nobody":"knows\u0000 me"}"#;
    for (table, id) in [
        ("task", "task.unreadable"),
        ("event", "event.unreadable"),
        ("session", "session.unreadable"),
        ("notice", "notice.unreadable"),
    ] {
        let (desk, fixed) = check(id, Mended, |desk| {
            with_tasks(desk);
            desk.run(&["notify"]).done();
            let which = match table {
                "session" => "kind LIKE '%dev%'",
                "task" => "seq = (SELECT max(seq) FROM task)",
                "event" => "cursor = (SELECT min(cursor) FROM event)",
                _ => "seq = (SELECT max(seq) FROM notice)",
            };
            sql(desk, &format!("UPDATE {table} SET document = '{strange}' WHERE {which}"));
            for words in [&["queue", "list"][..], &["list"], &["notify", "list"], &["status"]] {
                desk.run(words).done();
            }
            desk.run(&["start", "example.com/acme/widgets#99", "MODEL: say hello"]).done();
        });
        let aside = fs::read_to_string(desk.kugetsu("kugetsu.db.unreadable.jsonl")).unwrap();
        let line: Value = serde_json::from_str(aside.trim()).unwrap();
        assert_eq!(line["columns"]["document"], strange, "{}", fixed.shown());
        assert_eq!(line["record"], table);
        assert_eq!(tasks(&desk), if table == "task" { 3 } else { 4 });
        desk.run(&["start", ISSUE, "MODEL: say on"]).done();
        assert_work_is_there(&desk);
    }
}

#[test]
fn lists_say_how_many_tasks_cannot_be_read() {
    let desk = worked();
    with_tasks(&desk);
    sql(&desk, "UPDATE task SET document = '{}' WHERE seq = (SELECT max(seq) FROM task)");
    for words in [&["queue", "list"][..], &["queue", "stats"]] {
        let ran = desk.run(words).done();
        assert!(ran.err.contains("1 task cannot be read"), "{}", ran.shown());
        assert!(ran.err.contains("kugetsu doctor"), "{}", ran.shown());
    }
    assert_eq!(desk.run(&["queue", "list", "--json"]).json()["unreadable"], 1);
    assert_eq!(desk.run(&["queue", "stats", "--json"]).json()["unreadable"], 1);
}

#[test]
fn a_lane_without_a_first_task_gets_one() {
    check("queue.lane-stuck", Mended, |desk| {
        with_tasks(desk);
        sql(desk, "UPDATE task SET head = 0 WHERE open = 1");
    });
}
