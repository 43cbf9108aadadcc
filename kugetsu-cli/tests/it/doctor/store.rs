//! The store: gone, damaged, newer, and records that make no sense.

use std::fs;
use std::os::unix::fs::FileExt as _;

use serde_json::Value;

use super::breakage::Fate::{Mended, Told};
use super::breakage::{check, check_at, settle, sql, worked, worked_in_files};
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

/// What people look at.
fn view(desk: &Desk) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for inside in ["index.json", "notifications.json", "queue/items", "sessions"] {
        let path = desk.kugetsu(inside);
        let files = match fs::read_dir(&path) {
            Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
            Err(_) => vec![path],
        };
        for file in files {
            found.push((file.display().to_string(), fs::read(&file).unwrap()));
        }
    }
    found.sort();
    found
}

/// The files at the top whose names begin so.
fn beside(desk: &Desk, begins: &str) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(desk.kugetsu("")).unwrap().map(|entry| entry.unwrap());
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(begins));
    ours.map(|entry| entry.path()).collect()
}

#[test]
fn a_journal_that_is_gone_is_never_an_empty_queue_and_comes_back() {
    // What is deleted, and how many of the three tasks come back.
    let ways: [(&[&str], usize); 4] = [
        (&[""], 3),
        (&["", ".lock", ".view"], 3),
        (&["", ".spare"], 0),
        (&["", ".spare", ".lock", ".view"], 0),
    ];
    let mut seen = Vec::new();
    for (names, back) in ways {
        let mut before = Vec::new();
        let (desk, fixed) = check_at(worked_in_files(), "store.gone", Mended, |desk| {
            with_tasks(desk);
            before = view(desk);
            for end in names {
                fs::remove_file(desk.kugetsu(&format!("journal.jsonl{end}"))).unwrap();
            }
            for words in [&["queue", "list"][..], &["status"], &["list"], &["init"]] {
                let ran = desk.run(words);
                assert_eq!((ran.code, ran.out.as_str()), (65, ""), "{}", ran.shown());
                assert!(ran.err.contains("gone") && ran.err.contains("kugetsu doctor"));
            }
            assert!(!desk.kugetsu("journal.jsonl").exists());
            assert!(view(desk) == before, "what people see was changed");
        });
        assert_eq!(tasks(&desk), back, "{names:?}: {}", fixed.shown());
        if back == 0 {
            let shown = beside(&desk, "journal.jsonl.shown-");
            assert_eq!(shown.len(), 1, "{}", fixed.shown());
            assert_eq!(fs::read_dir(shown[0].join("queue/items")).unwrap().count(), 3);
        } else {
            assert!(view(&desk) == before, "{names:?}");
        }
        assert_work_is_there(&desk);
        let on = desk.run(&["continue", ISSUE, "MODEL: history"]).done();
        // The conversation goes on if its session is known.
        assert_eq!(on.err.contains("users=3"), back > 0, "{}", on.shown());
        let mended = fixed.json()["mended"].clone();
        let mended = mended.as_array().unwrap().iter().find(|m| m["check"] == "store.gone");
        seen.push(mended.unwrap()["mended"].as_str().unwrap().to_owned());
    }
    let desk = worked_in_files();
    fs::remove_file(desk.kugetsu("journal.jsonl")).unwrap();
    let both: &[&[&str]] = &[&["queue", "list"], &["doctor"]];
    seen.push(desk.transcript(both));
    fs::remove_file(desk.kugetsu("journal.jsonl.spare")).unwrap();
    seen.push(desk.transcript(both));
    desk.assert("doctor-journal-gone", &without_times(&seen.join("\n")));
}

/// Without the times in names of files.
fn without_times(seen: &str) -> String {
    let parts = seen.split("-20").enumerate().map(|(number, part)| match part.split_once('Z') {
        Some((_, rest)) if number > 0 => format!("-<time>{rest}"),
        _ => part.to_owned(),
    });
    parts.collect()
}

#[test]
fn a_damaged_journal_is_told_kept_and_saved_but_for_the_damaged_lines() {
    let ways: [(&str, Damage<'_>, usize); 3] = [
        ("it is cut", &|file, length| file.set_len(length / 2).unwrap(), 0),
        (
            "a bit of its last line but one is flipped",
            &|file, length| {
                let mut all = vec![0; usize::try_from(length).unwrap()];
                file.read_exact_at(&mut all, 0).unwrap();
                let ends: Vec<_> = (0..all.len()).filter(|at| all[*at] == b'\n').collect();
                let at = ends[ends.len() - 2] - 40;
                file.write_all_at(&[all[at] ^ 1], at as u64).unwrap();
            },
            2,
        ),
        (
            "it is no journal at all",
            &|file, _| file.write_all_at(b"This is the diary of a madman.\n", 0).unwrap(),
            2,
        ),
    ];
    let mut seen = Vec::new();
    for (name, damage, least) in ways {
        let mut damaged = Vec::new();
        let (desk, fixed) = check_at(worked_in_files(), "store.damaged", Mended, |desk| {
            with_tasks(desk);
            let path = desk.kugetsu("journal.jsonl");
            let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
            damage(&file, file.metadata().unwrap().len());
            damaged = fs::read(&path).unwrap();
            let ran = desk.run(&["doctor"]);
            assert_eq!(ran.code, 1, "{name}: {}", ran.shown());
            assert_eq!(desk.run(&["queue", "list"]).code, 65, "{name}");
            assert_eq!(fs::read(&path).unwrap(), damaged, "{name}: looking changes nothing");
            if least == 2 {
                seen.push(ran.shown());
            }
        });
        assert!(tasks(&desk) >= least, "{name}: {}", fixed.shown());
        let kept = beside(&desk, "journal.jsonl.damaged-");
        assert_eq!(kept.len(), 1, "{name}: {kept:?}");
        assert_eq!(fs::read(&kept[0]).unwrap(), damaged, "{name}: kept as it was");
        assert_work_is_there(&desk);
        desk.run(&["start", ISSUE, "MODEL: say on"]).done();
    }
    let seen = seen.join("\n");
    assert!(seen.contains("`kugetsu doctor --fix` save what can be read"), "{seen}");
    assert!(!seen.contains("run `kugetsu doctor`"), "it sends people in a circle: {seen}");
}

#[test]
fn what_a_dead_writer_has_left_in_the_journal_is_told_cut_off_and_kept() {
    let (desk, fixed) = check_at(worked_in_files(), "store.torn", Mended, |desk| {
        let journal = fs::OpenOptions::new().append(true).open(desk.kugetsu("journal.jsonl"));
        std::io::Write::write_all(&mut journal.unwrap(), b"{\"seq\":99,\"rec").unwrap();
    });
    assert!(fixed.out.contains("it is kept in"), "{}", fixed.shown());
    let kept = desk.kugetsu("journal.jsonl.torn");
    assert_eq!(fs::read_to_string(&kept).unwrap(), "{\"seq\":99,\"rec");
    let told = desk.run(&["doctor"]).done();
    assert!(told.out.contains("store.torn-kept"), "{}", told.shown());
    fs::remove_file(kept).unwrap();
    assert!(!desk.run(&["doctor"]).done().out.contains("store.torn"));
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
