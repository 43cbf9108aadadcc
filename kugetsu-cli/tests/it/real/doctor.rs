//! What only the real opencode can break.

use std::fs;

use rusqlite::Connection;
use serde_json::Value;

use super::house::{House, issue};

fn ids(told: &str, which: &str) -> Vec<String> {
    let told: Value = serde_json::from_str(told).unwrap();
    let ids = told[which].as_array().unwrap().iter();
    let ids = ids.map(|finding| finding["check"].as_str().unwrap().to_owned());
    ids.filter(|id| !id.starts_with("disk.")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_and_sessions_that_opencode_has_lost_are_found_and_mended() {
    let house = House::new().await;
    // The directory itself was there before.
    let fresh = house.run(&["doctor", "--fix", "--json"]).await;
    assert_eq!(ids(&fresh.stdout, "mended"), ["mode.loose"], "{fresh:?}");
    assert_eq!(ids(&fresh.stdout, "findings"), Vec::<String>::new(), "{fresh:?}");
    let ran = house.run(&["start", &issue(1), "MODEL: write a.txt precious"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let database = house.directory().join("state/opencode/opencode.db");
    let opencode = Connection::open(&database).unwrap();
    let nulls = opencode.execute("UPDATE session SET permission = NULL", []).unwrap();
    assert!(nulls >= 3, "base, PM and the issue's");
    let told = house.run(&["doctor", "--json"]).await;
    assert!(ids(&told.stdout, "findings").contains(&"session.permission".into()), "{told:?}");
    assert_eq!(told.code, Some(1), "{told:?}");
    let fixed = house.run(&["doctor", "--fix-permissions"]).await;
    assert_eq!(fixed.code, Some(0), "{fixed:?}");
    assert!(fixed.stdout.starts_with("Fixing session permissions\n"), "{fixed:?}");
    assert!(fixed.stdout.ends_with("Session permissions fix complete\n"), "{fixed:?}");

    let store = Connection::open(house.directory().join("kugetsu.db")).unwrap();
    let session = |kind: &str| -> String {
        let select = "SELECT document ->> 'agent_session' FROM session WHERE kind LIKE ?1";
        store.query_row(select, [format!("%\"{kind}\"%")], |row| row.get(0)).unwrap()
    };
    let (pm, dev) = (session("pm"), session("dev"));
    house.forget(&pm).await;
    house.forget(&dev).await;
    let fixed = house.run(&["doctor", "--fix", "--json"]).await;
    assert_eq!(ids(&fixed.stdout, "mended"), ["session.agent-gone", "session.pm-missing"]);
    // The issue's is made anew by the next start, with what is remembered of it.
    assert_eq!(ids(&fixed.stdout, "findings"), ["session.agent-gone"], "{fixed:?}");
    assert!(fixed.stdout.contains(&dev), "{fixed:?}");
    assert_ne!(session("pm"), pm);
    let on = house.run(&["start", &issue(1), "MODEL: say on"]).await;
    assert_eq!(on.code, Some(0), "{on:?}");

    drop(opencode);
    for file in fs::read_dir(house.directory().join("state/opencode")).unwrap() {
        let path = file.unwrap().path();
        if path.to_string_lossy().contains("opencode.db") {
            fs::remove_file(path).unwrap();
        }
    }
    let fixed = house.run(&["doctor", "--fix-permissions"]).await;
    assert_eq!(fixed.stdout, "Fixing session permissions\nopencode database not found\n");
    assert_eq!(fixed.code, Some(1), "{fixed:?}");
}
