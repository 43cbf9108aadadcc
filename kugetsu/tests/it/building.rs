use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use kugetsu::core::{TaskQuery, TaskStore as _};
use kugetsu::git::Source;
use kugetsu::queue::{JsonStore, Logs};
use kugetsu::{BuildError, Kugetsu, Status};
use kugetsu_testkit::fake::{FakeAgent, FakeWorktrees};
use kugetsu_testkit::sandbox::SampleRepository;

use crate::house::{House, issue, report, request};

#[tokio::test]
async fn without_a_directory_everything_is_in_memory_and_gone_with_the_program() {
    let house = House::new();
    let one = house.in_memory().build().await.unwrap();
    let task = one.start(request(1, "say Done.")).await.unwrap();
    assert_eq!(report(&task).answer, "Done.");
    assert_eq!(one.clone().task(task.id).await.unwrap(), task);
    let other = house.in_memory().build().await.unwrap();
    assert!(other.task(task.id).await.is_err(), "two programs have one memory");
    assert!(!house.path("kugetsu").exists());
}

#[tokio::test]
async fn a_directory_keeps_everything_for_the_next_program() {
    let house = House::new();
    let first = house.in_directory().build().await.unwrap();
    let done =
        first.start(request(1, "write a.txt a ;; commit add a ;; say Added.")).await.unwrap();
    let left = first.enqueue(request(2, "say Done.")).await.unwrap();
    drop(first);

    let second = house.in_directory().build().await.unwrap();
    assert_eq!(second.task(done.id).await.unwrap(), done);
    second.run_until(second.settled(left.id)).await.unwrap().unwrap();
    assert_eq!(second.task(left.id).await.unwrap().status(), Status::Completed);
    // The issue's session is the same, too.
    report(&second.start(request(1, "say Still here.")).await.unwrap());
    let runs = house.agent.runs();
    assert_eq!(runs[2].session, runs[0].session);

    // It is what the command `kugetsu` has, for its owner only.
    let kept = house.path("kugetsu");
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o700);
    for name in ["kugetsu.db", "slots", "logs", "context", "home", "queue"] {
        assert!(kept.join(name).exists(), "{name}");
    }
    let logs = Logs::new(kept.join("logs")).list(None).unwrap();
    assert_eq!(logs.len(), 3, "a log of each attempt");
}

#[tokio::test]
async fn a_directory_of_readable_files_stays_one() {
    let house = House::new();
    let directory = house.path("kugetsu");
    drop(JsonStore::open(&directory).await.unwrap());
    let kugetsu = house.in_directory().build().await.unwrap();
    let task = kugetsu.start(request(1, "say Done.")).await.unwrap();
    drop(kugetsu);
    assert!(!directory.join("kugetsu.db").exists());
    let kept = JsonStore::open(&directory).await.unwrap().list(&TaskQuery::all()).await.unwrap();
    assert_eq!(kept, [task]);
}

#[tokio::test]
async fn a_database_that_is_gone_is_never_an_empty_queue() {
    let house = House::new();
    let kugetsu = house.in_directory().build().await.unwrap();
    kugetsu.start(request(1, "say Done.")).await.unwrap();
    drop(kugetsu);
    fs::remove_file(house.path("kugetsu/kugetsu.db")).unwrap();
    match house.in_directory().build().await {
        Err(BuildError::NoStore { directory, why }) => {
            assert_eq!(directory, house.path("kugetsu"));
            assert!(
                why.contains("kugetsu.db is gone") && why.contains("kugetsu doctor --fix"),
                "{why}"
            );
        }
        other => panic!("instead of `NoStore` there was {other:?}"),
    }
    assert!(!house.path("kugetsu/kugetsu.db").exists());
}

#[tokio::test]
async fn what_is_missing_is_named_with_what_gives_it() {
    let house = House::new();
    let trees = || FakeWorktrees::new(house.path("trees"));
    let no_agent = Kugetsu::builder().worktrees(trees()).build().await.unwrap_err();
    assert!(matches!(no_agent, BuildError::NoAgent), "{no_agent:?}");
    assert_eq!(
        no_agent.to_string(),
        "no agent was given; call `agent`, or `directory` with the feature `opencode`"
    );
    let no_worktrees = Kugetsu::builder().agent(FakeAgent::new()).build().await.unwrap_err();
    assert!(matches!(no_worktrees, BuildError::NoWorktrees), "{no_worktrees:?}");
    assert_eq!(
        no_worktrees.to_string(),
        "no worktrees were given; call `worktrees`, or `directory` with the feature `git`"
    );
    fs::write(house.path("file"), "").unwrap();
    let file = Kugetsu::builder().directory(house.path("file")).build().await.unwrap_err();
    assert!(matches!(file, BuildError::Directory { .. }), "{file:?}");
    assert!(file.to_string().contains(house.path("file").to_str().unwrap()), "{file}");
}

/// The default worktrees, of repositories that `source` and `repos.json` name.
#[tokio::test]
async fn a_relative_directory_has_worktrees_of_git_from_where_its_repositories_are() {
    let house = House::new();
    let directory = house.path("kugetsu");
    let sample = |name: &str| {
        let sample = SampleRepository::new(&house.path(name)).unwrap();
        sample.path().to_str().unwrap().to_owned()
    };
    let (named, listed) = (sample("named"), sample("listed"));
    fs::create_dir(&directory).unwrap();
    let list = format!(
        r#"{{"example.com/acme/widgets":"/nowhere","example.com/acme/gadgets":"{listed}"}}"#
    );
    fs::write(directory.join("repos.json"), list).unwrap();

    let depth = std::env::current_dir().unwrap().components().count() - 1;
    let relative = PathBuf::from("../".repeat(depth)).join(directory.strip_prefix("/").unwrap());
    let kugetsu = Kugetsu::builder()
        .directory(relative)
        .source(issue(1).repository().clone(), Source::parse("/nowhere/else").unwrap())
        .source(issue(1).repository().clone(), Source::parse(&named).unwrap())
        .agent(house.agent.clone())
        .build()
        .await
        .unwrap();
    for issue in ["example.com/acme/widgets#1", "example.com/acme/gadgets#1"] {
        let message = "MODEL: write a.txt a ;; commit add a ;; say Added.";
        let task =
            kugetsu.start(kugetsu::Request::dev(issue.parse().unwrap(), message)).await.unwrap();
        assert_eq!((report(&task).commits, report(&task).uncommitted), (1, 0));
    }
    for run in house.agent.runs() {
        assert!(run.directory.starts_with(directory.join("worktrees")), "{run:?}");
    }
}
