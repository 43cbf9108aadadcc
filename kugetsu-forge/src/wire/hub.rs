//! GitHub and Gitea, whose APIs are alike: <https://docs.github.com/en/rest/issues> and
//! <https://docs.gitea.com/api>.

use std::collections::BTreeMap;

use kugetsu_core::forge::{
    Association, Author, Comment, ForgeError, Issue, Proposal, PullRef, PullRequest, PullState,
};
use kugetsu_core::{IssueRef, RepoRef};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::{PEOPLE, encoded, not_found, owner, time};
use crate::ask::{Asker, Unsure};
use crate::client::Said;
use crate::kind::ForgeKind;

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct IssueDocument {
    title: String,
    body: Option<String>,
    user: Option<User>,
    state: String,
    html_url: Option<String>,
    author_association: Option<String>,
    labels: Option<Vec<Label>>,
    pull_request: Option<IgnoredAny>,
}

/// GitHub's own documentation has both.
#[derive(Deserialize)]
#[serde(untagged)]
enum Label {
    Name(String),
    Whole { name: Option<String> },
}

impl Label {
    fn name(self) -> Option<String> {
        match self {
            Self::Name(name) => Some(name),
            Self::Whole { name } => name,
        }
    }
}

#[derive(Deserialize)]
struct CommentDocument {
    id: u64,
    body: Option<String>,
    user: Option<User>,
    html_url: Option<String>,
    created_at: Option<String>,
    author_association: Option<String>,
}

#[derive(Deserialize)]
struct Branch {
    #[serde(rename = "ref")]
    name: String,
    label: Option<String>,
    repo: Option<Whole>,
}

#[derive(Deserialize)]
struct Whole {
    full_name: Option<String>,
}

#[derive(Deserialize)]
struct PullDocument {
    number: u64,
    title: String,
    state: String,
    merged: Option<bool>,
    merged_at: Option<String>,
    html_url: Option<String>,
    head: Branch,
    base: Branch,
}

#[derive(Deserialize)]
struct RepositoryDocument {
    default_branch: String,
}

/// The path of a repository. Its owner has one part here.
fn path(asker: &Asker, repository: &RepoRef) -> Result<String, ForgeError> {
    let owner = owner(asker, repository);
    if owner.contains('/') {
        return Err(not_found(&format!("the repository {repository}")));
    }
    Ok(format!("/repos/{owner}/{}", repository.name()))
}

fn issue_path(asker: &Asker, issue: &IssueRef) -> Result<String, ForgeError> {
    Ok(format!("{}/issues/{}", path(asker, issue.repository())?, issue.number()))
}

fn name_of(user: Option<User>) -> String {
    // Whoever has left GitHub is shown so there.
    user.map_or_else(|| "ghost".to_owned(), |user| user.login)
}

pub(crate) async fn fetch(asker: &Asker, issue: &IssueRef) -> Result<Issue, ForgeError> {
    let what = format!("the issue {issue}");
    let document: IssueDocument = asker.get(&what, &issue_path(asker, issue)?).await?;
    if document.pull_request.is_some() {
        return Err(ForgeError::NotFound {
            what: format!("{what} (the number is that of a pull request)"),
        });
    }
    let comments = comments(asker, issue).await?;
    let mut people = People { asker, repository: issue.repository(), known: BTreeMap::new() };
    let author = people.author(name_of(document.user), document.author_association).await?;
    let mut fetched = Issue::new(issue.clone(), document.title, author);
    fetched.text = document.body.unwrap_or_default();
    fetched.open = document.state == "open";
    fetched.address = document.html_url.unwrap_or_default();
    fetched.labels =
        document.labels.unwrap_or_default().into_iter().filter_map(Label::name).collect();
    for comment in comments {
        let author = people.author(name_of(comment.user), comment.author_association).await?;
        let at = time(comment.created_at.as_deref());
        let text = comment.body.unwrap_or_default();
        fetched.comments.push(Comment::new(comment.id.to_string(), author, text, at));
    }
    Ok(fetched)
}

async fn comments(asker: &Asker, issue: &IssueRef) -> Result<Vec<CommentDocument>, ForgeError> {
    let what = format!("the comments on {issue}");
    // Gitea gives all at once, and has no pages here.
    let size = if asker.kind == ForgeKind::Gitea { "" } else { "?per_page=100" };
    asker.pages(&what, &format!("{}/comments{size}", issue_path(asker, issue)?)).await
}

pub(crate) async fn said(asker: &Asker, issue: &IssueRef) -> Result<Vec<Said>, ForgeError> {
    let said = |comment: CommentDocument| Said {
        by: name_of(comment.user),
        text: comment.body.unwrap_or_default(),
        address: comment.html_url.unwrap_or_default(),
    };
    Ok(comments(asker, issue).await?.into_iter().map(said).collect())
}

pub(crate) async fn comment(asker: &Asker, issue: &IssueRef, text: &str) -> Result<String, Unsure> {
    let path = issue_path(asker, issue).map_err(|error| Unsure { error, may_be_done: false })?;
    let what = format!("a comment on {issue}");
    let made: CommentDocument =
        asker.post(&what, &format!("{path}/comments"), &json!({ "body": text })).await?;
    Ok(made.html_url.unwrap_or_default())
}

pub(crate) async fn pull_request(asker: &Asker, pull: &PullRef) -> Result<PullRequest, ForgeError> {
    let what = format!("the pull request {pull}");
    let path = format!("{}/pulls/{}", path(asker, pull.repository())?, pull.number());
    let document: PullDocument = asker.get(&what, &path).await?;
    read(document, pull.repository()).ok_or_else(|| not_found(&what))
}

fn read(document: PullDocument, repository: &RepoRef) -> Option<PullRequest> {
    let pull = PullRef::new(repository.clone(), document.number)?;
    let merged = document.merged == Some(true) || document.merged_at.is_some();
    let state = match document.state.as_str() {
        _ if merged => PullState::Merged,
        "open" => PullState::Open,
        _ => PullState::Closed,
    };
    let mut read = PullRequest::new(pull, state, document.head.name, document.base.name);
    read.title = document.title;
    read.address = document.html_url.unwrap_or_default();
    Some(read)
}

/// The open pull request from this branch of the repository itself; those of forks that call a branch
/// alike are others.
pub(crate) async fn proposed(
    asker: &Asker,
    proposal: &Proposal,
) -> Result<Option<PullRequest>, ForgeError> {
    let repository = &proposal.repository;
    let what = format!("the pull requests of {repository}");
    let owner = owner(asker, repository);
    let query = if asker.kind == ForgeKind::Gitea {
        "state=open&limit=50".to_owned()
    } else {
        let head = format!("{owner}:{}", proposal.head);
        format!("state=open&per_page=100&head={}", encoded(&head))
    };
    let path = format!("{}/pulls?{query}", path(asker, repository)?);
    let open: Vec<PullDocument> = asker.pages(&what, &path).await?;
    let full_name = format!("{owner}/{}", repository.name());
    let is_it = |pull: &PullDocument| {
        let from = pull.head.repo.as_ref().and_then(|whole| whole.full_name.as_deref());
        let label = pull.head.label.as_deref();
        let is_own = match from {
            Some(from) => from.eq_ignore_ascii_case(&full_name),
            None => label
                .is_none_or(|label| label.split_once(':').is_none_or(|(from, _)| from == owner)),
        };
        is_own
            && pull.head.name == proposal.head
            && proposal.base.as_ref().is_none_or(|base| *base == pull.base.name)
    };
    Ok(open.into_iter().find(is_it).and_then(|document| read(document, repository)))
}

pub(crate) async fn propose(asker: &Asker, proposal: &Proposal) -> Result<PullRequest, Unsure> {
    let not_sent = |error| Unsure { error, may_be_done: false };
    let repository = &proposal.repository;
    let path = path(asker, repository).map_err(not_sent)?;
    let base = if let Some(base) = &proposal.base {
        base.clone()
    } else {
        let what = format!("the repository {repository}");
        let whole: RepositoryDocument = asker.get(&what, &path).await.map_err(not_sent)?;
        whole.default_branch
    };
    let what = format!("a pull request of {repository}");
    let body = json!({
        "title": proposal.title, "body": proposal.text, "head": proposal.head, "base": base,
    });
    let made: PullDocument = asker.post(&what, &format!("{path}/pulls"), &body).await?;
    read(made, repository).ok_or_else(|| Unsure { error: not_found(&what), may_be_done: true })
}

/// Who people are to the repository. GitHub says so with everything that they write; Gitea is asked.
struct People<'a> {
    asker: &'a Asker,
    repository: &'a RepoRef,
    known: BTreeMap<String, Association>,
}

impl People<'_> {
    async fn author(&mut self, name: String, told: Option<String>) -> Result<Author, ForgeError> {
        if self.asker.kind == ForgeKind::GitHub {
            // <https://docs.github.com/en/graphql/reference/enums#commentauthorassociation>
            let association = match told.as_deref() {
                Some("OWNER") => Association::Owner,
                Some("MEMBER") => Association::Member,
                Some("COLLABORATOR") => Association::Collaborator,
                Some("CONTRIBUTOR") => Association::Contributor,
                _ => Association::Stranger,
            };
            return Ok(Author::new(name, association));
        }
        let association = match self.known.get(&name) {
            Some(known) => *known,
            None if self.known.len() >= PEOPLE => Association::Stranger,
            None => {
                let found = self.ask(&name).await?;
                self.known.insert(name.clone(), found);
                found
            }
        };
        Ok(Author::new(name, association))
    }

    async fn ask(&self, name: &str) -> Result<Association, ForgeError> {
        let owner = owner(self.asker, self.repository);
        if name.eq_ignore_ascii_case(owner) {
            return Ok(Association::Owner);
        }
        let what = format!("what {name} is to {}", self.repository);
        let name = encoded(name);
        // A user has no members; then it is not there. Whoever is no member is sent from the first to
        // the second, by the address that the server takes for its own.
        for members in ["members", "public_members"] {
            if self.asker.is_there(&what, &format!("/orgs/{owner}/{members}/{name}")).await? {
                return Ok(Association::Member);
            }
        }
        let path = format!("{}/collaborators/{name}", path(self.asker, self.repository)?);
        if self.asker.is_there(&what, &path).await? {
            return Ok(Association::Collaborator);
        }
        Ok(Association::Stranger)
    }
}
