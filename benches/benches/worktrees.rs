//! Worktrees beside the user's own `git`: `git worktree add` and `git worktree remove` from a bare
//! clone of the same repository, on the same file system, all of it warm.
//!
//! `prepare` is all that a user waits for, with whatever it asks the source. The source is on this
//! machine. Where it is unchanged, its references are compared; where it is asked over `file://`, a
//! `git ls-remote` is part of it; where it has moved, a `git fetch` is too.
//!
//! Worktrees that were made stay until their group is done: a file system such as ext4 is slower where
//! files were deleted a moment ago, for everybody. Of 100,000 files two are made of each kind, and
//! their times stand for all samples.
#![allow(missing_docs, clippy::unwrap_used)]

use std::cell::Cell;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Bencher, BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use kugetsu_core::{IssueRef, RepoRef, Unsaved, WorktreeProvider, WorktreeSpec};
use kugetsu_git::{GitWorktrees, HttpsSources, RepositoryMap, Source};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

criterion_main!(benches);
criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = making, sixteen_at_once, removing, looking
}

const REPOSITORY: &str = "git.example/acme/widgets";
const MANY: u64 = 10_000;
const SIZES: [u64; 3] = [100, MANY, 100_000];
/// So many worktrees of the largest kind are made.
const FEW: u64 = 2;

fn making(criterion: &mut Criterion) {
    for files in SIZES {
        let place = Place::new(files);
        let mut group = criterion.benchmark_group(format!("worktrees prepare: {files} files"));
        group.sampling_mode(SamplingMode::Flat);
        group.bench_function("yardstick: git worktree add", |bench| {
            place.time(bench, |_| {}, |number| place.add(number), |_| {});
        });
        let unchanged = place.provider(place.source.to_str().unwrap());
        // The clone is made and warm, as git's is.
        place.prepare(&unchanged, place.another());
        group.bench_function("prepare, source unchanged", |bench| {
            place.time(bench, |_| {}, |number| place.prepare(&unchanged, number), |_| {});
        });
        if files > MANY {
            continue;
        }
        group.bench_function("prepare, source has moved", |bench| {
            let make = |number| place.prepare(&unchanged, number);
            place.time(bench, |number| place.move_on(number), make, |_| {});
        });
        if files == MANY {
            continue;
        }
        let asked = place.provider(&format!("file://{}", place.source.display()));
        place.prepare(&asked, place.another());
        group.bench_function("prepare, source asked by git and unchanged", |bench| {
            place.time(bench, |_| {}, |number| place.prepare(&asked, number), |_| {});
        });
    }
}

fn sixteen_at_once(criterion: &mut Criterion) {
    let place = Place::new(100);
    let provider = Arc::new(place.provider(place.source.to_str().unwrap()));
    let mut group = criterion.benchmark_group("worktrees prepare: 16 at once, 100 files");
    group.sampling_mode(SamplingMode::Flat);
    place.prepare(&provider, place.another());
    let numbers = |round: u64| (round * 100)..(round * 100 + 16);
    group.bench_function("yardstick: 16 git worktree add", |bench| {
        let make = |round| {
            let all: Vec<Child> =
                numbers(round).map(|number| place.adding(number).spawn().unwrap()).collect();
            for mut child in all {
                assert!(child.wait().unwrap().success());
            }
        };
        place.time(bench, |_| {}, make, |_| {});
    });
    group.bench_function("16 prepare", |bench| {
        let make = |round| {
            place.runtime.block_on(async {
                let mut all = JoinSet::new();
                for number in numbers(round) {
                    let provider = provider.clone();
                    let spec = WorktreeSpec::new(issue(number));
                    all.spawn(async move { provider.prepare(&spec).await.unwrap() });
                }
                all.join_all().await;
            });
        };
        place.time(bench, |_| {}, make, |_| {});
    });
}

fn removing(criterion: &mut Criterion) {
    for files in [100, MANY] {
        let place = Place::new(files);
        let provider = place.provider(place.source.to_str().unwrap());
        let mut group = criterion.benchmark_group(format!("worktrees remove: {files} files"));
        group.sampling_mode(SamplingMode::Flat);
        group.bench_function("yardstick: git worktree remove", |bench| {
            let remove = |number| git(&place.clone, &["worktree", "remove", &place.there(number)]);
            place.time(bench, |number| place.add(number), remove, |_| {});
        });
        for (name, unsaved) in [
            ("remove, unless work would be lost", Unsaved::Keep),
            ("remove, whatever is in it", Unsaved::Discard),
        ] {
            group.bench_function(name, |bench| {
                let remove = |number| {
                    place.runtime.block_on(provider.remove(&issue(number), unsaved)).unwrap();
                };
                // The deletion goes on behind; it ends before the next one is made.
                let rest = |_| drop(place.runtime.block_on(provider.recover()).unwrap());
                place.time(bench, |number| place.prepare(&provider, number), remove, rest);
            });
        }
    }
}

fn looking(criterion: &mut Criterion) {
    for files in [100, MANY] {
        let place = Place::new(files);
        let provider = place.provider(place.source.to_str().unwrap());
        for number in 0..4 {
            place.prepare(&provider, number);
            place.add(number);
        }
        let mut group = criterion.benchmark_group(format!("worktrees inspect: {files} files"));
        group.bench_function("yardstick: git status --porcelain", |bench| {
            bench.iter(|| git(Path::new(&place.there(0)), &["status", "--porcelain"]));
        });
        group.bench_function("inspect", |bench| {
            bench.iter(|| place.runtime.block_on(provider.inspect(&issue(0))).unwrap().unwrap());
        });
        group.finish();
        let mut group = criterion.benchmark_group(format!("worktrees list: 4 of {files} files"));
        group.bench_function(
            BenchmarkId::from_parameter("yardstick: git worktree list"),
            |bench| {
                bench.iter(|| git(&place.clone, &["worktree", "list", "--porcelain"]));
            },
        );
        group.bench_function("list", |bench| {
            bench.iter(|| place.runtime.block_on(provider.list()).unwrap());
        });
    }
}

/// A source with one commit of so many files, a bare clone of it for git, and a place for ours.
struct Place {
    home: TempDir,
    source: PathBuf,
    clone: PathBuf,
    runtime: Runtime,
    files: u64,
    next: Cell<u64>,
}

impl Place {
    fn new(files: u64) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (source, clone) = (home.path().join("source.git"), home.path().join("clone.git"));
        git(home.path(), &["init", "--quiet", "--bare", source.to_str().unwrap()]);
        import(&source, &history(files));
        git(&source, &["symbolic-ref", "HEAD", "refs/heads/main"]);
        let from = source.to_str().unwrap();
        git(home.path(), &["clone", "--quiet", "--bare", from, clone.to_str().unwrap()]);
        let runtime = Runtime::new().unwrap();
        Self { home, source, clone, runtime, files, next: Cell::new(9) }
    }

    fn provider(&self, address: &str) -> GitWorktrees {
        let home = self.home.path();
        let repository: RepoRef = REPOSITORY.parse().unwrap();
        let sources = RepositoryMap::new(Arc::new(HttpsSources))
            .with(repository, Source::parse(address).unwrap());
        GitWorktrees::new(home.join("worktrees"), home.join("repos"), Arc::new(sources))
            .with_variable("GIT_CONFIG_GLOBAL", "/dev/null")
            .with_variable("GIT_CONFIG_NOSYSTEM", "1")
            .with_variable("HOME", home)
    }

    /// Times `go` alone, between `before` and `after`, each time with another number.
    fn time(
        &self,
        bench: &mut Bencher<'_>,
        before: impl Fn(u64),
        go: impl Fn(u64),
        after: impl Fn(u64),
    ) {
        let one = || {
            let number = self.another();
            before(number);
            let start = Instant::now();
            go(number);
            let took = start.elapsed();
            after(number);
            took
        };
        let mut few: Vec<Duration> = Vec::new();
        let mut turn = 0..;
        bench.iter_custom(|rounds| {
            if self.files <= MANY {
                return (0..rounds).map(|_| one()).sum();
            }
            while few.len() < usize::try_from(FEW).unwrap() {
                few.push(one());
            }
            let next = |turn: usize| few[turn % few.len()];
            (0..rounds).map(|_| next(turn.next().unwrap())).sum()
        });
    }

    /// A number that nothing has yet.
    fn another(&self) -> u64 {
        self.next.set(self.next.get() + 1);
        self.next.get()
    }

    fn there(&self, number: u64) -> String {
        self.home.path().join(format!("by-git-{number}")).to_str().unwrap().to_owned()
    }

    fn adding(&self, number: u64) -> Command {
        let (branch, tree) = (format!("fix/issue-{number}"), self.there(number));
        command(&self.clone, &["worktree", "add", "--quiet", "-b", &branch, &tree, "main"])
    }

    fn add(&self, number: u64) {
        assert!(self.adding(number).status().unwrap().success());
    }

    fn prepare(&self, provider: &GitWorktrees, number: u64) {
        let spec = WorktreeSpec::new(issue(number));
        assert!(self.runtime.block_on(provider.prepare(&spec)).unwrap().created);
    }

    /// Gives the source one more commit.
    fn move_on(&self, number: u64) {
        let text = format!(
            "commit refs/heads/main\ncommitter A <a@example.invalid> 1700000001 +0000\n\
             data 4\nmore\nfrom refs/heads/main^0\nM 100644 inline more.txt\ndata <<END\n\
             {number} {:?}\nEND\n\n",
            Instant::now()
        );
        import(&self.source, &text);
    }
}

fn issue(number: u64) -> IssueRef {
    format!("{REPOSITORY}#{}", number + 1).parse().unwrap()
}

/// One commit with so many files of a few hundred bytes, 25 in each directory.
fn history(files: u64) -> String {
    let mut text = String::new();
    let mut tree = String::new();
    for file in 0..files {
        let mut source = format!("fn number_{file}() -> u64 {{\n");
        for line in 0..(5 + file % 20) {
            writeln!(source, "    let value_{line} = {};", file * 31 + line).unwrap();
        }
        source.push_str("}\n");
        writeln!(text, "blob\nmark :{}\ndata {}\n{source}", file + 1, source.len()).unwrap();
        let (upper, lower) = (file / 500, file / 25 % 20);
        writeln!(tree, "M 100644 :{} part-{upper}/of-{lower}/file-{file}.rs", file + 1).unwrap();
    }
    text.push_str("commit refs/heads/main\ncommitter A <a@example.invalid> 1700000000 +0000\n");
    text.push_str("data 5\nstart\n");
    text.push_str(&tree);
    text.push('\n');
    text
}

fn import(repository: &Path, text: &str) {
    let mut child = command(repository, &["fast-import", "--quiet", "--force"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

fn git(directory: &Path, arguments: &[&str]) {
    let status = command(directory, arguments).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "git {}", arguments.join(" "));
}

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .args(arguments)
        .current_dir(fs::canonicalize(directory).unwrap())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", directory);
    command
}
