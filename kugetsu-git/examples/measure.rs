//! ad hoc
use kugetsu_core::*;
use kugetsu_git::*;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;
fn git(d: &Path, a: &[&str]) {
    assert!(
        Command::new("git")
            .args(a)
            .current_dir(d)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .status()
            .unwrap()
            .success()
    );
}
fn main() {
    let mut a = std::env::args().skip(1);
    let src = PathBuf::from(a.next().unwrap());
    let rounds: u64 = a.next().unwrap().parse().unwrap();
    let only = a.next().unwrap_or_default();
    let home = tempfile::tempdir_in(std::env::var("WHERE").unwrap_or("/tmp/exp".into())).unwrap();
    let h = home.path();
    let clone = h.join("c.git");
    git(h, &["clone", "-q", "--bare", src.to_str().unwrap(), clone.to_str().unwrap()]);
    let rt = tokio::runtime::Runtime::new().unwrap();
    let p = |addr: String| {
        let r: RepoRef = "git.example/a/w".parse().unwrap();
        GitWorktrees::new(
            h.join("w"),
            h.join("r"),
            Arc::new(
                RepositoryMap::new(Arc::new(HttpsSources)).with(r, Source::parse(&addr).unwrap()),
            ),
        )
        .with_variable("GIT_CONFIG_GLOBAL", "/dev/null")
        .with_variable("GIT_CONFIG_NOSYSTEM", "1")
        .with_variable("HOME", h)
    };
    let prov = p(src.display().to_string());
    let iss = |n: u64| -> IssueRef { format!("git.example/a/w#{n}").parse().unwrap() };
    rt.block_on(prov.prepare(&WorktreeSpec::new(iss(1)))).unwrap();
    if only == "once" {
        eprintln!("MARK");
        rt.block_on(prov.prepare(&WorktreeSpec::new(iss(2)))).unwrap();
        eprintln!("MARK2");
        rt.block_on(prov.remove(&iss(2), Unsaved::Keep)).unwrap();
        eprintln!("MARK3");
        rt.block_on(prov.recover()).unwrap();
        return;
    }
    let mut t: [Vec<f64>; 6] = Default::default();
    for n in 2..2 + rounds {
        let path = h.join(format!("y{n}"));
        let ps = path.to_str().unwrap();
        let m = |f: &dyn Fn()| {
            let s = Instant::now();
            f();
            s.elapsed().as_secs_f64() * 1e3
        };
        t[0].push(m(&|| {
            git(&clone, &["worktree", "add", "-q", "-b", &format!("b{n}"), ps, "main"])
        }));
        t[1].push(m(&|| {
            rt.block_on(prov.prepare(&WorktreeSpec::new(iss(n)))).unwrap();
        }));
        t[4].push(m(&|| git(&path, &["status", "--porcelain"])));
        t[5].push(m(&|| {
            let s = rt.block_on(prov.inspect(&iss(n))).unwrap().unwrap();
            assert_eq!(s.dirty, 0);
        }));
    }
    for n in 2..2 + rounds {
        let path = h.join(format!("y{n}"));
        let ps = path.to_str().unwrap();
        let m = |f: &dyn Fn()| {
            let s = Instant::now();
            f();
            s.elapsed().as_secs_f64() * 1e3
        };
        t[2].push(m(&|| git(&clone, &["worktree", "remove", ps])));
        t[3].push(m(&|| rt.block_on(prov.remove(&iss(n), Unsaved::Keep)).unwrap()));
        rt.block_on(prov.recover()).unwrap();
    }
    let med = |v: &Vec<f64>| {
        let mut v = v.clone();
        v.sort_by(f64::total_cmp);
        (v[v.len() / 2], v[0])
    };
    for (name, i) in [("add", 0), ("remove", 2), ("status", 4)] {
        let (a, b) = (med(&t[i]), med(&t[i + 1]));
        let mut r: Vec<f64> = t[i].iter().zip(&t[i + 1]).map(|(x, y)| y / x).collect();
        r.sort_by(f64::total_cmp);
        println!(
            "{name}: git med {:.2} min {:.2}; ours med {:.2} min {:.2}; ratio med-of-pairs {:.3} of-meds {:.3} of-mins {:.3}",
            a.0,
            a.1,
            b.0,
            b.1,
            r[r.len() / 2],
            b.0 / a.0,
            b.1 / a.1
        );
    }
}
