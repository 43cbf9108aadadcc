//! One connection that writes and one that reads, used from async code.
//!
//! Whatever waits to be written while something else is goes together in one transaction, so that
//! the disk is waited for once and not once each.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::desk::Desk;
use super::file::{self, Use};
use super::job::{Done, Job, job};
use super::turn::{Turn, Turns};
use crate::blocking::blocking;
use crate::fault::Fault;

/// The database, opened when it is first used. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Database {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    writer: Line,
    reader: Line,
    desk: Arc<Desk>,
    /// A failed fsync is never tried again: the kernel may have dropped what it could not write and
    /// would then report success.
    unsynced: AtomicBool,
    opened: AtomicBool,
    #[cfg(test)]
    commits: std::sync::atomic::AtomicUsize,
}

/// One connection, used by one at a time.
#[derive(Debug)]
struct Line {
    usage: Use,
    connection: Mutex<Option<Connected>>,
}

/// A connection, and to which file.
#[derive(Debug)]
struct Connected {
    connection: Connection,
    path: PathBuf,
    identity: (u64, u64),
    /// Only whoever writes takes turns.
    turns: Option<Turns>,
}

impl Drop for Connected {
    fn drop(&mut self) {
        // SQLite removes the log when the last connection closes, by its name: where another store is
        // in this one's place by now, it would be that one's.
        if !file::identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }
}

impl Database {
    pub(super) fn new(path: PathBuf) -> Self {
        let line = |usage| Line { usage, connection: Mutex::new(None) };
        Self {
            shared: Arc::new(Shared {
                path,
                writer: line(Use::Writing),
                reader: line(Use::Reading),
                desk: Arc::default(),
                unsynced: AtomicBool::new(false),
                opened: AtomicBool::new(false),
                #[cfg(test)]
                commits: std::sync::atomic::AtomicUsize::new(0),
            }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Opens the file.
    pub(super) async fn ready(&self) -> Result<(), Fault> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.with(&shared.writer, |_| Ok(()))).await
    }

    /// Runs `work` in a transaction of its own, which is durable when this returns a success and has
    /// never been when it returns a fault.
    ///
    /// What is written at the same time through clones is committed with it; each is told after
    /// that. Work that fails takes back what it has written itself, and nothing else.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, Fault> + Send + 'static,
    {
        self.queue(work, false).await
    }

    /// The same, and nothing else is written in that transaction: for work that does more than write.
    pub(super) async fn write_alone<T, F>(&self, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, Fault> + Send + 'static,
    {
        self.queue(work, true).await
    }

    async fn queue<T, F>(&self, work: F, alone: bool) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, Fault> + Send + 'static,
    {
        let (job, answer) = job(work, alone);
        if self.shared.desk.add(job) {
            let clerk = Clerk::of(&self.shared);
            tokio::task::spawn_blocking(move || clerk.serve());
        }
        answer.await.unwrap_or_else(|_| {
            Err(Fault::Lost("whoever writes has come to an end; try again".into()))
        })
    }

    /// Runs `work`, which reads with one statement or does not mind what changes between two.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            shared.with(&shared.reader, |connected| {
                file::format(&connected.connection)?;
                shared.must_be_in_place(connected.identity)?;
                work(&connected.connection)
            })
        })
        .await
    }
}

/// Writes what waits, until nothing does. While there is one, there is no other.
#[derive(Debug)]
struct Clerk {
    desk: Arc<Desk>,
    shared: Weak<Shared>,
    is_done: bool,
}

impl Clerk {
    fn of(shared: &Arc<Shared>) -> Self {
        Self { desk: Arc::clone(&shared.desk), shared: Arc::downgrade(shared), is_done: false }
    }

    fn serve(mut self) {
        while let Some(jobs) = self.desk.next() {
            let Some(shared) = self.shared.upgrade() else { return };
            let (count, began) = (jobs.len(), Instant::now());
            let told = shared.commit(jobs);
            // The one who is told may be the last who uses the store: then it is closed by that one.
            drop(shared);
            told.tell();
            if count > 1 {
                // Those who have come together will often do so again, and then the disk is waited
                // for once more and not twice. So much longer that takes at most.
                self.desk.gather(count, began.elapsed() / 8);
            }
        }
        self.is_done = true;
    }
}

impl Drop for Clerk {
    fn drop(&mut self) {
        if !self.is_done {
            // Its runtime has ended, or it has panicked.
            self.desk.give_up();
        }
    }
}

/// What came of jobs that went together.
struct Told {
    done: Vec<Done>,
    left: VecDeque<Job>,
    written: Result<(), Fault>,
}

impl Told {
    fn tell(self) {
        let failed = self.written.as_ref().err();
        self.done.into_iter().for_each(|one| one.tell(failed));
        if let Some(fault) = failed {
            self.left.into_iter().for_each(|job| job.refuse(fault));
        }
    }
}

impl Shared {
    /// Refuses when the file that is open here was moved away: what is written there would be read by
    /// nobody.
    fn must_be_in_place(&self, identity: (u64, u64)) -> Result<(), Fault> {
        if file::identity(&self.path)? == identity {
            return Ok(());
        }
        Err(Fault::Lost("another file is in its place by now; start again".into()))
    }

    /// Refuses to make a store anew that was there before.
    fn must_not_be_gone(&self) -> Result<(), Fault> {
        if self.opened.load(Ordering::Acquire) {
            file::identity(&self.path)?;
        }
        Ok(())
    }

    /// Does the jobs in one transaction.
    fn commit(&self, jobs: Vec<Job>) -> Told {
        let (mut left, mut done) = (VecDeque::from(jobs), Vec::new());
        let written =
            self.with(&self.writer, |Connected { connection, turns, identity, .. }| {
                let turn = turns.as_ref().map_or(Turn::Without, Turns::take);
                let transaction = begin(connection, &turn)?;
                file::format(&transaction)?;
                self.must_be_in_place(*identity)?;
                let is_shared = left.len() > 1;
                while let Some(job) = left.pop_front() {
                    if is_shared {
                        transaction.prepare_cached("SAVEPOINT job")?.execute([])?;
                    }
                    let one = job.run(&transaction);
                    let failed = one.fault().map(Fault::again);
                    done.push(one);
                    if let Some(fault) = failed {
                        // SQLite takes all back by itself when the disk is full or fails.
                        if transaction.is_autocommit() || fault.is_failed_sync() {
                            return Err(fault);
                        }
                        if is_shared {
                            transaction.prepare_cached("ROLLBACK TO job")?.execute([])?;
                        }
                    }
                    if is_shared {
                        transaction.prepare_cached("RELEASE job")?.execute([])?;
                    }
                }
                if done.iter().all(|one| one.fault().is_some()) {
                    return Ok(());
                }
                #[cfg(test)]
                self.commits.fetch_add(1, Ordering::Relaxed);
                Ok(transaction.commit()?)
            });
        Told { done, left, written }
    }

    /// Runs `work` on the line's connection. One that panicked over is closed, which rolls back, and
    /// the next call opens another.
    fn with<T>(
        &self,
        line: &Line,
        work: impl FnOnce(&mut Connected) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut place = line.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if self.unsynced.load(Ordering::Acquire) {
            return Err(Fault::Lost(
                "the disk refused to keep what was written before; mend it and start again".into(),
            ));
        }
        let mut connected = if let Some(connected) = place.take() {
            connected
        } else {
            self.must_not_be_gone()?;
            let connection = file::connect(&self.path, line.usage)?;
            let (path, identity) = (self.path.clone(), file::identity(&self.path)?);
            let turns = (line.usage == Use::Writing).then(|| Turns::of(file::lock(&path)));
            Connected { connection, path, identity, turns }
        };
        self.opened.store(true, Ordering::Release);
        let result = work(&mut connected);
        if result.as_ref().is_err_and(Fault::is_failed_sync) {
            self.unsynced.store(true, Ordering::Release);
        } else {
            *place = Some(connected);
        }
        result
    }
}

/// Begins to write, as soon as nobody else does. What was waited for a turn counts.
fn begin<'a>(connection: &'a Connection, turn: &Turn<'_>) -> Result<Transaction<'a>, Fault> {
    let immediate = || Transaction::new_unchecked(connection, TransactionBehavior::Immediate);
    let Turn::Late(waited) = turn else { return Ok(immediate()?) };
    connection.busy_timeout(file::PATIENCE.saturating_sub(*waited))?;
    let began = immediate();
    connection.busy_timeout(file::PATIENCE)?;
    Ok(began?)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn database(home: &tempfile::TempDir) -> Database {
        Database::new(home.path().join("kugetsu.db"))
    }

    fn insert(t: &Transaction<'_>, name: &str) -> Result<(), Fault> {
        t.execute("INSERT INTO memo (name, text) SELECT ?1, count(*) FROM memo", [name])?;
        Ok(())
    }

    async fn names(database: &Database) -> Vec<String> {
        let names = database.read(|c| {
            let mut query = c.prepare("SELECT name FROM memo ORDER BY CAST(text AS INTEGER)")?;
            Ok(query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
        });
        names.await.unwrap()
    }

    fn commits(database: &Database) -> usize {
        database.shared.commits.load(Ordering::Relaxed)
    }

    /// Writes, and goes on when it is told to.
    fn held(
        database: &Database,
    ) -> (mpsc::Sender<()>, impl Future<Output = Result<(), Fault>> + use<>) {
        let (go, told) = mpsc::channel();
        let database = database.clone();
        let write = async move {
            database.write(move |_| told.recv().map_err(|e| Fault::Lost(e.to_string()))).await
        };
        (go, write)
    }

    /// Polls these in order, so that they stand in this order, and then lets the one that holds them
    /// up go on. Returns what they came to.
    async fn behind<T>(
        database: &Database,
        writes: Vec<impl Future<Output = Result<T, Fault>> + Send + 'static>,
    ) -> Vec<Result<T, Fault>>
    where
        T: Send + 'static,
    {
        let (go, first) = held(database);
        let first = tokio::spawn(first);
        while database.shared.desk.state() != (0, true) {
            tokio::task::yield_now().await;
        }
        let mut tasks = Vec::new();
        for write in writes {
            let (before, _) = database.shared.desk.state();
            tasks.push(tokio::spawn(write));
            while database.shared.desk.state().0 == before {
                tokio::task::yield_now().await;
            }
        }
        go.send(()).unwrap();
        first.await.unwrap().unwrap();
        let mut results = Vec::new();
        for task in tasks {
            results.push(task.await.unwrap());
        }
        results
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_writes_nothing() {
        let home = tempfile::tempdir().unwrap();
        let database = database(&home);
        let panicked: Result<(), Fault> = database
            .write(move |t| {
                insert(t, "a")?;
                panic!("half-way")
            })
            .await;
        assert!(matches!(panicked, Err(Fault::Lost(why)) if why.contains("half-way")));
        let written = database.write(|t| insert(t, "a")).await;
        written.expect("the name would be taken if the first transaction had stayed");
    }

    #[tokio::test]
    async fn what_waits_while_another_writes_is_committed_at_once_and_in_order() {
        let home = tempfile::tempdir().unwrap();
        let database = database(&home);
        let writes = (0..20).map(|number| {
            let database = database.clone();
            async move { database.write(move |t| insert(t, &format!("{number:02}"))).await }
        });
        let results = behind(&database, writes.collect()).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(commits(&database), 2, "the first, and all that had to wait for it");
        let in_order: Vec<_> = (0..20).map(|number| format!("{number:02}")).collect();
        assert_eq!(names(&database).await, in_order);
    }

    #[tokio::test]
    async fn of_those_committed_at_once_only_what_fails_is_taken_back() {
        let home = tempfile::tempdir().unwrap();
        let database = database(&home);
        let writes = ["a", "conflict", "b", "panic", "c", "a"].map(|name| {
            let database = database.clone();
            async move {
                let write = database.write(move |t| {
                    insert(t, name)?;
                    match name {
                        "conflict" => Err(Fault::Conflict),
                        "panic" => panic!("half-way"),
                        _ => Ok(()),
                    }
                });
                write.await
            }
        });
        let results = behind(&database, writes.into()).await;
        let fine: Vec<bool> = results.iter().map(Result::is_ok).collect();
        assert_eq!(fine, [true, false, true, false, true, false]);
        assert!(matches!(results[1], Err(Fault::Conflict)));
        assert!(matches!(&results[3], Err(Fault::Lost(why)) if why.contains("half-way")));
        assert!(matches!(results[5], Err(Fault::Database(_))), "a name that is taken");
        assert_eq!(
            (names(&database).await, commits(&database)),
            (["a", "b", "c"].map(Into::into).into(), 2)
        );
    }

    #[tokio::test]
    async fn a_transaction_that_ends_by_itself_is_nobodys_success() {
        let home = tempfile::tempdir().unwrap();
        let database = database(&home);
        let writes = ["a", "full", "c"].map(|name| {
            let database = database.clone();
            async move {
                let write = database.write(move |t| {
                    insert(t, name)?;
                    if name == "full" {
                        // As SQLite does when the disk is full.
                        t.execute_batch("ROLLBACK")?;
                        return Err(Fault::Refused("it is full".into()));
                    }
                    Ok(())
                });
                write.await
            }
        });
        let results = behind(&database, writes.into()).await;
        for result in results {
            assert!(
                matches!(&result, Err(Fault::Refused(why)) if why == "it is full"),
                "{result:?}"
            );
        }
        assert_eq!(names(&database).await, [""; 0]);
        database
            .write(|t| insert(t, "d"))
            .await
            .expect("the next one has a transaction of its own");
    }

    #[tokio::test]
    async fn whoever_writes_alone_shares_no_transaction() {
        let home = tempfile::tempdir().unwrap();
        let database = database(&home);
        let writes = [false, false, true, true, false, false].map(|alone| {
            let database = database.clone();
            async move {
                let work = |t: &Transaction<'_>| insert(t, &format!("{}", t.total_changes()));
                if alone { database.write_alone(work).await } else { database.write(work).await }
            }
        });
        let results = behind(&database, writes.into()).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(commits(&database), 5);
    }

    #[tokio::test]
    async fn whoever_is_told_last_closes_the_file() {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("kugetsu.db-wal");
        for round in 0..20 {
            let database = database(&home);
            database.write(move |t| insert(t, &round.to_string())).await.unwrap();
            assert!(log.exists());
            drop(database);
            assert!(!log.exists(), "somebody has it open still");
        }
    }

    #[test]
    fn what_the_end_of_a_runtime_leaves_is_told_and_the_next_one_writes() {
        let home = tempfile::tempdir().unwrap();
        let database = database(&home);
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let ending = runtime();
        let lost = {
            let _inside = ending.enter();
            // A clerk who has not begun yet: one that is there already is asked by nobody else.
            let (job, _) = job(|_| Ok(()), false);
            assert!(database.shared.desk.add(job));
            let clerk = Clerk::of(&database.shared);
            let mut lost = Box::pin(database.write(|t| insert(t, "a")));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(lost.as_mut().poll(&mut context).is_pending());
            drop(clerk);
            lost
        };
        assert!(matches!(runtime().block_on(lost), Err(Fault::Lost(_))));
        ending.shutdown_timeout(Duration::ZERO);
        runtime().block_on(database.write(|t| insert(t, "b"))).unwrap();
        assert_eq!(runtime().block_on(names(&database)), ["b"]);
    }
}
