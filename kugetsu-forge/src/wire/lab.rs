//! GitLab: <https://docs.gitlab.com/api/issues/>, `notes`, `merge_requests`, `members`.

use std::collections::BTreeMap;

use kugetsu_core::forge::{
    Association, Author, Comment, ForgeError, Issue, Proposal, PullRef, PullRequest, PullState,
};
use kugetsu_core::{IssueRef, RepoRef};
use serde::Deserialize;
use serde_json::json;

use super::{PEOPLE, encoded, not_found, owner, time};
use crate::ask::{Asker, Unsure};
use crate::client::Said;

#[derive(Deserialize)]
struct User {
    id: u64,
    username: String,
}

#[derive(Deserialize)]
struct IssueDocument {
    title: String,
    description: Option<String>,
    author: Option<User>,
    state: String,
    web_url: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
}

#[derive(Deserialize)]
struct Note {
    id: u64,
    body: Option<String>,
    author: Option<User>,
    created_at: Option<String>,
    #[serde(default)]
    system: bool,
}

#[derive(Deserialize)]
struct MergeRequest {
    iid: u64,
    title: String,
    state: String,
    web_url: Option<String>,
    source_branch: String,
    target_branch: String,
    source_project_id: Option<u64>,
    target_project_id: Option<u64>,
}

#[derive(Deserialize)]
struct Project {
    default_branch: Option<String>,
}

#[derive(Deserialize)]
struct Membership {
    access_level: u64,
}

fn path(asker: &Asker, repository: &RepoRef) -> String {
    let whole = format!("{}/{}", owner(asker, repository), repository.name());
    format!("/projects/{}", encoded(&whole))
}

fn issue_path(asker: &Asker, issue: &IssueRef) -> String {
    format!("{}/issues/{}", path(asker, issue.repository()), issue.number())
}

pub(crate) async fn fetch(asker: &Asker, issue: &IssueRef) -> Result<Issue, ForgeError> {
    let what = format!("the issue {issue}");
    let document: IssueDocument = asker.get(&what, &issue_path(asker, issue)).await?;
    let notes = notes(asker, issue).await?;
    let mut people = People { asker, repository: issue.repository(), known: BTreeMap::new() };
    let author = people.author(document.author).await?;
    let mut fetched = Issue::new(issue.clone(), document.title, author);
    fetched.text = document.description.unwrap_or_default();
    fetched.open = document.state == "opened";
    fetched.address = document.web_url.unwrap_or_default();
    fetched.labels = document.labels;
    for note in notes {
        let author = people.author(note.author).await?;
        let (at, text) = (time(note.created_at.as_deref()), note.body.unwrap_or_default());
        fetched.comments.push(Comment::new(note.id.to_string(), author, text, at));
    }
    Ok(fetched)
}

/// What people wrote, without what GitLab itself notes.
async fn notes(asker: &Asker, issue: &IssueRef) -> Result<Vec<Note>, ForgeError> {
    let what = format!("the comments on {issue}");
    let path =
        format!("{}/notes?sort=asc&order_by=created_at&per_page=100", issue_path(asker, issue));
    let notes: Vec<Note> = asker.pages(&what, &path).await?;
    Ok(notes.into_iter().filter(|note| !note.system).collect())
}

pub(crate) async fn said(asker: &Asker, issue: &IssueRef) -> Result<Vec<Said>, ForgeError> {
    let said = |note: Note| Said {
        address: address(asker, issue, note.id),
        by: note.author.map(|user| user.username).unwrap_or_default(),
        text: note.body.unwrap_or_default(),
    };
    Ok(notes(asker, issue).await?.into_iter().map(said).collect())
}

/// A note has no address of its own in the API; this is the one that GitLab's pages use.
fn address(asker: &Asker, issue: &IssueRef, note: u64) -> String {
    let server = asker.root.trim_end_matches("/api/v4");
    let repository = issue.repository();
    let (owner, name) = (owner(asker, repository), repository.name());
    format!("{server}/{owner}/{name}/-/issues/{}#note_{note}", issue.number())
}

pub(crate) async fn comment(asker: &Asker, issue: &IssueRef, text: &str) -> Result<String, Unsure> {
    let what = format!("a comment on {issue}");
    let path = format!("{}/notes", issue_path(asker, issue));
    let made: Note = asker.post(&what, &path, &json!({ "body": text })).await?;
    Ok(address(asker, issue, made.id))
}

pub(crate) async fn pull_request(asker: &Asker, pull: &PullRef) -> Result<PullRequest, ForgeError> {
    let what = format!("the merge request {pull}");
    let path = format!("{}/merge_requests/{}", path(asker, pull.repository()), pull.number());
    let document: MergeRequest = asker.get(&what, &path).await?;
    read(document, pull.repository()).ok_or_else(|| not_found(&what))
}

fn read(document: MergeRequest, repository: &RepoRef) -> Option<PullRequest> {
    let pull = PullRef::new(repository.clone(), document.iid)?;
    let state = match document.state.as_str() {
        "merged" => PullState::Merged,
        // Locked is for the moment in which it is merged.
        "opened" | "locked" => PullState::Open,
        _ => PullState::Closed,
    };
    let mut read = PullRequest::new(pull, state, document.source_branch, document.target_branch);
    read.title = document.title;
    read.address = document.web_url.unwrap_or_default();
    Some(read)
}

pub(crate) async fn proposed(
    asker: &Asker,
    proposal: &Proposal,
) -> Result<Option<PullRequest>, ForgeError> {
    let what = format!("the merge requests of {}", proposal.repository);
    let path = format!(
        "{}/merge_requests?state=opened&per_page=100&source_branch={}",
        path(asker, &proposal.repository),
        encoded(&proposal.head)
    );
    let open: Vec<MergeRequest> = asker.pages(&what, &path).await?;
    let is_it = |found: &MergeRequest| {
        found.source_branch == proposal.head
            && found.source_project_id == found.target_project_id
            && proposal.base.as_ref().is_none_or(|base| *base == found.target_branch)
    };
    Ok(open.into_iter().find(is_it).and_then(|document| read(document, &proposal.repository)))
}

pub(crate) async fn propose(asker: &Asker, proposal: &Proposal) -> Result<PullRequest, Unsure> {
    let not_sent = |error| Unsure { error, may_be_done: false };
    let path = path(asker, &proposal.repository);
    let base = if let Some(base) = &proposal.base {
        base.clone()
    } else {
        let what = format!("the repository {}", proposal.repository);
        let project: Project = asker.get(&what, &path).await.map_err(not_sent)?;
        let none = || not_sent(not_found(&format!("the default branch of {what}")));
        project.default_branch.ok_or_else(none)?
    };
    let what = format!("a merge request of {}", proposal.repository);
    let body = json!({
        "title": proposal.title, "description": proposal.text,
        "source_branch": proposal.head, "target_branch": base,
    });
    let made: MergeRequest = asker.post(&what, &format!("{path}/merge_requests"), &body).await?;
    read(made, &proposal.repository)
        .ok_or_else(|| Unsure { error: not_found(&what), may_be_done: true })
}

/// Who people are to the project, by their access level, inherited ones included:
/// <https://docs.gitlab.com/api/members/>.
struct People<'a> {
    asker: &'a Asker,
    repository: &'a RepoRef,
    known: BTreeMap<u64, Association>,
}

impl People<'_> {
    async fn author(&mut self, user: Option<User>) -> Result<Author, ForgeError> {
        let Some(user) = user else { return Ok(Author::new("ghost", Association::Stranger)) };
        let association = match self.known.get(&user.id) {
            Some(known) => *known,
            None if self.known.len() >= PEOPLE => Association::Stranger,
            None => {
                let found = self.ask(&user).await?;
                self.known.insert(user.id, found);
                found
            }
        };
        Ok(Author::new(user.username, association))
    }

    async fn ask(&self, user: &User) -> Result<Association, ForgeError> {
        let what = format!("what {} is to {}", user.username, self.repository);
        let path = format!("{}/members/all/{}", path(self.asker, self.repository), user.id);
        match self.asker.get::<Membership>(&what, &path).await {
            Ok(member) => Ok(match member.access_level {
                50.. => Association::Owner,
                // Developers and maintainers may push.
                30..50 => Association::Member,
                20..30 => Association::Contributor,
                _ => Association::Stranger,
            }),
            Err(ForgeError::NotFound { .. } | ForgeError::Denied { .. }) => {
                Ok(Association::Stranger)
            }
            Err(other) => Err(other),
        }
    }
}
