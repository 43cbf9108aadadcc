//! Remotes that cannot be had.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

use kugetsu_core::{Retry, WorktreeError, WorktreeProvider, WorktreeSpec};

use crate::ground::{Ground, commit, git, issue};

/// Answers every request with the status given, for as long as the test lives.
fn server(status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else { continue };
            let mut request = [0; 4096];
            let _ = connection.read(&mut request);
            let answer = format!(
                "HTTP/1.1 {status}\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\
                 Content-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}/acme/widgets.git")
}

async fn error_from(ground: &Ground, address: &str) -> WorktreeError {
    let error = ground.from(address).prepare(&WorktreeSpec::new(issue(7))).await.unwrap_err();
    assert!(!ground.tree(7).exists());
    assert!(!ground.clone().exists());
    assert_eq!(ground.left_over(), Vec::<String>::new());
    error
}

#[tokio::test]
async fn nothing_waits_for_a_password() {
    let error = error_from(&Ground::new(), &server("401 Unauthorized")).await;
    assert!(matches!(error, WorktreeError::NoRepository { .. }), "{error}");
    assert!(error.to_string().contains("credential helper"), "{error}");
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_told_and_not_tried_again() {
    let ground = Ground::new();
    let path = ground.path().join("nowhere");
    for address in [
        server("404 Not Found"),
        path.display().to_string(),
        format!("file://{}", path.display()),
        ground.path().display().to_string(),
    ] {
        let error = error_from(&ground, &address).await;
        assert!(matches!(error, WorktreeError::NoRepository { .. }), "{address}: {error}");
        assert_eq!(error.retry(), Retry::Never);
    }
}

/// A port of this machine that nobody listens on.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_no_fault_of_the_tasks_and_is_tried_again_later() {
    let ground = Ground::new();
    for (address, words) in [
        (server("503 Service Unavailable"), "503"),
        (server("429 Too Many Requests"), "429"),
        (format!("http://127.0.0.1:{}/acme/widgets.git", closed_port()), "onnect"),
        ("https://git.example.invalid/acme/widgets.git".into(), "resolve host"),
    ] {
        let error = error_from(&ground, &address).await;
        assert!(matches!(error, WorktreeError::Unreachable { .. }), "{address}: {error}");
        assert_eq!(error.retry(), Retry::Later);
        let told = error.to_string();
        assert!(told.contains(words) && told.contains(&address), "{address}: {told}");
    }
}

#[tokio::test]
async fn a_missing_git_is_told_with_the_mend() {
    let ground = Ground::new();
    let worktrees = ground.again().with_program("git-that-is-not-there");
    let error = worktrees.prepare(&WorktreeSpec::new(issue(7))).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Never);
    assert!(error.to_string().contains("install git"), "{error}");
}

#[tokio::test]
async fn without_the_remote_a_branch_is_still_gone_on_with_and_a_new_one_is_not_begun() {
    let ground = Ground::new();
    let worktree = ground.prepare(7).await;
    let own = commit(&worktree.path, "own.txt");
    let away = ground.path().join("away");
    fs::rename(ground.remote.path(), &away).unwrap();
    assert!(!ground.prepare(7).await.created);
    fs::remove_dir_all(&worktree.path).unwrap();
    assert!(ground.prepare(7).await.created);
    assert_eq!(git(&worktree.path, &["rev-parse", "HEAD"]), own);
    assert!(ground.try_prepare(8).await.is_err());
    assert!(!ground.tree(8).exists());
}

#[tokio::test]
async fn paths_and_addresses_of_bare_repositories_are_cloned_alike() {
    let ground = Ground::new();
    let bare = ground.path().join("a bare 'repository'.git");
    let (from, to) = (ground.remote.path().to_str().unwrap(), bare.to_str().unwrap());
    git(&ground.path(), &["clone", "--quiet", "--bare", from, to]);
    for address in
        [from.to_owned(), format!("file://{from}"), to.to_owned(), format!("file://{to}")]
    {
        let place = tempfile::tempdir_in(ground.path()).unwrap();
        let head = clone_into(place.path(), &address).await;
        assert_eq!(head, ground.remote.head().unwrap());
    }
}

async fn clone_into(place: &Path, address: &str) -> String {
    use kugetsu_git::{GitWorktrees, HttpsSources, RepositoryMap, Source};
    let sources = RepositoryMap::new(std::sync::Arc::new(HttpsSources))
        .with(issue(1).repository().clone(), Source::parse(address).unwrap());
    let worktrees =
        GitWorktrees::new(place.join("w"), place.join("r"), std::sync::Arc::new(sources));
    let worktrees = crate::ground::hermetic(worktrees, place);
    let worktree = worktrees.prepare(&WorktreeSpec::new(issue(1))).await.unwrap();
    git(&worktree.path, &["rev-parse", "HEAD"])
}

#[tokio::test]
async fn a_sha256_repository_is_refused_by_name() {
    let ground = Ground::new();
    let other = ground.path().join("sha256");
    fs::create_dir(&other).unwrap();
    git(&other, &["init", "--quiet", "--object-format=sha256"]);
    commit(&other, "a.txt");
    let error = error_from(&ground, other.to_str().unwrap()).await;
    assert!(matches!(error, WorktreeError::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("sha256") || error.to_string().contains("sha1"), "{error}");
}
