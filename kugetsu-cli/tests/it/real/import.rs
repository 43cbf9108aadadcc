//! Moving over from the bash version, with a conversation that the user's own opencode has.

use std::fs;

use kugetsu_testkit::sandbox::SampleRepository;
use serde_json::{Value, json};

use super::house::{House, contents, issue};

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_of_the_bash_version_is_imported_and_its_conversation_goes_on() {
    let house = House::new().await;
    let (old, clone) = (house.place("old"), house.place("old-clone"));
    let origin = house.repository.path().to_str().unwrap();
    let clone = SampleRepository::at(&clone).unwrap();
    clone.git(&["clone", "--quiet", origin, "."]).unwrap();
    for (name, value) in [("user.name", "Old"), ("user.email", "old@example.invalid")] {
        clone.git(&["config", name, value]).unwrap();
    }
    let stem = "git.example-acme-widgets-5";
    fs::create_dir_all(old.join("worktrees")).unwrap();
    let tree = old.join("worktrees").join(stem);
    clone.git(&["worktree", "add", "-q", "-b", "fix/issue-5", tree.to_str().unwrap()]).unwrap();
    let tree = SampleRepository::at(&tree).unwrap();
    tree.commit("half.txt", "half\n", "the first half").unwrap();
    fs::write(tree.path().join("open.txt"), "not committed\n").unwrap();
    let words = "Remember that the heron is blue.\nMODEL: say I shall remember the heron.";
    house.users_opencode(&["run", "--title", "old", words], tree.path()).await;
    let list = house.users_opencode(&["session", "list", "--format", "json"], tree.path()).await;
    let list: Value = serde_json::from_str(&list).unwrap();
    let session = list[0]["id"].as_str().unwrap();
    fs::create_dir_all(old.join("sessions")).unwrap();
    let index = json!({ "base": "ses_b", "pm_agent": null,
                        "issues": { issue(5): format!("{stem}.json") } });
    fs::write(old.join("index.json"), index.to_string()).unwrap();
    let record = json!({
        "type": "forked", "issue_ref": issue(5), "opencode_session_id": session,
        "worktree_path": tree.path(), "state": "idle", "created_at": "2026-03-30T12:00:00Z",
    });
    fs::write(old.join("sessions").join(format!("{stem}.json")), record.to_string()).unwrap();
    // opencode itself keeps logs and snapshots there, whichever database it uses.
    let untouched = || {
        let mut database = contents(&house.users_data());
        database.retain(|path, _| path.file_name().unwrap().to_string_lossy().contains(".db"));
        assert!(!database.is_empty());
        [contents(&old), contents(clone.path()), database]
    };
    let before = untouched();

    let ran = house.run(&["import", "old", "--json"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&told["imported"], &told["failed"]), (&json!(1), &json!(0)), "{told:#}");
    assert!(before == untouched(), "the old directory has changed");

    let words = "Which colour?\nMODEL: write blue.txt blue\nMODEL: say Blue.";
    let ran = house.run(&["continue", "--json", &issue(5), words]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let asked = house.model.requests();
    let knows = |text: &str| {
        asked.last().unwrap().messages.iter().any(|message| message.text.contains(text))
    };
    assert!(knows("the heron is blue") && knows("I shall remember the heron."), "{asked:?}");
    let worktree = SampleRepository::at(&ran.worktree()).unwrap();
    assert_ne!(worktree.path(), tree.path());
    assert_eq!(worktree.subjects("HEAD").unwrap()[0], "the first half");
    for file in ["half.txt", "open.txt", "blue.txt"] {
        assert!(worktree.path().join(file).exists(), "{file}");
    }
    assert_eq!(ran.told("session_ready")["how"], "resumed");

    let again = house.run(&["import", "old", "--json"]).await;
    let told: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!((&told["imported"], &told["present"]), (&json!(0), &json!(1)), "{told:#}");
    assert!(before == untouched(), "the old directory has changed");
}
