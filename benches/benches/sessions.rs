//! Sessions beside JSON files with one index: a file a session, and an index that is read and written
//! anew whenever one is put. Files are replaced by renaming, and nothing is synced, so the yardstick
//! promises less: a cut of the power may take away what was told to be kept.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use kugetsu_benches::stores::{criterion, runtime, session};
use kugetsu_core::{Expected, Revision, Session, SessionQuery, SessionState, SessionStore};
use kugetsu_queue::{Contents, JsonStore, SqliteStore};
use serde_json::{Value, json};
use tempfile::TempDir;

criterion_group! {
    name = benches;
    config = criterion();
    targets = sessions
}
criterion_main!(benches);

/// A place on the file system on which the program was built: in memory nothing waits for a disk.
fn place() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn sessions(criterion: &mut Criterion) {
    let runtime = runtime();
    for count in [10, 1_000, 100_000] {
        let home = place();
        let mut all: Vec<Session> = (1..=count).map(session).collect();
        for session in &mut all {
            session.revision = Revision(1);
        }
        let mut contents = Contents::default();
        contents.sessions = all.iter().map(|one| serde_json::to_string(one).unwrap()).collect();
        let path = home.path().join("kugetsu.db");
        SqliteStore::make(&path, &contents).unwrap();
        let sqlite = runtime.block_on(SqliteStore::open(path)).unwrap();
        let mut stores: Vec<(&str, Arc<dyn SessionStore>)> = vec![("SQLite", Arc::new(sqlite))];
        // Its view is a file a session as well, all of them written before it is open.
        if count <= 1_000 {
            JsonStore::make(&home.path().join("json"), &contents).unwrap();
            let json = runtime.block_on(JsonStore::open(home.path().join("json"))).unwrap();
            stores.push(("JSON", Arc::new(json)));
        }
        let files = Files::new(&home.path().join("files"), &all);
        let one = all[all.len() / 2].clone();

        let mut group = criterion.benchmark_group(format!("list active: {count} sessions"));
        group.bench_function("yardstick: JSON files with one index", |bench| {
            bench.iter(|| assert_eq!(files.active().len() as u64, count));
        });
        for (name, store) in &stores {
            group.bench_function(*name, |bench| {
                bench.iter(|| {
                    let mut found = runtime.block_on(store.find(&SessionQuery::all())).unwrap();
                    found.retain(|session| session.state == SessionState::Active);
                    assert_eq!(found.len() as u64, count);
                });
            });
        }
        if has_jq() {
            group.bench_function("JSON files with one index, by bash and jq", |bench| {
                bench.iter_custom(|rounds| {
                    // Only some of many, by which it is reckoned what all would take.
                    let some = count.min(50);
                    let began = Instant::now();
                    (0..rounds).for_each(|_| files.active_by_bash(some));
                    began.elapsed() * u32::try_from(count / some).unwrap()
                });
            });
        }
        group.finish();

        let mut group = criterion.benchmark_group(format!("put: {count} sessions"));
        group.bench_function("yardstick: JSON files with one index", |bench| {
            bench.iter(|| files.put(&one, false));
        });
        group.bench_function("JSON files with one index, synced", |bench| {
            bench.iter(|| files.put(&one, true));
        });
        if has_jq() {
            group.bench_function("JSON files with one index, by bash and jq", |bench| {
                bench.iter(|| files.put_by_bash(&one));
            });
        }
        for (name, store) in &stores {
            let mut revision = Revision(1);
            group.bench_function(*name, |bench| {
                bench.iter(|| {
                    let put = store.put(&one, Expected::At(revision));
                    revision = runtime.block_on(put).unwrap();
                });
            });
        }
        group.finish();
    }
    if !has_jq() {
        eprintln!(
            "*** NOT MEASURED: JSON files with one index by bash and jq: there is no jq. ***"
        );
    }
    eprintln!("The JSON store is measured up to 1000 sessions: it has a file for each.");
}

/// What people would write: a file a session, and `index.json`, which says what is in which.
struct Files {
    directory: PathBuf,
}

impl Files {
    fn new(directory: &Path, sessions: &[Session]) -> Self {
        fs::create_dir_all(directory.join("sessions")).unwrap();
        let this = Self { directory: directory.to_owned() };
        let mut index = BTreeMap::new();
        for session in sessions {
            index.insert(session.kind.to_string(), format!("{}.json", session.id));
            fs::write(this.file(session), serde_json::to_string_pretty(session).unwrap()).unwrap();
        }
        let index = json!({ "issues": index });
        fs::write(this.index(), serde_json::to_string_pretty(&index).unwrap()).unwrap();
        this
    }

    fn index(&self) -> PathBuf {
        self.directory.join("index.json")
    }

    fn file(&self, session: &Session) -> PathBuf {
        self.directory.join("sessions").join(format!("{}.json", session.id))
    }

    fn read_index(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.index()).unwrap()).unwrap()
    }

    fn active(&self) -> Vec<Session> {
        let index = self.read_index();
        let files = index["issues"].as_object().unwrap().values();
        let read = |name: &Value| -> Session {
            let path = self.directory.join("sessions").join(name.as_str().unwrap());
            serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
        };
        files.map(read).filter(|session| session.state == SessionState::Active).collect()
    }

    fn put(&self, session: &Session, synced: bool) {
        replace(&self.file(session), &serde_json::to_string_pretty(session).unwrap(), synced);
        let mut index = self.read_index();
        index["issues"][session.kind.to_string()] = json!(format!("{}.json", session.id));
        replace(&self.index(), &serde_json::to_string_pretty(&index).unwrap(), synced);
    }

    fn active_by_bash(&self, most: u64) {
        let script = r#"
            for file in $(jq -r '.issues[]' index.json | head -n "$1"); do
                if [ "$(jq -r .state "sessions/$file")" = active ]; then echo "$file"; fi
            done"#;
        let listed = self.bash(script, &[&most.to_string()]);
        assert_eq!(listed.lines().count() as u64, most);
    }

    fn put_by_bash(&self, session: &Session) {
        let script = r#"
            printf '%s' "$1" | jq . >"sessions/$2.tmp" && mv "sessions/$2.tmp" "sessions/$2"
            jq --arg kind "$3" --arg file "$2" '.issues[$kind] = $file' index.json >index.json.tmp &&
                mv index.json.tmp index.json"#;
        let text = serde_json::to_string(session).unwrap();
        let file = format!("{}.json", session.id);
        self.bash(script, &[&text, &file, &session.kind.to_string()]);
    }

    fn bash(&self, script: &str, args: &[&str]) -> String {
        let mut bash = Command::new("bash");
        let bash = bash.args(["-ec", script, "bash"]).args(args).current_dir(&self.directory);
        let done = bash.output().unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    }
}

fn replace(path: &Path, text: &str, synced: bool) {
    let next = path.with_extension("json.tmp");
    fs::write(&next, text).unwrap();
    if synced {
        fs::File::open(&next).unwrap().sync_all().unwrap();
    }
    fs::rename(&next, path).unwrap();
    if synced {
        fs::File::open(path.parent().unwrap()).unwrap().sync_all().unwrap();
    }
}

fn has_jq() -> bool {
    Command::new("jq").arg("--version").output().is_ok_and(|done| done.status.success())
}
