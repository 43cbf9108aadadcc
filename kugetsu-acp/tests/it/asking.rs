//! What an agent asks for is answered at once.

use kugetsu_acp::Permissions;
use kugetsu_core::Retry;
use kugetsu_core::agent::RunRequest;

use crate::fixture::Fixture;

#[tokio::test]
async fn what_lies_in_the_worktree_is_allowed_though_only_the_call_is_named() {
    let fixture = Fixture::with(&["asks"]).await;
    let worktree = fixture.worktree();
    let script = "MODEL: write src/a.txt a\nMODEL: bash echo b > b.txt\nMODEL: say done";
    let told = fixture.run(RunRequest::new(&worktree, script)).await;
    told.assert_done();
    assert_eq!(told.refused(), [""; 0], "{told:?}");
    assert!(worktree.join("src/a.txt").exists() && worktree.join("b.txt").exists());
}

#[tokio::test]
async fn what_lies_elsewhere_is_refused_told_and_no_failure_if_the_agent_goes_on() {
    let fixture = Fixture::with(&["asks"]).await;
    let worktree = fixture.worktree();
    let outside = fixture.worktree();
    std::os::unix::fs::symlink(&outside, worktree.join("out")).unwrap();
    let script = "MODEL: ask /etc/hostname\nMODEL: write out/astray.txt x\nMODEL: say went on";
    let told = fixture.run(RunRequest::new(&worktree, script)).await;
    told.assert_done();
    assert_eq!(told.text(), "went on");
    let out = worktree.join("out/astray.txt");
    let expected = ["read: read (/etc/hostname)", &format!("edit: write ({})", out.display())];
    assert_eq!(told.refused(), expected, "{told:?}");
    assert!(!outside.join("astray.txt").exists());
}

#[tokio::test]
async fn an_agent_that_gives_up_when_it_is_refused_fails_for_good() {
    let fixture = Fixture::with(&["gives-up"]).await;
    let told = fixture.turn("MODEL: ask /etc/hostname ;; say x").await;
    let failure = told.failure();
    assert_eq!(failure.retry, Retry::Never);
    assert!(failure.reason.contains("/etc/hostname"), "{failure}");
    assert_eq!(told.refused().len(), 1, "{told:?}");
}

#[tokio::test]
async fn what_cannot_be_refused_is_called_off() {
    let fixture = Fixture::with(&["no-no"]).await;
    let told = fixture.turn("MODEL: ask /etc/hostname ;; say went on").await;
    told.assert_done();
    assert_eq!(told.refused().len(), 1, "{told:?}");
    let hostname = std::fs::read_to_string("/etc/hostname").unwrap();
    assert!(!format!("{told:?}").contains(&format!("summary: {hostname:?}")));
}

#[tokio::test]
async fn whoever_is_trusted_with_all_may_all_and_who_is_with_nothing_may_nothing() {
    let cases = [(Permissions::All, 0), (Permissions::Nothing, 2)];
    for (permissions, refused) in cases {
        let fixture = Fixture::with(&["asks"]).await;
        let fixture = fixture.configured(|config| config.with_permissions(permissions));
        let told =
            fixture.turn("MODEL: ask /etc/hostname\nMODEL: write a.txt a\nMODEL: say x").await;
        told.assert_done();
        assert_eq!(told.refused().len(), refused, "{told:?}");
    }
}
