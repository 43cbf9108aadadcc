//! Commands that are run inside of a checkout.

use kugetsu_testkit::sandbox::SampleRepository;

use crate::desk::{Desk, ISSUE, initialised};

/// A desk in whose directory `own` there is a checkout of `ISSUE`'s repository.
fn in_checkout() -> (Desk, SampleRepository) {
    let desk = initialised().standing_in("own/deep");
    let origin = SampleRepository::at(&desk.path("origin")).unwrap();
    let (from, to) = (desk.path("origin"), desk.path("own"));
    origin.git(&["clone", "--quiet", from.to_str().unwrap(), to.to_str().unwrap()]).unwrap();
    let own = SampleRepository::at(&to).unwrap();
    for (name, value) in [("user.name", "Sample"), ("user.email", "sample@example.invalid")] {
        own.git(&["config", name, value]).unwrap();
    }
    std::fs::create_dir(to.join("deep")).unwrap();
    (desk, own)
}

#[test]
fn a_clone_that_is_made_inside_of_a_checkout_takes_its_objects_and_comes_from_the_remote() {
    let (desk, own) = in_checkout();
    let only_here = own.commit("only-here.txt", "x\n", "only here").unwrap();
    own.git(&["update-ref", "refs/remotes/origin/only-here", &only_here]).unwrap();
    desk.run(&["start", ISSUE, "MODEL: say hello"]).done();
    std::fs::remove_dir_all(own.path()).unwrap();
    let clone = SampleRepository::at(&desk.kugetsu("repos/example.com/acme/widgets.git")).unwrap();
    clone.git(&["cat-file", "-e", &only_here]).unwrap();
    clone.git(&["fsck", "--strict"]).unwrap();
    assert_eq!(
        clone.git(&["config", "remote.origin.url"]).unwrap(),
        desk.path("origin").to_str().unwrap()
    );
    let worktree = SampleRepository::at(&desk.worktree()).unwrap();
    assert_eq!(worktree.subjects("HEAD").unwrap(), ["start"]);
}

#[test]
fn a_number_alone_means_the_issue_of_the_checkouts_repository() {
    let (desk, own) = in_checkout();
    let meant = |text: &str| {
        let ran = desk.run(&["continue", text]);
        (ran.code, ran.err.lines().next().unwrap().to_owned())
    };
    let nothing = |issue: &str| (1, format!("error: there is nothing to continue for {issue}"));
    // As repos.json says, then as the address says, then as a server says that is at this address.
    assert_eq!(meant("#7"), nothing(ISSUE));
    own.git(&["remote", "set-url", "origin", "git@github.com:acme/tools.git"]).unwrap();
    assert_eq!(meant("#7"), nothing("github.com/acme/tools#7"));
    let server = ["server", "add", "git.example.com", "https://10.0.0.3:3000", "--kind", "gitea"];
    desk.run(&server).done();
    own.git(&["remote", "set-url", "origin", "https://me:hunter2@10.0.0.3:3000/acme/tools"])
        .unwrap();
    assert_eq!(meant("#7"), nothing("git.example.com/acme/tools#7"));
    for text in ["#0", "#x", "#", "#7/8"] {
        let (code, told) = meant(text);
        assert_eq!(code, 64, "{text}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
    own.git(&["remote", "remove", "origin"]).unwrap();
    let (code, told) = meant("#7");
    assert_eq!(code, 64);
    assert_eq!(told, "error: \"#7\" names no repository, and this is no checkout of one");
}
