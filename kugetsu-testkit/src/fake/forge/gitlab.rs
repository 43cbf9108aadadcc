//! GitLab's answers.

use hyper::{Method, StatusCode};
use kugetsu_core::{Association, PullState};
use serde_json::{Value, json};

use super::answer::{Answer, decoded, parameter};
use super::{CommentRow, FakeForge, PullRow, Stage, State};

const PROJECT: &str = "/projects/acme%2Fwidgets";

pub(super) fn answer(stage: &Stage, method: &Method, below: &str, asked: &Value) -> Answer {
    if below == "/user" {
        return Answer::new(StatusCode::OK, user(FakeForge::ACCOUNT));
    }
    let Some(rest) = below.strip_prefix(PROJECT) else { return Answer::not_found() };
    let plain = rest.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = plain.split('/').filter(|part| !part.is_empty()).collect();
    let url = format!("{}{}", stage.url, stage.api.root());
    match (method == Method::GET, parts.as_slice()) {
        (true, []) => Answer::new(
            StatusCode::OK,
            json!({ "id": 3, "path_with_namespace": "acme/widgets", "default_branch": "main" }),
        ),
        (true, ["members", "all", id]) => member(stage, id),
        (true, ["issues", number]) => issue(stage, number),
        (true, ["issues", number, "notes"]) => {
            let Ok(number) = number.parse::<u64>() else { return Answer::not_found() };
            let rows = stage.state();
            let Some(issue) = rows.issues.get(&number) else { return Answer::not_found() };
            let all = issue.comments.iter().map(note).collect();
            Answer::page(all, rows.page, &url, below)
        }
        (false, ["issues", number, "notes"]) => {
            let Ok(number) = number.parse() else { return Answer::not_found() };
            let text = asked["body"].as_str().unwrap_or_default();
            let made = stage.state().say(number, FakeForge::ACCOUNT, text, false);
            let Some(id) = made else { return Answer::not_found() };
            let by = FakeForge::ACCOUNT.to_owned();
            let row = CommentRow { id, by, text: text.to_owned(), system: false };
            Answer::new(StatusCode::CREATED, note(&row))
        }
        (true, ["merge_requests", number]) => {
            let Ok(number) = number.parse() else { return Answer::not_found() };
            let rows = stage.state();
            let Some(row) = rows.pulls.get(&number) else { return Answer::not_found() };
            Answer::new(StatusCode::OK, merge_request(stage, number, row))
        }
        (true, ["merge_requests"]) => {
            let rows = stage.state();
            let head = parameter(below, "source_branch");
            let is_meant = |row: &PullRow| {
                row.state == PullState::Open && head.as_ref().is_none_or(|head| *head == row.head)
            };
            let all = rows.pulls.iter().filter(|(_, row)| is_meant(row));
            let all = all.map(|(number, row)| merge_request(stage, *number, row)).collect();
            Answer::page(all, rows.page, &url, below)
        }
        (false, ["merge_requests"]) => propose(stage, asked),
        _ => Answer::not_found(),
    }
}

fn propose(stage: &Stage, asked: &Value) -> Answer {
    let text = |name: &str| asked[name].as_str().unwrap_or_default().to_owned();
    let row = PullRow {
        title: text("title"),
        text: text("description"),
        head: text("source_branch"),
        base: text("target_branch"),
        state: PullState::Open,
        fork: false,
    };
    if row.head.is_empty() || row.base.is_empty() || row.title.is_empty() {
        return Answer::new(StatusCode::BAD_REQUEST, json!({ "error": "title is missing" }));
    }
    let mut rows = stage.state();
    let Some(number) = rows.propose(row) else {
        let message =
            json!(["Another open merge request already exists for this source branch: !1"]);
        return Answer::new(StatusCode::CONFLICT, json!({ "message": message }));
    };
    let Some(row) = rows.pulls.get(&number) else { return Answer::not_found() };
    Answer::new(StatusCode::CREATED, merge_request(stage, number, row))
}

/// A person's number: GitLab knows people by them.
fn number_of(name: &str) -> u64 {
    name.bytes().fold(17, |number, byte| (number * 31 + u64::from(byte)) % 1_000_003)
}

fn user(name: &str) -> Value {
    json!({ "id": number_of(name), "username": name, "name": name, "state": "active" })
}

fn level(rows: &State, id: &str) -> Option<u64> {
    let id: u64 = decoded(id).parse().ok()?;
    let found = rows.people.iter().find(|(name, _)| number_of(name) == id)?;
    match found.1 {
        Association::Owner => Some(50),
        Association::Member | Association::Collaborator => Some(30),
        Association::Contributor => Some(20),
        _ => None,
    }
}

fn member(stage: &Stage, id: &str) -> Answer {
    match level(&stage.state(), id) {
        Some(level) => Answer::new(
            StatusCode::OK,
            json!({ "id": 1, "username": "somebody", "access_level": level, "expires_at": null }),
        ),
        None => Answer::said(StatusCode::NOT_FOUND, "404 Member Not Found"),
    }
}

fn issue(stage: &Stage, number: &str) -> Answer {
    let Ok(number) = number.parse::<u64>() else { return Answer::not_found() };
    let rows = stage.state();
    let Some(row) = rows.issues.get(&number) else { return Answer::not_found() };
    let mut document = json!({
        "id": 1000 + number, "iid": number, "project_id": 3, "title": row.title,
        "description": row.text, "state": if row.open { "opened" } else { "closed" },
        "author": user(&row.by), "labels": row.labels, "user_notes_count": row.comments.len(),
        "web_url": format!("{}/acme/widgets/-/issues/{number}", stage.url),
        "created_at": "2026-01-02T03:04:05.678Z",
    });
    if row.text.is_empty() {
        document["description"] = Value::Null;
    }
    Answer::new(StatusCode::OK, document)
}

fn note(row: &CommentRow) -> Value {
    json!({
        "id": row.id, "body": row.text, "author": user(&row.by), "system": row.system,
        "created_at": "2026-01-02T03:04:05.678Z", "noteable_type": "Issue",
    })
}

fn merge_request(stage: &Stage, number: u64, row: &PullRow) -> Value {
    let word = match row.state {
        PullState::Open => "opened",
        PullState::Merged => "merged",
        _ => "closed",
    };
    json!({
        "id": 2000 + number, "iid": number, "project_id": 3, "title": row.title,
        "description": row.text, "state": word, "web_url": stage.pull_address(number),
        "source_branch": row.head, "target_branch": row.base, "target_project_id": 3,
        "source_project_id": if row.fork { 4 } else { 3 },
    })
}
