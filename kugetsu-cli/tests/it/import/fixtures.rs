//! What bash versions may have left, and what an import says of it.

/// What a fixture is to be told as: fate, what, a part of the name, a part of the note.
pub(super) type Told = (&'static str, &'static str, &'static str, &'static str);

/// Files, and what an import says of them. Whatever is not named here may be told, too.
pub(super) struct Fixture {
    pub(super) name: &'static str,
    pub(super) files: Vec<(&'static str, Vec<u8>)>,
    pub(super) told: Vec<Told>,
}

pub(super) fn fixture(
    name: &'static str,
    files: impl IntoIterator<Item = (&'static str, &'static str)>,
    told: impl IntoIterator<Item = Told>,
) -> Fixture {
    let files = files.into_iter().map(|(path, text)| (path, text.as_bytes().to_vec())).collect();
    Fixture { name, files, told: told.into_iter().collect() }
}

const DEV: &str = "sessions/x.json";
const TASK: &str = "queue/items/q_1.json";
const NOTICES: &str = "notifications.json";

// A table is as long as it is.
#[allow(clippy::too_many_lines)]
pub(super) fn session_fixtures() -> Vec<Fixture> {
    let whole = |name, text: &'static str| {
        let told = ("imported", "issue", "example.com/a/b#1", "conversation ses_abc");
        fixture(name, [(DEV, text)], [told])
    };
    let skipped = |name, text: &'static str, why: &'static str| {
        fixture(name, [(DEV, text)], [("skipped", "session", DEV, why)])
    };
    vec![
        whole("as it was", r#"{"issue_ref":"example.com/a/b#1","opencode_session_id":"ses_abc"}"#),
        whole("session_id", r#"{"issue_ref":"example.com/a/b#1","session_id":"ses_abc"}"#),
        whole("sessionId", r#"{"issueRef":"example.com/a/b#1","sessionId":"ses_abc"}"#),
        whole("issue", r#"{"issue":"https://example.com/a/b/issues/1","id":"ses_abc"}"#),
        whole("unknown fields", r#"{"ref":"example.com/a/b#1","x":{"y":[1]},"z":"ses_abc"}"#),
        whole(
            "a null permission",
            r#"{"ref":"example.com/a/b#1","permission":null,"z":"ses_abc"}"#,
        ),
        whole("CRLF", "{\r\n\"ref\":\"example.com/a/b#1\",\r\n\"session\":\"ses_abc\"}\r\n"),
        whole("a mark", "\u{feff}{\"ref\":\"example.com/a/b#1\",\"session\":\"ses_abc\"}"),
        whole("a tail", "{\"ref\":\"example.com/a/b#1\",\"session\":\"ses_abc\"}}}\0\0"),
        whole("twice", "{\"ref\":\"example.com/a/b#1\",\"session\":\"ses_abc\"}{\"ref\":1}"),
        whole("spaces", "{\"ref\":\" example.com/a/b#1 \",\"session\":\" ses_abc\"}"),
        whole(
            "wrong types beside",
            r#"{"ref":"example.com/a/b#1","pr_url":[],"created_at":{},"q":"ses_abc"}"#,
        ),
        whole(
            "the first of a key",
            r#"{"ref":"example.com/a/b#2","ref":"example.com/a/b#1","s":"ses_abc"}"#,
        ),
        skipped("empty", "", "it is empty"),
        skipped("white space", " \n", "it is empty"),
        skipped("cut short", "{\"issue_ref\": \"exa", "it is no JSON"),
        skipped("an array", "[1]", "it is no JSON object"),
        skipped("a number", "7", "it is no JSON object"),
        skipped("no issue", "{\"session\":\"ses_abc\"}", "does not say which issue"),
        skipped("a bad reference", "{\"ref\":\"#7\"}", "no reference to an issue"),
        skipped("a way out", "{\"ref\":\"../../x/y#1\"}", "no reference to an issue"),
        skipped("an option", "{\"ref\":\"example.com/a/-b#1\"}", "no reference to an issue"),
        skipped("issue of a wrong type", "{\"ref\":[7]}", "does not say which issue"),
        fixture(
            "a session id that hides something",
            [(DEV, r#"{"ref":"example.com/a/b#1","session":"ses_x;rm"}"#)],
            [("skipped", "issue", "example.com/a/b#1", "neither a worktree nor a conversation")],
        ),
        fixture(
            "the issue by the file's name",
            [("sessions/example.com-a-b-1.json", "{\"session\":\"ses_abc\"}")],
            [("imported", "issue", "example.com/a/b#1", "ses_abc")],
        ),
        fixture(
            "the same with its older name",
            [("sessions/example.com-a-b#1.json", "{\"session\":\"ses_abc\"}")],
            [("imported", "issue", "example.com/a/b#1", "ses_abc")],
        ),
        fixture(
            "a name that two issues could have",
            [("sessions/example.com-a-b-c-1.json", "{}")],
            [("skipped", "session", "a-b-c-1", "does not say which issue")],
        ),
        fixture(
            "two of one issue",
            [
                ("sessions/a.json", r#"{"ref":"example.com/a/b#1"}"#),
                ("sessions/b.json", r#"{"ref":"example.com/a/b#1"}"#),
            ],
            [("skipped", "session", "sessions/b.json", "sessions/a.json is of it")],
        ),
        fixture(
            "the base and the PM",
            [
                ("index.json", r#"{"base":"ses_b","pm_agent":"ses_p"}"#),
                ("sessions/base.json", "{}"),
                ("sessions/pm-agent.json", "{}"),
            ],
            [
                ("skipped", "session", "base (ses_b)", "init"),
                ("skipped", "session", "pm_agent (ses_p)", "init"),
            ],
        ),
        fixture(
            "the oldest kind",
            [("sessions/work/state", "idle"), ("sessions/work/message", "m")],
            [("skipped", "session", "sessions/work", "names no issue")],
        ),
        fixture(
            "no session file",
            [("sessions/x.json.bak", "{}")],
            [("skipped", "session", "x.json.bak", "no session file")],
        ),
        fixture(
            "an index alone",
            [("index.json", r#"{"issues":{"example.com/a/b#1":"gone.json"}}"#)],
            [("skipped", "issue", "example.com/a/b#1", "neither a worktree nor a conversation")],
        ),
        fixture(
            "a flat index of ids",
            [("index.json", r#"{"base":null,"example.com/a/b#1":"ses_abc"}"#)],
            [("imported", "issue", "example.com/a/b#1", "ses_abc")],
        ),
        fixture(
            "an index of records",
            [(
                "index.json",
                r#"{"sessions":[{"issue_ref":"example.com/a/b#1","session_id":"ses_abc"}]}"#,
            )],
            [("imported", "issue", "example.com/a/b#1", "ses_abc")],
        ),
        fixture(
            "an index that names the file",
            [
                ("index.json", r#"{"issues":{"example.com/a/b#1":"sessions/x.json"}}"#),
                (DEV, r#"{"session":"ses_abc"}"#),
            ],
            [("imported", "issue", "example.com/a/b#1", "ses_abc")],
        ),
        fixture(
            "an index that is none",
            [("index.json", "[]"), (TASK, r#"{"message":"m"}"#)],
            [
                ("skipped", "index", "index.json", "no JSON object"),
                ("imported", "task", "q_1", "the PM"),
            ],
        ),
        fixture(
            "a worktree of the session's",
            [
                (DEV, r#"{"ref":"example.com/a/b#1","worktree_path":"/elsewhere/worktrees/mine"}"#),
                ("worktrees/mine/a", ""),
            ],
            [("imported", "issue", "example.com/a/b#1", "from worktrees/mine")],
        ),
        fixture(
            "a worktree that leads out",
            [(DEV, r#"{"ref":"example.com/a/b#1","worktree_path":"/etc/.."}"#)],
            [("skipped", "issue", "example.com/a/b#1", "neither a worktree")],
        ),
        fixture(
            "one worktree of two issues",
            [
                (
                    "sessions/1.json",
                    r#"{"ref":"example.com/a/b-c#1","worktree":"example.com-a-b-c-1"}"#,
                ),
                (
                    "sessions/2.json",
                    r#"{"ref":"example.com/a-b/c#1","worktree":"example.com-a-b-c-1"}"#,
                ),
                ("worktrees/example.com-a-b-c-1/a", ""),
            ],
            [("skipped", "worktree", "of example.com/a-b/c#1", "two issues shared one worktree")],
        ),
        fixture(
            "a worktree without a session",
            [
                ("worktrees/example.com-a-b-1/a", ""),
                ("worktrees/x y/a", ""),
                ("sessions/z.json", ""),
            ],
            [
                ("imported", "issue", "example.com/a/b#1", "worktrees/example"),
                ("skipped", "worktree", "x y", "no session says"),
            ],
        ),
    ]
}

#[allow(clippy::too_many_lines)]
pub(super) fn other_fixtures() -> Vec<Fixture> {
    let task = |name, text: &'static str, told: Told| fixture(name, [(TASK, text)], [told]);
    let notice = |name, text: &'static str, told: Told| {
        fixture(name, [(NOTICES, text), ("index.json", "{}")], [told])
    };
    let beside =
        |name, path, text, told: Told| fixture(name, [(path, text), ("index.json", "{}")], [told]);
    let skipped = |why| ("skipped", "task", TASK, why);
    vec![
        task(
            "for an issue",
            r#"{"issue_ref":"example.com/a/b#1","message":"m","state":"notified"}"#,
            ("imported", "task", "q_1", "for example.com/a/b#1"),
        ),
        task(
            "for nobody",
            r#"{"issue_ref":null,"message":"m","state":"pending","created":1774872000}"#,
            ("imported", "task", "q_1", "for the PM"),
        ),
        task("no state", r#"{"msg":"m"}"#, ("imported", "task", "q_1", "for the PM")),
        task(
            "completed",
            r#"{"message":"m","state":"completed"}"#,
            skipped("it is over (completed)"),
        ),
        task("failed", r#"{"message":"m","status":"error"}"#, skipped("it is over (error)")),
        task("a strange state", r#"{"message":"m","state":"\u001b[2J"}"#, skipped("is not known")),
        task("no message", r#"{"message":"  ","state":"pending"}"#, skipped("it has no message")),
        task("a message of a wrong type", r#"{"message":[1]}"#, skipped("it has no message")),
        task(
            "a bad issue",
            r##"{"message":"m","issue_ref":"#14"}"##,
            skipped("no reference to an issue"),
        ),
        task("empty", "", skipped("it is empty")),
        task("cut short", r#"{"message":"m"#, skipped("it is no JSON")),
        task("a list", "[]", skipped("it is no JSON object")),
        fixture(
            "asked for twice",
            [(TASK, r#"{"message":"m"}"#), ("queue/items/q_2.json", r#"{"message":"m"}"#)],
            [("skipped", "task", "q_2", "the same as q_1")],
        ),
        fixture(
            "no task file",
            [("queue/items/q_1.json.tmp", "{}")],
            [("skipped", "task", "q_1.json.tmp", "no task file")],
        ),
        notice(
            "a list",
            r#"[{"type":"task_error","message":"m"},{"type":"task_queued","message":"n"}]"#,
            ("imported", "notices", NOTICES, "2 notices"),
        ),
        notice(
            "lines",
            "{\"type\":\"task_error\",\"message\":\"m\"}\r\n{\"kind\":\"blocked\",\"text\":\"n\"}\r\n",
            ("imported", "notices", NOTICES, "2 notices"),
        ),
        notice(
            "an object",
            r#"{"notifications":[{"type":"task_complete","message":"m"}]}"#,
            ("imported", "notices", NOTICES, "1 notice"),
        ),
        notice(
            "a strange type",
            r#"[{"type":"party","message":"m"}]"#,
            ("skipped", "notice", "number 1", "\"party\" is not known"),
        ),
        notice(
            "cut short",
            "[{\"type\":\"task_error\",\"message\":\"m\"}",
            ("skipped", "notices", NOTICES, "no JSON"),
        ),
        notice(
            "lines, cut short",
            "{\"type\":\"task_error\",\"message\":\"m\"}\n{\"ty",
            ("imported", "notices", NOTICES, "1 notice"),
        ),
        notice("empty", "", ("skipped", "notices", NOTICES, "it is empty")),
        beside(
            "variables",
            "env/default.env",
            "export A_TOKEN=\"x\"\r\n",
            ("imported", "env file", "env/default.env", ""),
        ),
        beside(
            "no variables",
            "env/pm-agent.env",
            "# a\n",
            ("skipped", "env file", "pm-agent", "no variables"),
        ),
        beside(
            "a name that hides",
            "env/.x.env",
            "A=1\n",
            ("skipped", "env file", "env/.x.env", "no env file"),
        ),
        beside(
            "a name with a space",
            "env/my agent.env",
            "A=1\n",
            ("skipped", "env file", "my agent", "no env file"),
        ),
        beside(
            "an env file of nothing",
            "env/default.env",
            "",
            ("skipped", "env file", "default", "it is empty"),
        ),
        beside(
            "settings",
            "config",
            "# a\nexport MAX_CONCURRENT_AGENTS=\"4\"\r\n",
            ("imported", "settings", "config", "1 of them"),
        ),
        beside(
            "an unknown setting",
            "config",
            "\nMAX_AGENTS=4\n",
            ("skipped", "setting", "config:2", "no setting \"MAX_AGENTS\""),
        ),
        beside(
            "a command",
            "config",
            "TASK_TIMEOUT_HOURS=$(rm -rf x)\n",
            ("skipped", "setting", "config:1", "not executed"),
        ),
        beside(
            "a wrong value",
            "config",
            "MAX_CONCURRENT_AGENTS=many\n",
            ("skipped", "setting", "config:1", "MAX_CONCURRENT_AGENTS"),
        ),
        beside(
            "a repository",
            "repos.json",
            r#"{"example.com/a/b":"git@example.com:a/b.git"}"#,
            ("imported", "repository", "example.com/a/b", ""),
        ),
        beside(
            "a repository's record",
            "repos.json",
            r#"{"example.com/a/b":{"url":"https://example.com/a/b"}}"#,
            ("imported", "repository", "example.com/a/b", ""),
        ),
        beside(
            "a password",
            "repos.json",
            r#"{"example.com/a/b":"https://me:hunter22@example.com/a/b"}"#,
            ("skipped", "repository", "example.com/a/b", "password"),
        ),
        beside(
            "a program",
            "repos.json",
            r#"{"example.com/a/b":"ext::sh -c x"}"#,
            ("skipped", "repository", "example.com/a/b", "no address"),
        ),
        beside(
            "an option",
            "repos.json",
            r#"{"example.com/a/b":"--upload-pack=x"}"#,
            ("skipped", "repository", "example.com/a/b", "like an option"),
        ),
        beside(
            "no list",
            "repos.json",
            "[]",
            ("skipped", "repositories", "repos.json", "no JSON object"),
        ),
    ]
}
