//! GitHub's and Gitea's answers.

use hyper::{Method, StatusCode};
use kugetsu_core::{Association, PullState};
use serde_json::{Value, json};

use super::answer::{Answer, decoded, parameter};
use super::{CommentRow, FakeForge, ForgeApi, IssueRow, PullRow, Stage};

pub(super) fn answer(stage: &Stage, method: &Method, below: &str, asked: &Value) -> Answer {
    let plain = below.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = plain.trim_start_matches('/').split('/').collect();
    let get = method == Method::GET;
    match (get, parts.as_slice()) {
        (true, ["user"]) => Answer::new(StatusCode::OK, user(FakeForge::ACCOUNT)),
        (true, ["orgs", "acme", "members", name]) if stage.api == ForgeApi::Gitea => {
            if stage.state().association(FakeForge::ACCOUNT) == Association::Member {
                return is(stage, &decoded(name), Association::Member);
            }
            // To a stranger it points out who wants to be known, by what it takes for its address.
            let root = "https://git.example.com/api/v1";
            Answer::elsewhere(format!("{root}/orgs/acme/public_members/{name}"))
        }
        (true, ["orgs", "acme", "public_members", name]) if stage.api == ForgeApi::Gitea => {
            is(stage, &decoded(name), Association::Member)
        }
        (_, ["repos", "acme", "widgets", rest @ ..]) => {
            in_repository(stage, get, rest, below, asked)
        }
        _ => Answer::not_found(),
    }
}

fn in_repository(stage: &Stage, get: bool, rest: &[&str], below: &str, asked: &Value) -> Answer {
    let url = format!("{}{}", stage.url, stage.api.root());
    match (get, rest) {
        (true, []) => Answer::new(
            StatusCode::OK,
            json!({ "full_name": "acme/widgets", "default_branch": "main", "private": false }),
        ),
        (true, ["collaborators", name]) if stage.api == ForgeApi::Gitea => {
            is(stage, &decoded(name), Association::Collaborator)
        }
        (true, ["issues", number]) => issue(stage, number),
        (true, ["issues", number, "comments"]) => {
            let Some(all) = comments(stage, number) else { return Answer::not_found() };
            // Gitea gives all of them at once.
            let size = if stage.api == ForgeApi::Gitea { all.len() } else { stage.state().page };
            Answer::page(all, size, &url, below)
        }
        (false, ["issues", number, "comments"]) => {
            let Ok(number) = number.parse() else { return Answer::not_found() };
            let text = asked["body"].as_str().unwrap_or_default();
            let made = stage.state().say(number, FakeForge::ACCOUNT, text, false);
            let Some(id) = made else { return Answer::not_found() };
            let row = CommentRow {
                id,
                by: FakeForge::ACCOUNT.to_owned(),
                text: text.to_owned(),
                system: false,
            };
            Answer::new(StatusCode::CREATED, comment(stage, number, &row, Association::Stranger))
        }
        (true, ["pulls", number]) => {
            let Ok(number) = number.parse() else { return Answer::not_found() };
            let rows = stage.state();
            let Some(row) = rows.pulls.get(&number) else { return Answer::not_found() };
            Answer::new(StatusCode::OK, pull(stage, number, row))
        }
        (true, ["pulls"]) => {
            let rows = stage.state();
            let head = parameter(below, "head");
            let is_meant = |row: &PullRow| {
                row.state == PullState::Open && head.as_ref().is_none_or(|head| *head == label(row))
            };
            let all = rows.pulls.iter().filter(|(_, row)| is_meant(row));
            let all = all.map(|(number, row)| pull(stage, *number, row)).collect();
            Answer::page(all, rows.page, &url, below)
        }
        (false, ["pulls"]) => propose(stage, asked),
        _ => Answer::not_found(),
    }
}

fn propose(stage: &Stage, asked: &Value) -> Answer {
    let text = |name: &str| asked[name].as_str().unwrap_or_default().to_owned();
    let row = PullRow {
        title: text("title"),
        text: text("body"),
        head: text("head"),
        base: text("base"),
        state: PullState::Open,
        fork: false,
    };
    if row.head.is_empty() || row.base.is_empty() || row.title.is_empty() {
        return Answer::said(StatusCode::UNPROCESSABLE_ENTITY, "Validation Failed");
    }
    let mut rows = stage.state();
    let Some(number) = rows.propose(row) else {
        let status = match stage.api {
            ForgeApi::Gitea => StatusCode::CONFLICT,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        return Answer::said(status, "A pull request already exists for acme:it.");
    };
    let Some(row) = rows.pulls.get(&number) else { return Answer::not_found() };
    Answer::new(StatusCode::CREATED, pull(stage, number, row))
}

/// Gitea's way to say yes and no.
fn is(stage: &Stage, name: &str, association: Association) -> Answer {
    if stage.state().association(name) == association {
        return Answer::new(StatusCode::NO_CONTENT, Value::Null);
    }
    Answer::not_found()
}

fn user(name: &str) -> Value {
    json!({ "login": name, "id": 7, "type": "User", "avatar_url": "" })
}

fn issue(stage: &Stage, number: &str) -> Answer {
    let Ok(number) = number.parse::<u64>() else { return Answer::not_found() };
    let rows = stage.state();
    if let Some(row) = rows.pulls.get(&number) {
        // Both show pull requests as issues, too.
        let mut document = json!({
            "number": number, "title": row.title, "body": row.text, "state": "open",
            "user": user("somebody"), "html_url": stage.pull_address(number), "comments": 0,
        });
        document["pull_request"] = json!({ "merged_at": null });
        return Answer::new(StatusCode::OK, document);
    }
    let Some(row) = rows.issues.get(&number) else { return Answer::not_found() };
    let IssueRow { title, text, by, open, labels, comments } = row;
    let labels: Vec<Value> = labels.iter().map(|name| json!({ "name": name })).collect();
    let mut document = json!({
        "id": 1000 + number, "number": number, "title": title, "body": text,
        "state": if *open { "open" } else { "closed" }, "user": user(by), "labels": labels,
        "html_url": format!("{}/acme/widgets/issues/{number}", stage.url),
        "comments": comments.len(), "created_at": "2026-01-02T03:04:05Z", "locked": false,
    });
    if text.is_empty() {
        document["body"] = Value::Null;
    }
    match stage.api {
        ForgeApi::GitHub => document["author_association"] = json!(word(rows.association(by))),
        _ => document["pull_request"] = Value::Null,
    }
    Answer::new(StatusCode::OK, document)
}

fn comments(stage: &Stage, number: &str) -> Option<Vec<Value>> {
    let number = number.parse().ok()?;
    let rows = stage.state();
    let said = rows.issues.get(&number)?.comments.iter().filter(|row| !row.system);
    Some(said.map(|row| comment(stage, number, row, rows.association(&row.by))).collect())
}

fn comment(stage: &Stage, number: u64, row: &CommentRow, of: Association) -> Value {
    let url = &stage.url;
    let mut document = json!({
        "id": row.id, "body": row.text, "user": user(&row.by),
        "html_url": format!("{url}/acme/widgets/issues/{number}#issuecomment-{}", row.id),
        "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z",
    });
    if stage.api == ForgeApi::GitHub {
        document["author_association"] = json!(word(of));
    }
    document
}

fn word(association: Association) -> &'static str {
    match association {
        Association::Owner => "OWNER",
        Association::Member => "MEMBER",
        Association::Collaborator => "COLLABORATOR",
        Association::Contributor => "CONTRIBUTOR",
        _ => "NONE",
    }
}

fn label(row: &PullRow) -> String {
    format!("{}:{}", if row.fork { "stranger" } else { "acme" }, row.head)
}

fn pull(stage: &Stage, number: u64, row: &PullRow) -> Value {
    let owner = if row.fork { "stranger" } else { "acme" };
    let merged = row.state == PullState::Merged;
    json!({
        "number": number, "title": row.title, "body": row.text,
        "state": if row.state == PullState::Open { "open" } else { "closed" },
        "merged": merged, "merged_at": merged.then_some("2026-01-02T03:04:05Z"),
        "html_url": stage.pull_address(number), "draft": false,
        "head": {
            "ref": row.head, "label": label(row), "sha": "0123abc",
            "repo": { "full_name": format!("{owner}/widgets") },
        },
        "base": { "ref": row.base, "label": format!("acme:{}", row.base), "repo": { "full_name": "acme/widgets" } },
    })
}
