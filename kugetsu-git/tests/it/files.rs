//! The files of a new worktree are what git makes of them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kugetsu_core::{WorktreeProvider as _, WorktreeSpec};
use kugetsu_git::GitWorktrees;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::ground::{Ground, Noting, git, issue};
use crate::together::example;

/// A path, a mode and what is there.
type File = (Vec<Vec<u8>>, &'static str, Vec<u8>);

fn files() -> impl Strategy<Value = Vec<File>> {
    let names = [
        b"a".as_slice(),
        b"a-b",
        b"a.b",
        b"a0",
        b"B",
        b"b",
        b"with space",
        b"-option",
        b"*[x]",
        b"line\nbreak",
        b"\xff\xfe",
        "\u{fc}ml\u{e4}ut".as_bytes(),
        b".gitignore",
        b".hidden",
        b"...",
    ];
    let name = prop::sample::select(names.map(<[u8]>::to_vec).to_vec());
    let path = prop::collection::vec(name, 1..5);
    let text = prop_oneof![
        Just(Vec::new()),
        Just(b"a\r\nb\n".to_vec()),
        prop::collection::vec(any::<u8>(), 1..40),
        (1usize..200_000).prop_map(|size| vec![b'x'; size]),
    ];
    let file = (path.clone(), prop::sample::select(vec!["100644", "100755"]), text);
    let to = prop::sample::select(vec![&b"a"[..], b"../../..", b"/", b"nowhere/\xff"]);
    // Links that git might read its settings from are left to git.
    let plain =
        path.prop_filter("a link", |path| path.last().is_some_and(|it| it != b".gitignore"));
    let link = (plain, Just("120000"), to.prop_map(<[u8]>::to_vec));
    prop::collection::vec(prop_oneof![6 => file, 1 => link], 0..30)
}

/// Commits the files to the remote's branch `name`; later ones take the place of earlier ones.
fn import(ground: &Ground, name: &str, files: &[File]) {
    let mut text = format!(
        "commit refs/heads/{name}\ncommitter A <a@example.invalid> 1700000000 +0000\ndata 0\n\n"
    )
    .into_bytes();
    for (path, mode, content) in files {
        let path = path.join(&b'/');
        let path = path.iter().fold(String::new(), |mut text, byte| {
            write!(text, "\\{byte:03o}").unwrap();
            text
        });
        text.extend(format!("M {mode} inline \"{path}\"\ndata {}\n", content.len()).into_bytes());
        text.extend(content);
        text.push(b'\n');
    }
    let mut child = Command::new("git")
        .args(["fast-import", "--quiet", "--force"])
        .current_dir(ground.remote.path())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&text).unwrap();
    assert!(child.wait().unwrap().success());
}

/// All below `directory` but the link to the administration: modes and contents.
fn walk(directory: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    fn into(all: &mut BTreeMap<PathBuf, (u32, Vec<u8>)>, root: &Path, directory: &Path) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let found = fs::symlink_metadata(&path).unwrap();
            let text = if found.is_dir() {
                into(all, root, &path);
                Vec::new()
            } else if found.is_symlink() {
                fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()
            } else {
                fs::read(&path).unwrap()
            };
            let name = path.strip_prefix(root).unwrap().to_owned();
            if name != Path::new(".git") {
                all.insert(name, (found.mode(), text));
            }
        }
    }
    let mut all = BTreeMap::new();
    into(&mut all, directory, directory);
    all
}

/// The numbers that the index has of each file are those that the file system has.
fn index_is_right(tree: &Path) {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--debug"])
        .current_dir(tree)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    let mut rest = &output.stdout[..];
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        let (name, behind) = (&rest[..end], &rest[end + 1..]);
        let lines: Vec<&[u8]> = behind.splitn(6, |byte| *byte == b'\n').collect();
        let found = fs::symlink_metadata(tree.join(OsStr::from_bytes(name))).unwrap();
        let cut = |number: u64| number & 0xffff_ffff;
        let expected = [
            format!("  ctime: {}:{}", found.ctime(), found.ctime_nsec()),
            format!("  mtime: {}:{}", found.mtime(), found.mtime_nsec()),
            format!("  dev: {}\tino: {}", cut(found.dev()), cut(found.ino())),
            format!("  uid: {}\tgid: {}", found.uid(), found.gid()),
            format!("  size: {}\tflags: 0", found.size()),
        ];
        let told: Vec<_> = lines[..5].iter().map(|line| String::from_utf8_lossy(line)).collect();
        assert_eq!(told, expected, "{}", String::from_utf8_lossy(name));
        rest = lines[5];
    }
    assert!(rest.is_empty());
}

/// The same worktree as git makes it.
fn by_git(ground: &Ground, name: &str, number: u64) -> PathBuf {
    let place = ground.path().join(format!("by-git-{number}"));
    let from = format!("refs/remotes/origin/{name}");
    git(
        &ground.clone(),
        &["worktree", "add", "--quiet", "--detach", place.to_str().unwrap(), &from],
    );
    place
}

fn on(name: &str, number: u64) -> WorktreeSpec {
    WorktreeSpec::new(issue(number)).with_base(Some(name.to_owned()))
}

/// With a git that cannot check out.
fn alone(ground: &Ground) -> GitWorktrees {
    ground.again().with_program(Noting::new(ground, "read-tree").program)
}

#[test]
fn whatever_a_tree_holds_the_worktree_is_as_git_makes_it() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ground = Ground::new();
    let worktrees = alone(&ground);
    let number = std::cell::Cell::new(1);
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    let check = |files: Vec<File>| {
        number.set(number.get() + 1);
        let (number, name) = (number.get(), format!("tree-{}", number.get()));
        import(&ground, &name, &files);
        let ours = runtime.block_on(worktrees.prepare(&on(&name, number))).unwrap().path;
        let theirs = by_git(&ground, &name, number);
        // Before git has refreshed anything.
        index_is_right(&ours);
        assert_eq!(git(&ours, &["diff-files"]), "");
        assert_eq!(git(&ours, &["diff-index", "--cached", "HEAD"]), "");
        assert_eq!(git(&ours, &["status", "--porcelain", "--ignored"]), "");
        let mut expected = walk(&theirs);
        assert_eq!(walk(&ours), std::mem::take(&mut expected));
        let told = ["ls-files", "--stage", "-z"];
        assert_eq!(git(&ours, &told), git(&theirs, &told));
        git(&ours, &["fsck"]);
        assert_eq!(git(&ours, &["write-tree"]), git(&ours, &["rev-parse", "HEAD^{tree}"]));
        let status = runtime.block_on(worktrees.inspect(&issue(number))).unwrap().unwrap();
        assert_eq!(status.dirty, 0);
        Ok(())
    };
    TestRunner::new(config).run(&files(), check).unwrap();
}

#[tokio::test]
async fn many_files_in_many_directories_are_as_git_makes_them() {
    let ground = Ground::new();
    let files: Vec<File> = (0..3000)
        .map(|number: usize| {
            let path =
                [number / 500, number / 50 % 7, number].map(|it| it.to_string().into_bytes());
            let path = if number.is_multiple_of(3) { path[2..].to_vec() } else { path.to_vec() };
            (path, "100644", vec![b'0'; number % 700])
        })
        .collect();
    import(&ground, "many", &files);
    let ours = alone(&ground).prepare(&on("many", 1)).await.unwrap().path;
    index_is_right(&ours);
    assert_eq!(walk(&ours), walk(&by_git(&ground, "many", 1)));
    assert_eq!(git(&ours, &["status", "--porcelain"]), "");
}

#[test]
fn modes_are_what_the_umask_leaves() {
    let ground = Ground::new();
    for (number, mask, mode) in [(1, "027", 0o640), (2, "000", 0o666), (3, "077", 0o600)] {
        let prepare = example(&ground, number);
        let script = format!("umask {mask}; exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).arg(prepare.get_program()).args(prepare.get_args());
        for (name, value) in prepare.get_envs() {
            command.env(name, value.unwrap());
        }
        assert!(command.output().unwrap().status.success());
        let found = fs::metadata(ground.tree(number).join("README.md")).unwrap();
        assert_eq!(found.mode() & 0o777, mode, "{mask}");
    }
}

#[tokio::test]
async fn what_could_change_a_byte_is_left_to_git() {
    let ground = Ground::new();
    let noting = Noting::new(&ground, "");
    let file = |path: &str, text: &str| -> File {
        (path.split('/').map(|name| name.as_bytes().to_vec()).collect(), "100644", text.into())
    };
    let text = file("deep/text.txt", "one $Id$\ntwo\n");
    let settings = ground.path().join("settings");
    let attributes = ground.path().join("attributes");
    fs::write(&attributes, "*.txt eol=crlf\n").unwrap();
    let by_attributes = format!("[core]\n\tattributesFile = {}\n", attributes.display());
    let cases = [
        (vec![file(".gitattributes", "*.txt eol=crlf\n")], "", true),
        (vec![file("deep/.gitattributes", "*.txt ident\n")], "", true),
        (vec![file("deep/.gitattributes", "*.txt text working-tree-encoding=UTF-16\n")], "", true),
        (vec![], "[core]\n\tautocrlf = true\n", true),
        (vec![], "[core]\n\tautocrlf\n", true),
        (vec![file(".gitattributes", "* text\n")], "[core]\n\teol = crlf\n", true),
        (vec![], by_attributes.as_str(), true),
        (vec![], "[core]\n\tsymlinks = false\n", true),
        (vec![], "[index]\n\tversion = 4\n", true),
        (vec![file(".gitattributes", "* text=auto eol=lf\n*.png binary\n")], "", false),
        (
            vec![],
            "[core]\n\tautocrlf = input\n[filter \"lfs\"]\n\tsmudge = git-lfs smudge\n",
            false,
        ),
    ];
    for (number, (mut files, setting, left)) in (1..).zip(cases) {
        let name = format!("case-{number}");
        files.push(text.clone());
        import(&ground, &name, &files);
        fs::write(&settings, setting).unwrap();
        let worktrees = ground
            .again()
            .with_program(&noting.program)
            .with_variable("GIT_CONFIG_GLOBAL", settings.as_os_str());
        let ours = worktrees.prepare(&on(&name, number)).await.unwrap().path;
        assert_eq!(noting.taken().contains(&"read-tree".into()), left, "{files:?} {setting}");
        let theirs = ground.path().join(format!("by-git-{number}"));
        let added = Command::new("git")
            .args(["worktree", "add", "--quiet", "--detach"])
            .args([theirs.as_os_str(), OsStr::new(&format!("refs/remotes/origin/{name}"))])
            .current_dir(ground.clone())
            .env("GIT_CONFIG_GLOBAL", &settings)
            .status();
        assert!(added.unwrap().success());
        assert_eq!(walk(&ours), walk(&theirs), "{files:?} {setting}");
    }
}

/// Writes a tree of exactly these lines into the remote and commits it to a branch.
fn tree(ground: &Ground, name: &str, lines: &[(&str, &[u8], String)]) {
    let mut text = Vec::new();
    for (mode, name, id) in lines {
        text.extend(mode.bytes().chain([b' ']).chain(name.iter().copied()).chain([0]));
        let byte = |at: usize| u8::from_str_radix(&id[at..at + 2], 16).unwrap();
        text.extend((0..40).step_by(2).map(byte));
    }
    let id = write(ground, "tree", &text);
    let commit = git(ground.remote.path(), &["commit-tree", "-m", "hostile", &id]);
    git(ground.remote.path(), &["update-ref", &format!("refs/heads/{name}"), &commit]);
}

fn write(ground: &Ground, kind: &str, text: &[u8]) -> String {
    let mut child = Command::new("git")
        .args(["hash-object", "-t", kind, "-w", "--stdin", "--literally"])
        .current_dir(ground.remote.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Entries of a tree: mode, name, and what it is.
type Lines<'a> = Vec<(&'a str, &'a [u8], String)>;

#[tokio::test]
async fn a_hostile_tree_writes_nothing_outside_and_is_left_to_git() {
    let ground = Ground::new();
    let outside = ground.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let file = write(&ground, "blob", b"hostile\n");
    let link = write(&ground, "blob", outside.as_os_str().as_bytes());
    tree(&ground, "inner", &[("100644", b"escaped", file.clone())]);
    let inner = git(ground.remote.path(), &["rev-parse", "inner^{tree}"]);
    let gitlink = "1".repeat(40);
    let (file, link, inner) = (|| file.clone(), || link.clone(), || inner.clone());
    let cases: Vec<Lines<'_>> = vec![
        vec![("100644", b"..", file())],
        vec![("40000", b"..", inner())],
        vec![("40000", b".git", inner())],
        vec![("40000", b".GIT", inner())],
        vec![("100644", b".git", file())],
        vec![("100644", b"git~1", file())],
        vec![("100644", b".git ", file())],
        vec![("100644", b"../escaped", file())],
        vec![("100644", b"a/../../escaped", file())],
        vec![("100644", b"", file())],
        vec![("120000", b"a", link()), ("40000", b"a", inner())],
        vec![("40000", b"a", inner()), ("120000", b"a", link())],
        vec![("100644", b"a", file()), ("100644", b"a", link())],
        vec![("100644", b"b", file()), ("100644", b"a", file())],
        vec![("120000", b".gitmodules", link())],
        vec![("160000", b"module", gitlink.clone())],
        vec![("100664", b"odd", file())],
        vec![("100644", b"missing", gitlink.clone())],
        vec![("40000", b"not-a-tree", file())],
    ];
    let noting = Noting::new(&ground, "");
    let worktrees = ground.again().with_program(&noting.program);
    for (number, lines) in (1..).zip(cases) {
        // The remote of a broken tree tells what it has, and a clone of it may fail as well.
        tree(&ground, "hostile", &lines);
        noting.taken();
        let ours = worktrees.prepare(&on("hostile", number)).await;
        let noted = noting.taken();
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{lines:?}");
        assert!(!ground.path().join("worktrees/escaped").exists(), "{lines:?}");
        assert!(!ground.path().join("escaped").exists(), "{lines:?}");
        let got = noted.contains(&"read-tree".to_owned());
        match ours {
            Ok(worktree) => {
                assert!(got, "{lines:?}");
                assert_eq!(walk(&worktree.path), walk(&by_git(&ground, "hostile", number)));
            }
            Err(_) => assert!(!ground.tree(number).exists(), "{lines:?}"),
        }
    }
}

#[tokio::test]
async fn whoever_is_killed_while_files_are_written_leaves_a_worktree_or_none() {
    let ground = Ground::new();
    let files: Vec<File> = (0..4000)
        .map(|number: usize| {
            let path = [number / 50, number].map(|it| it.to_string().into_bytes()).to_vec();
            (path, "100644", vec![b'0'; 100 + number % 50])
        })
        .collect();
    import(&ground, "many", &files);
    ground.remote.git(&["symbolic-ref", "HEAD", "refs/heads/many"]).unwrap();
    // The clone is there, so that the files are what takes time.
    ground.prepare(1).await;
    let new = ground.tree(2).with_file_name(format!(".{}.new", issue(2).stem()));
    for directory in ["0", "40", "79"] {
        let mut child = example(&ground, 2).spawn().unwrap();
        let start = Instant::now();
        while !new.join(directory).exists() && child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < Duration::from_mins(1));
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if ground.tree(2).exists() {
            assert_eq!(git(&ground.tree(2), &["status", "--porcelain"]), "");
        }
        ground.prepare(2).await;
        assert_eq!(git(&ground.tree(2), &["status", "--porcelain"]), "");
        assert_eq!(walk(&ground.tree(2)), walk(&ground.tree(1)));
        assert_eq!(ground.left_over(), Vec::<String>::new());
        ground.worktrees.remove(&issue(2), kugetsu_core::Unsaved::Keep).await.unwrap();
    }
}

#[tokio::test]
async fn dropping_the_future_ends_the_writing_and_frees_the_lock() {
    let ground = Ground::new();
    let files: Vec<File> = (0..4000)
        .map(|number: usize| (vec![number.to_string().into_bytes()], "100644", vec![b'0'; 100]))
        .collect();
    import(&ground, "many", &files);
    ground.prepare(1).await;
    let new = ground.tree(2).with_file_name(format!(".{}.new", issue(2).stem()));
    let worktrees = ground.again();
    let running = tokio::spawn(async move { worktrees.prepare(&on("many", 2)).await });
    while !new.exists() && !running.is_finished() {
        tokio::task::yield_now().await;
    }
    running.abort();
    let _ = running.await;
    let ours = ground.worktrees.prepare(&on("many", 2)).await.unwrap().path;
    assert_eq!(git(&ours, &["status", "--porcelain"]), "");
    assert_eq!(ground.left_over(), Vec::<String>::new());
}
