//! Secrets of the env files: agents have them, and nobody else ever sees one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use super::daemon::{Daemon, enqueue};
use super::house::{House, Ran, contents, issue};

/// Forty secrets of all shapes, the names by which agents have them, and whose they are.
fn secrets() -> Vec<(String, String, &'static str)> {
    let shapes: [fn(usize) -> String; 10] = [
        |n| format!("canary{n:02}"),
        |n| format!("ghp_canary{n:02}{}", "aB3".repeat(12)),
        |n| format!("canary{n:02} with spaces and 'quotes' \"both\""),
        |n| {
            format!(
                "-----BEGIN KEY-----\ncanary{n:02}MIIBVgIBADAN\nAgMBAAE/canary+{n:02}==\n-----END KEY-----"
            )
        },
        |n| format!("canary{n:02}$HOME`date`\\n$(x)"),
        |n| format!("{{\"user\":\"canary{n:02}\",\"key\":\"it's\"}}"),
        |n| format!("kanärie{n:02}🐤ünïcödé"),
        |n| format!("https://me:canary{n:02}@git.example/?a=b&c=%20"),
        |n| format!("Y2FuYXJ5canary{n:02}+/=="),
        |n| format!("canary{n:02}{}", "x".repeat(400)),
    ];
    let kinds = ["TOKEN", "SECRET", "PASSWORD", "API_KEY"];
    (0..40)
        .map(|n| {
            let name = format!("CANARY_{n:02}_{}", kinds[n % 4]);
            let agent = if n < 32 { "default" } else { "pm-agent" };
            (name, shapes[n % 10](n), agent)
        })
        .collect()
}

/// What of a secret must be nowhere: it and its lines, and how they are written elsewhere.
fn traces(secret: &str) -> Vec<String> {
    let mut all = vec![secret.to_owned()];
    all.extend(secret.lines().filter(|line| line.contains("anar")).map(str::to_owned));
    let json = Value::from(secret).to_string();
    all.push(json[1..json.len() - 1].to_owned());
    let mut hex = String::new();
    secret.bytes().for_each(|byte| write!(hex, "{byte:02x}").unwrap());
    all.push(hex.to_uppercase());
    all.push(hex);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn bug_8_forty_secrets_through_twelve_channels_are_the_agents_alone() {
    let house = House::new().await;
    let secrets = secrets();
    let mut seen = String::new();
    let mut see = |ran: Ran| {
        seen += &ran.stdout;
        seen += &ran.stderr;
    };
    for (name, value, agent) in &secrets {
        let ran = house.run(&["env", "set", name, value, agent]).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        see(ran);
    }
    let brought = house.place("brought").join("notices");
    let sink = format!(
        "[notify.kept]\nkind = \"command\"\nprogram = [\"tee\", \"-a\", {:?}]\n",
        brought.to_str().unwrap()
    );
    fs::write(house.directory().join("config.toml"), sink).unwrap();
    // The output of tools, in hexadecimal and base64 too, the names of files, a commit, a command
    // that fails, and at last the agent says all that it has heard.
    let all = "for v in ${!CANARY_@}; do printf '%s\\n' \"${!v}\"";
    let script = format!(
        "MODEL: bash bash -c {0}\n\
         MODEL: bash bash -c {1}\n\
         MODEL: bash bash -c {2}\n\
         MODEL: bash env | grep CANARY > seen.txt && git add -A && git commit -qm \"$CANARY_00_TOKEN\" && git log -1\n\
         MODEL: bash touch \"$CANARY_10_PASSWORD\" && ls\n\
         MODEL: bash echo \"$CANARY_00_TOKEN\" && false\n\
         MODEL: history",
        quoted(&format!("{all}; done")),
        quoted(&format!("{all} | od -An -v -tx1 | tr -d ' \\n' || true; done")),
        quoted(&format!("{all} | base64 -w 0; done")),
    );
    let mut daemon = Daemon::start(&house).await;
    enqueue(&house, 1, "MODEL: bash env | cat\nMODEL: fail 400").await;
    daemon.hear("error", 1).await;
    daemon.signal(Signal::TERM);
    daemon.ended().await;
    see(house.run(&["start", "--json", &issue(2), &script]).await);
    see(house.run(&["continue", &issue(2), "MODEL: bash env | cat ;; history"]).await);
    see(house.run(&["continue", "--debug", &issue(2), "MODEL: fail 400"]).await);
    for words in [
        &["logs", &issue(2)][..],
        &["logs", &issue(1)],
        &["logs", &issue(2), "--json"],
        &["queue", "list"],
        &["queue", "list", "--json"],
        &["why", &issue(2)],
        &["watch", "--once"],
        &["notify", "list", "--all"],
        &["notify", "list", "--all", "--json"],
        &["list", "--all", "--json"],
        &["queue-daemon", "logs"],
        &["env", "show"],
        &["env", "show", "pm-agent", "--json"],
        &["config", "list", "--json"],
    ] {
        see(house.run(words).await);
    }
    // The agent itself has every real value of the file for all.
    let worktree = house.directory().join("worktrees/git.example-acme-widgets-2");
    let known = fs::read_to_string(worktree.join("seen.txt")).unwrap();
    for (name, value, agent) in &secrets {
        let line = format!("{name}={}", value.lines().next().unwrap());
        assert_eq!(known.contains(&line), *agent == "default", "{name}");
    }
    let found = found(&house, &secrets, seen, &fs::read_to_string(brought).unwrap());
    assert_eq!(found, Vec::<String>::new());
    // What a person has written themselves is kept, for the agent, and masked where it is shown.
    enqueue(&house, 3, "It is canary10, and that is all.").await;
    let shown = house.run(&["queue", "list"]).await.stdout;
    assert!(shown.contains("It is ***MASKED***, and that is all."), "{shown}");
}

/// Where traces of secrets are.
fn found(
    house: &House,
    secrets: &[(String, String, &str)],
    seen: String,
    brought: &str,
) -> Vec<String> {
    assert!(seen.contains("***MASKED***") && brought.contains("task_error"), "{brought}");
    let mut written: BTreeMap<_, _> = contents(&house.directory());
    // Where they belong; what the agent itself has written; and opencode's own conversations, which
    // hold what the agent knows.
    for place in ["env", "worktrees", "repos", "state/opencode"] {
        let place = house.directory().join(place);
        written.retain(|path, _| !path.starts_with(&place));
    }
    assert!(written.keys().any(|path| path.ends_with("kugetsu.db")));
    assert!(written.keys().any(|path| path.ends_with("daemon.log")));
    assert!(written.keys().any(|path| path.extension().is_some_and(|end| end == "log")));
    written.insert("what was seen".into(), seen.into_bytes());
    written.insert("what was brought".into(), brought.into());
    let mut found = Vec::new();
    for (name, value, _) in secrets {
        for trace in traces(value) {
            for (path, bytes) in &written {
                let at = bytes.windows(trace.len()).position(|part| part == trace.as_bytes());
                if let Some(at) = at {
                    let around = &bytes[at.saturating_sub(60)..(at + 60).min(bytes.len())];
                    let around = String::from_utf8_lossy(around);
                    found.push(format!("{name} as {trace:?} in {}: {around}", path.display()));
                }
            }
        }
    }
    found
}

/// One word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
