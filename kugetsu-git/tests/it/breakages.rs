//! The ways in which a worktree can be broken so that it can be mended.

use std::fs::{self, File};

use kugetsu_git::Fault;

use crate::ground::{Ground, git};

pub(crate) const BRANCH: &str = "refs/heads/fix/issue-7";

/// One way to break a worktree, and what is to be found of it.
pub(crate) type Breakage = (&'static str, Fault, fn(&Ground));

pub(crate) const BREAKAGES: &[Breakage] = &[
    ("the link is missing", Fault::LinkWrong, |ground| {
        fs::remove_file(ground.tree(7).join(".git")).unwrap();
    }),
    ("the link is empty", Fault::LinkWrong, |ground| {
        File::create(ground.tree(7).join(".git")).unwrap();
    }),
    ("the link leads nowhere", Fault::LinkWrong, |ground| {
        fs::write(ground.tree(7).join(".git"), "gitdir: /nowhere/worktrees/x\n").unwrap();
    }),
    ("the link is no link", Fault::LinkWrong, |ground| {
        fs::write(ground.tree(7).join(".git"), [0xff; 300]).unwrap();
    }),
    ("a directory stands where the link belongs", Fault::LinkReplaced, |ground| {
        fs::remove_file(ground.tree(7).join(".git")).unwrap();
        fs::create_dir(ground.tree(7).join(".git")).unwrap();
        fs::write(ground.tree(7).join(".git/precious"), "precious").unwrap();
    }),
    ("a repository stands where the link belongs", Fault::LinkReplaced, |ground| {
        fs::remove_file(ground.tree(7).join(".git")).unwrap();
        git(&ground.tree(7), &["init", "--quiet"]);
        git(&ground.tree(7), &["add", "--all"]);
        git(&ground.tree(7), &["commit", "--quiet", "--message", "precious"]);
    }),
    ("the record is missing", Fault::RecordGone, |ground| {
        fs::remove_dir_all(ground.entry(7)).unwrap();
    }),
    ("record and link are missing", Fault::RecordGone, |ground| {
        fs::remove_dir_all(ground.entry(7)).unwrap();
        fs::remove_file(ground.tree(7).join(".git")).unwrap();
    }),
    ("record and branch are missing", Fault::RecordGone, |ground| {
        fs::remove_dir_all(ground.entry(7)).unwrap();
        git(&ground.clone(), &["update-ref", "-d", BRANCH]);
    }),
    ("the record's gitdir leads elsewhere", Fault::RecordDamaged, |ground| {
        fs::write(ground.entry(7).join("gitdir"), "/nowhere/.git\n").unwrap();
    }),
    ("the record's gitdir is missing", Fault::RecordDamaged, |ground| {
        fs::remove_file(ground.entry(7).join("gitdir")).unwrap();
    }),
    ("the record's commondir leads elsewhere", Fault::RecordDamaged, |ground| {
        fs::write(ground.entry(7).join("commondir"), "/\n").unwrap();
    }),
    ("the record's HEAD is missing", Fault::RecordDamaged, |ground| {
        fs::remove_file(ground.entry(7).join("HEAD")).unwrap();
    }),
    ("the index is missing", Fault::RecordDamaged, |ground| {
        fs::remove_file(ground.entry(7).join("index")).unwrap();
    }),
    ("our own record is of another issue", Fault::RecordDamaged, |ground| {
        let path = ground.entry(7).join("kugetsu.json");
        fs::write(&path, fs::read_to_string(&path).unwrap().replace("widgets#7", "widgets#9"))
            .unwrap();
    }),
    ("it is still marked as being made", Fault::RecordDamaged, |ground| {
        fs::write(ground.entry(7).join("locked"), "kugetsu is making it\n").unwrap();
    }),
    ("HEAD is at a commit that is not there", Fault::HeadBroken, |ground| {
        fs::write(ground.entry(7).join("HEAD"), format!("{}\n", "1".repeat(40))).unwrap();
    }),
    ("HEAD is garbage", Fault::HeadBroken, |ground| {
        fs::write(ground.entry(7).join("HEAD"), "\0\0\0\0").unwrap();
    }),
    ("the branch is deleted", Fault::BranchGone, |ground| {
        git(&ground.clone(), &["update-ref", "-d", BRANCH]);
    }),
    ("the branch leads to a commit that is not there", Fault::BranchBroken, |ground| {
        fs::write(ground.clone().join(BRANCH), format!("{}\n", "1".repeat(40))).unwrap();
    }),
    ("the branch's file is empty", Fault::BranchBroken, |ground| {
        File::create(ground.clone().join(BRANCH)).unwrap();
    }),
    ("the index is cut short", Fault::IndexBroken, |ground| {
        let index = ground.entry(7).join("index");
        let text = fs::read(&index).unwrap();
        fs::write(index, &text[..text.len() / 2]).unwrap();
    }),
    ("the index is garbage", Fault::IndexBroken, |ground| {
        fs::write(ground.entry(7).join("index"), [7; 4096]).unwrap();
    }),
    ("index.lock is left", Fault::StaleLock, |ground| {
        File::create(ground.entry(7).join("index.lock")).unwrap();
    }),
    ("HEAD.lock is left", Fault::StaleLock, |ground| {
        File::create(ground.entry(7).join("HEAD.lock")).unwrap();
    }),
    ("the branch's lock is left", Fault::StaleLock, |ground| {
        File::create(ground.clone().join(format!("{BRANCH}.lock"))).unwrap();
    }),
    ("it was moved", Fault::Moved, |ground| {
        let (tree, moved) = (ground.tree(7), ground.path().join("moved"));
        let [tree, moved] = [&tree, &moved].map(|path| path.to_str().unwrap());
        git(&ground.clone(), &["worktree", "move", tree, moved]);
    }),
    ("it was given another name", Fault::Moved, |ground| {
        fs::rename(ground.tree(7), ground.path().join("worktrees/another-name")).unwrap();
    }),
    ("a pipe stands where the index belongs", Fault::IndexBroken, |ground| {
        let index = ground.entry(7).join("index");
        fs::remove_file(&index).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &index,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
    }),
    ("what was staged is not there", Fault::IndexBroken, |ground| {
        let id = git(&ground.tree(7), &["rev-parse", ":staged.txt"]);
        let object = ground.clone().join("objects").join(&id[..2]).join(&id[2..]);
        fs::remove_file(object).unwrap();
    }),
    ("the clone is gone", Fault::CloneGone, |ground| {
        git(&ground.tree(7), &["push", "--quiet", "origin", "HEAD"]);
        fs::remove_dir_all(ground.clone()).unwrap();
    }),
    ("the clone's HEAD is missing", Fault::CloneBroken, |ground| {
        fs::remove_file(ground.clone().join("HEAD")).unwrap();
    }),
    ("the clone's config is garbage", Fault::CloneBroken, |ground| {
        fs::write(ground.clone().join("config"), "[[[[\n\0").unwrap();
    }),
    ("the clone's references are gone", Fault::CloneBroken, |ground| {
        fs::remove_dir_all(ground.clone().join("refs")).unwrap();
    }),
    ("the clone's packed references are garbage", Fault::CloneBroken, |ground| {
        fs::write(ground.clone().join("packed-refs"), "garbage\n").unwrap();
    }),
];
