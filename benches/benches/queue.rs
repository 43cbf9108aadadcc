//! The queue beside the least that durability asks for: the commit of one row in the same kind of
//! file on the same file system.
//!
//! The JSON store is measured up to a thousand tasks: it has a file for each, and all of them in
//! memory. The store in memory looks at every task that is open when it is asked for one, so it is
//! measured up to a hundred thousand.
#![allow(missing_docs, clippy::unwrap_used)]

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _, stdin};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{Bencher, BenchmarkGroup, Criterion, Throughput, criterion_group};
use kugetsu_benches::stores::{
    Raw, criterion, enqueue, json_with_tasks, now, queue, runtime, sqlite_with_tasks, task,
};
use kugetsu_core::{
    Cursor, Happening, MemorySlots, MemoryStore, Outcome, Report, Role, Task, TaskStore, Usage,
    WorkerId,
};
use kugetsu_queue::{
    Backends, Engine, Shutdown, SqliteStore, SystemChance, SystemClock, WatchedStore,
};
use kugetsu_testkit::fake::{FakeAgent, FakeWorktrees};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How many enqueue at once.
const CLIENTS: usize = 8;

/// What another process of this program is to do, and where.
const ROLE: &str = "KUGETSU_BENCH_CLIENT";
const PLACE: &str = "KUGETSU_BENCH_PLACE";

const LEASE: Duration = Duration::from_mins(1);

criterion_group! {
    name = benches;
    config = criterion();
    targets = one_at_a_time, many_at_once, beside_postgres, until_claimed
}

fn main() {
    if let Ok(role) = env::var(ROLE) {
        return client(&role, Path::new(&env::var_os(PLACE).unwrap()));
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}

/// A place on the file system on which the program was built: in memory nothing waits for a disk.
fn place() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A document of about the size of a task's.
fn document() -> String {
    serde_json::to_string(&task()).unwrap()
}

/// Stores with more and more tasks that wait.
fn one_at_a_time(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut few = None;
    for count in [10, 1_000, 100_000, 1_000_000] {
        let home = place();
        let sqlite = runtime.block_on(sqlite_with_tasks(&home.path().join("kugetsu.db"), count));
        let mut stores: Vec<(&str, Arc<dyn TaskStore>)> = vec![("SQLite", Arc::new(sqlite))];
        if count <= 1_000 {
            let json = runtime.block_on(json_with_tasks(&home.path().join("json"), count));
            stores.push(("JSON", Arc::new(json)));
        }
        if count <= 100_000 {
            let memory = MemoryStore::new();
            runtime.block_on(async {
                for _ in 0..count {
                    enqueue(&memory, &task()).await;
                }
            });
            stores.push(("in memory", Arc::new(memory)));
        }
        let (raw, text) = (Raw::open(&home.path().join("raw.db")), document());

        let mut group = criterion.benchmark_group(format!("enqueue: {count} tasks"));
        group.bench_function("yardstick: raw SQLite commit", |bench| {
            bench.iter(|| raw.insert(&text));
        });
        for (name, store) in &stores {
            group.bench_function(*name, |bench| {
                bench.iter_custom(|rounds| runtime.block_on(enqueuing(&**store, rounds)));
            });
        }
        group.finish();

        raw.insert(&text);
        let mut group = criterion.benchmark_group(format!("claim and settle: {count} tasks"));
        group.bench_function("yardstick: two raw SQLite commits", |bench| {
            bench.iter(|| {
                raw.update(&text);
                raw.update(&text);
            });
        });
        for (name, store) in &stores {
            group.bench_function(*name, |bench| claim_and_settle(bench, &runtime, store, true));
        }
        group.finish();

        let sqlite = Arc::clone(&stores[0].1);
        match count {
            10 => few = Some((sqlite, home)),
            1_000_000 => {
                let (few, _home) = few.take().unwrap();
                let mut group = criterion.benchmark_group("claim: few and many tasks");
                group.bench_function("yardstick: 10 tasks", |bench| {
                    claim_and_settle(bench, &runtime, &few, false);
                });
                group.bench_function("1000000 tasks", |bench| {
                    claim_and_settle(bench, &runtime, &sqlite, false);
                });
                group.bench_function("raw SQLite commit", |bench| bench.iter(|| raw.update(&text)));
                group.finish();
                // What of it waits for no disk.
                for (whose, role) in [("an agent's", Role::Dev), ("the PM's", Role::Pm)] {
                    let title = format!("what is due of {whose}: few and many tasks");
                    let mut group = criterion.benchmark_group(title);
                    for (name, store) in [("yardstick: 10 tasks", &few), ("1000000 tasks", &sqlite)]
                    {
                        group.bench_function(name, |bench| {
                            bench.iter(|| runtime.block_on(store.due(now(), role, 16)).unwrap());
                        });
                    }
                    group.finish();
                }
            }
            _ => {}
        }
    }
    eprintln!(
        "The JSON store is measured up to 1000 tasks, and the one in memory up to 100000: above that their set-up alone takes minutes."
    );
}

async fn enqueuing(store: &dyn TaskStore, rounds: u64) -> Duration {
    let tasks: Vec<Task> = (0..rounds).map(|_| task()).collect();
    let began = Instant::now();
    for task in &tasks {
        enqueue(store, task).await;
    }
    began.elapsed()
}

/// Claims a task and settles it, and replaces it by another one while the clock stands.
fn claim_and_settle(
    bench: &mut Bencher<'_>,
    runtime: &Runtime,
    store: &Arc<dyn TaskStore>,
    settling_counts: bool,
) {
    let (queue, worker) = (queue(store), WorkerId::new("a-bench").unwrap());
    bench.iter_custom(|rounds| {
        runtime.block_on(async {
            let mut sum = Duration::ZERO;
            for _ in 0..rounds {
                enqueue(&**store, &task()).await;
                let began = Instant::now();
                let task = queue.claim(Role::Dev, &worker, LEASE).await.unwrap().unwrap();
                let claimed = began.elapsed();
                let outcome = Outcome::Completed { report: Report::default() };
                let attempt = task.last_attempt();
                queue.settle(task.id, attempt, outcome, Usage::default()).await.unwrap();
                sum += if settling_counts { began.elapsed() } else { claimed };
            }
            sum
        })
    });
}

/// One task each of eight clients that do not know of each other.
fn many_at_once(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("enqueue: 8 clients");
    group.throughput(Throughput::Elements(CLIENTS as u64));
    let home = place();
    processes(&mut group, "yardstick: 8 processes, raw SQLite", "raw", &home.path().join("raw.db"));
    let path = home.path().join("kugetsu.db");
    processes(&mut group, "8 processes", "kugetsu", &path);
    in_one_process(&mut group, "8 clients of one process", &path);
    group.finish();
}

/// The same beside a server that commits in groups what comes at once.
fn beside_postgres(criterion: &mut Criterion) {
    let home = place();
    let Some(postgres) = Postgres::start(home.path()) else {
        eprintln!();
        eprintln!(
            "*** NOT MEASURED: enqueue beside PostgreSQL. It wants `initdb`, `postgres` and ***"
        );
        eprintln!(
            "*** `pgbench`, in the path or below /usr/lib/postgresql.                       ***"
        );
        eprintln!();
        return;
    };
    let mut group = criterion.benchmark_group("enqueue: 8 clients, beside PostgreSQL");
    group.throughput(Throughput::Elements(CLIENTS as u64));
    group.bench_function("yardstick: PostgreSQL, 8 connections", |bench| {
        bench.iter_custom(|rounds| postgres.insert(rounds));
    });
    let path = home.path().join("kugetsu.db");
    processes(&mut group, "8 processes", "kugetsu", &path);
    in_one_process(&mut group, "8 clients of one process", &path);
    group.finish();
}

fn in_one_process(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, path: &Path) {
    let runtime = runtime();
    let store = runtime.block_on(SqliteStore::open(path)).unwrap();
    group.bench_function(name, |bench| {
        bench.iter_custom(|rounds| {
            runtime.block_on(async {
                let began = Instant::now();
                let clients: Vec<_> = (0..CLIENTS)
                    .map(|_| {
                        let store = store.clone();
                        tokio::spawn(async move { enqueuing(&store, rounds).await })
                    })
                    .collect();
                for client in clients {
                    client.await.unwrap();
                }
                began.elapsed()
            })
        });
    });
}

fn processes(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, role: &str, path: &Path) {
    let mut clients: Vec<Client> = Vec::new();
    group.bench_function(name, |bench| {
        if clients.is_empty() {
            clients.extend((0..CLIENTS).map(|_| Client::start(role, path)));
        }
        bench.iter_custom(|rounds| {
            let began = Instant::now();
            for client in &mut clients {
                client.tell(rounds);
            }
            clients.iter_mut().for_each(Client::hear);
            began.elapsed()
        });
    });
}

/// Another process that enqueues as often as it is told to.
struct Client {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Client {
    fn start(role: &str, path: &Path) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .env(ROLE, role)
            .env(PLACE, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut client = Self { child, commands, answers };
        client.hear();
        client
    }

    fn tell(&mut self, rounds: u64) {
        writeln!(self.commands, "{rounds}").unwrap();
    }

    fn hear(&mut self) {
        let mut line = String::new();
        assert!(self.answers.read_line(&mut line).unwrap() > 0, "a client has died");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client(role: &str, path: &Path) {
    let say = |word: &str| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{word}").unwrap();
        out.flush().unwrap();
    };
    let told = || stdin().lines().next().map(|line| line.unwrap().parse::<u64>().unwrap());
    if role == "raw" {
        let (raw, text) = (Raw::open(path), document());
        say("ready");
        while let Some(rounds) = told() {
            (0..rounds).for_each(|_| raw.insert(&text));
            say("done");
        }
        return;
    }
    let runtime = runtime();
    let store = runtime.block_on(SqliteStore::open(path)).unwrap();
    say("ready");
    while let Some(rounds) = told() {
        runtime.block_on(enqueuing(&store, rounds));
        say("done");
    }
}

/// A server of its own, on a socket in its own directory, that ends with its owner.
struct Postgres {
    server: Child,
    bin: PathBuf,
    home: PathBuf,
    user: Option<u32>,
}

/// Whose it is where this is run by the superuser, whom `PostgreSQL` refuses: the one who owns nothing.
const NOBODY: u32 = 65_534;

impl Postgres {
    fn start(home: &Path) -> Option<Self> {
        let bin = programs()?;
        let home = home.join("postgres");
        fs::create_dir(&home).unwrap();
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            // It has to come through the directories above, too.
            let mut above = Some(home.as_path());
            while let Some(directory) =
                above.filter(|path| path.starts_with(home.parent().unwrap()))
            {
                chown(directory, Some(NOBODY), None).unwrap();
                above = directory.parent();
            }
        }
        let user = is_root.then_some(NOBODY);
        let data = home.join("data");
        let made = command(&bin, "initdb", user, &home)
            .args(["-A", "trust", "-U", "bench", "-E", "UTF8", "--no-locale", "-D"])
            .arg(&data)
            .output()
            .ok()?;
        if !made.status.success() {
            eprintln!("initdb: {}", String::from_utf8_lossy(&made.stderr));
            return None;
        }
        let log = fs::File::create(home.join("log")).unwrap();
        let server = command(&bin, "postgres", user, &home)
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=", "-c", "shared_buffers=32MB", "-k"])
            .arg(&home)
            .stderr(log.try_clone().unwrap())
            .stdout(log)
            .spawn()
            .ok()?;
        let this = Self { server, bin, home, user };
        let table = "CREATE TABLE IF NOT EXISTS task (seq bigserial PRIMARY KEY, id text UNIQUE, document text)";
        for _ in 0..300 {
            let made = this.command("psql").args(["-q", "-c", table, "postgres"]).output().ok()?;
            if made.status.success() {
                let insert = format!(
                    "INSERT INTO task (id, document) VALUES (gen_random_uuid()::text, '{}');",
                    document().replace('\'', "''")
                );
                fs::write(this.home.join("insert.sql"), insert).unwrap();
                return Some(this);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        eprintln!("postgres: {}", fs::read_to_string(this.home.join("log")).unwrap_or_default());
        None
    }

    /// One row each of eight connections, so many times. Connecting does not count.
    fn insert(&self, rounds: u64) -> Duration {
        let output = self
            .command("pgbench")
            .args(["-n", "-c", "8", "-j", "2", "-t", &rounds.to_string(), "-M", "prepared", "-f"])
            .arg(self.home.join("insert.sql"))
            .arg("postgres")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
        let rate: f64 = rate.unwrap_or_else(|| panic!("{output:?}")).parse().unwrap();
        #[allow(clippy::cast_precision_loss)]
        Duration::from_secs_f64(rounds as f64 * CLIENTS as f64 / rate)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = command(&self.bin, program, self.user, &self.home);
        command.env("PGHOST", &self.home).env("PGUSER", "bench");
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let server = rustix::process::Pid::from_child(&self.server);
        // At once, but orderly: it ends its own children.
        let _ = rustix::process::kill_process(server, rustix::process::Signal::QUIT);
        let _ = self.server.wait();
    }
}

fn command(bin: &Path, program: &str, user: Option<u32>, home: &Path) -> Command {
    let own = bin.join(program);
    let mut command = Command::new(if own.exists() { own } else { program.into() });
    command.current_dir(home).stdin(Stdio::null());
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    command
}

/// Where the server's programs are: in the path, or where Debian keeps them.
fn programs() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = env::split_paths(&path).collect();
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        places.extend(versions.filter_map(|version| Some(version.ok()?.path().join("bin"))));
    }
    let has = |place: &PathBuf| ["initdb", "postgres"].iter().all(|name| place.join(name).exists());
    places.into_iter().find(has)
}

/// From the beginning of an enqueue to the moment at which somebody who follows the log hears that
/// a daemon, which knows nothing of it but by the bell, has claimed the task.
fn until_claimed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("enqueue to claimed: a waiting daemon");
    let (home, runtime) = (place(), runtime());
    let (raw, text) = (Raw::open(&home.path().join("raw.db")), document());
    group.bench_function("yardstick: raw SQLite commit", |bench| bench.iter(|| raw.insert(&text)));
    let path = home.path().join("kugetsu.db");
    let bell = home.path().join("bell");
    let (engine, theirs) = runtime.block_on(async {
        let store = Arc::new(SqliteStore::open(&path).await.unwrap());
        let backends = Backends::new(
            (store.clone(), store),
            Arc::new(MemorySlots::new(1)),
            // It knows no repository, so that each task ends when it was claimed.
            Arc::new(FakeWorktrees::new(home.path().join("worktrees"))),
            Arc::new(FakeAgent::new()),
            (Arc::new(SystemClock::new().unwrap()), Arc::new(SystemChance)),
        );
        let worker = WorkerId::new("a-daemon").unwrap();
        let engine = Engine::new(backends, worker, home.path().join("home")).with_bell(&bell);
        let theirs = Arc::new(SqliteStore::open(&path).await.unwrap());
        (engine, WatchedStore::new(theirs).with_bell(&bell))
    });
    let shutdown = Shutdown::new();
    let serving = runtime.spawn({
        let (engine, shutdown) = (engine.clone(), shutdown.clone());
        async move { engine.serve(shutdown, |error| panic!("{error}")).await }
    });
    group.bench_function("SQLite and the bell", |bench| {
        bench.iter_custom(|rounds| {
            runtime.block_on(async {
                let end = engine.events().end().await.unwrap();
                let mut heard = engine.events().follow(end);
                let mut sum = Duration::ZERO;
                for _ in 0..rounds {
                    let mut task = task();
                    task.max_attempts = 1;
                    let began = Instant::now();
                    enqueue(&theirs, &task).await;
                    let mut claimed = None;
                    while !engine.queue().load(task.id).await.unwrap().is_settled() {
                        let news: Vec<(Cursor, _)> = heard.next().await.unwrap();
                        let is_claim = |what: &Happening| matches!(what, Happening::Claimed { .. });
                        if news
                            .iter()
                            .any(|(_, event)| event.task == task.id && is_claim(&event.what))
                        {
                            claimed.get_or_insert(began.elapsed());
                        }
                    }
                    sum += claimed.unwrap_or_else(|| began.elapsed());
                    // The daemon goes back to where it waits.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                sum
            })
        });
    });
    group.finish();
    shutdown.drain.cancel();
    runtime.block_on(serving).unwrap();
}
