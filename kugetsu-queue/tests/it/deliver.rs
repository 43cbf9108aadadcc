//! Notices on their way from the event log to the sinks, with a clock that is moved by hand.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kugetsu_core::{
    AgentEvent, Attempt, Clock, Cursor, Event, EventLog, Happening, IssueRef, MemoStore,
    MemoryStore, Notice, Notifier, NotifyError, Outcome, Priority, Report, Retry, StoreError,
    TaskId, Timestamp, WorkerId,
};
use kugetsu_queue::deliver::forget_others;
use kugetsu_queue::inbox::{Inbox as _, Notices};
use kugetsu_queue::{Delivery, SinkNews, SqliteStore, WatchedStore};
use kugetsu_testkit::fake::{ManualClock, RecordingNotifier};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// An event log, and what sinks there are told.
#[derive(Clone)]
struct Post {
    memory: MemoryStore,
    store: WatchedStore,
    clock: Arc<ManualClock>,
    news: Arc<Mutex<Vec<String>>>,
}

impl Post {
    fn new() -> Self {
        let memory = MemoryStore::new();
        let store = WatchedStore::new(Arc::new(memory.clone()));
        Self { memory, store, clock: Arc::new(ManualClock::new()), news: Arc::default() }
    }

    fn delivery(&self, sink: Arc<dyn Notifier>) -> Delivery {
        Delivery::new(self.store.clone(), Arc::new(self.memory.clone()), self.clock.clone(), sink)
    }

    fn run(&self, delivery: Delivery) -> (CancellationToken, JoinHandle<()>) {
        let stop = CancellationToken::new();
        let (news, until) = (Arc::clone(&self.news), stop.clone());
        let running = tokio::spawn(async move {
            let tell = move |told: SinkNews| news.lock().unwrap().push(told.to_string());
            delivery.run(until, tell).await;
        });
        (stop, running)
    }

    /// A whole task of an issue: four events of which people hear, and some of which they do not.
    async fn work(&self, number: u64) {
        let worker = WorkerId::new("tester").unwrap();
        let mut report = Report::default();
        report.answer = format!("Done {number}.");
        let tool = || Happening::Agent(AgentEvent::Message { text: "thinking".into() });
        let whats = [
            Happening::Enqueued { priority: Priority::default() },
            Happening::Claimed { worker, attempt: Attempt(1) },
            tool(),
            Happening::SessionReady { session: "ses_1".parse().unwrap(), how: "new".into() },
            tool(),
            tool(),
            Happening::Settled { outcome: Outcome::Completed { report } },
        ];
        for what in whats {
            self.append(number, what).await;
        }
    }

    async fn append(&self, number: u64, what: Happening) {
        let issue: IssueRef = format!("git.example/acme/widgets#{number}").parse().unwrap();
        let task = TaskId::of_key(&number.to_string());
        let event = Event::new(Timestamp::from_millis(number), task, Some(issue), what);
        self.store.append(&[event]).await.unwrap();
    }

    /// The keys of all notices that the log is worth, in order.
    async fn worth(&self) -> Vec<String> {
        let events = self.store.read(Cursor(0), 100_000).await.unwrap();
        let notices = events.iter().filter_map(|(cursor, event)| Notice::of(event, *cursor));
        notices.map(|notice| notice.key).collect()
    }

    fn news(&self) -> Vec<String> {
        self.news.lock().unwrap().clone()
    }

    /// Lets time pass, a pause at a time, until it is done.
    async fn passing<T>(&self, what: impl Future<Output = T>) -> T {
        tokio::pin!(what);
        loop {
            tokio::select! {
                biased;
                done = &mut what => return done,
                () = self.clock.until_asleep(1) => {
                    self.clock.advance_to_next();
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

fn keys(sink: &RecordingNotifier) -> Vec<String> {
    sink.kept().into_iter().map(|notice| notice.key).collect()
}

/// Waits until it holds; whatever makes it hold is under way.
async fn until(holds: impl Fn() -> bool) {
    let look = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), look).await.expect("it never came so far");
}

#[tokio::test]
async fn notices_come_in_the_order_of_the_log_and_each_of_them_once() {
    let post = Post::new();
    let sink = RecordingNotifier::new("sink");
    let delivery = post.delivery(Arc::new(sink.clone()));
    delivery.begin().await.unwrap();
    post.work(1).await;
    let (stop, running) = post.run(delivery);
    for number in 2..50 {
        post.work(number).await;
    }
    let all = post.worth().await;
    until(|| sink.kept().len() == all.len()).await;
    stop.cancel();
    running.await.unwrap();
    assert_eq!(keys(&sink), all);
    assert_eq!(sink.brought(), all.len());
    assert_eq!(post.news(), [""; 0]);
}

#[tokio::test]
async fn a_new_sink_begins_at_the_end_of_the_log_unless_it_is_to_have_everything() {
    let post = Post::new();
    post.work(1).await;
    let (late, whole) = (RecordingNotifier::new("late"), RecordingNotifier::new("whole"));
    let late_delivery = post.delivery(Arc::new(late.clone()));
    let whole_delivery = post.delivery(Arc::new(whole.clone())).with_everything();
    assert_eq!(late_delivery.catch_up().await.unwrap(), 0);
    assert_eq!(whole_delivery.catch_up().await.unwrap(), 4);
    post.work(2).await;
    assert_eq!(late_delivery.catch_up().await.unwrap(), 4);
    assert_eq!(whole_delivery.catch_up().await.unwrap(), 4);
    let all = post.worth().await;
    assert_eq!((keys(&late), keys(&whole)), (all[4..].to_vec(), all));
    // One that is taken away and comes back is new again.
    forget_others(&post.memory, &["whole"]).await.unwrap();
    assert_eq!(late_delivery.catch_up().await.unwrap(), 0);
    post.work(3).await;
    assert_eq!(late_delivery.catch_up().await.unwrap(), 4);
    assert_eq!(whole_delivery.catch_up().await.unwrap(), 4);
}

#[tokio::test]
async fn whoever_dies_anywhere_loses_no_notice_and_repeats_only_the_last() {
    let post = Post::new();
    let sink = RecordingNotifier::new("sink");
    post.delivery(Arc::new(sink.clone())).begin().await.unwrap();
    for number in 1..=5 {
        post.work(number).await;
    }
    let all = post.worth().await;
    let mut deaths = 0;
    // Dies after it was polled once, twice, … times, until it has lived long enough for all.
    while sink.kept().len() < all.len() {
        deaths += 1;
        let delivery = post.delivery(Arc::new(Slow(sink.clone())));
        let mut running = Box::pin(delivery.run(CancellationToken::new(), |_| {}));
        for _ in 0..deaths {
            let polled = std::future::poll_fn(|context| {
                std::task::Poll::Ready(running.as_mut().poll(context).is_ready())
            });
            assert!(!polled.await);
        }
    }
    assert_eq!(keys(&sink), all);
    assert!(sink.brought() <= all.len() + deaths, "{} in {deaths} lives", sink.brought());
    assert!(deaths > 3, "{deaths}");
}

/// Has to be polled twice before, and once more after it has kept a notice.
#[derive(Debug)]
struct Slow(RecordingNotifier);

#[async_trait]
impl Notifier for Slow {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
        tokio::task::yield_now().await;
        self.0.notify(notice).await?;
        tokio::task::yield_now().await;
        Ok(())
    }
}

#[tokio::test]
async fn a_sink_that_fails_is_tried_again_later_and_keeps_the_order() {
    let post = Post::new();
    let sink = RecordingNotifier::new("sink");
    let delivery = post.delivery(Arc::new(sink.clone()));
    delivery.begin().await.unwrap();
    sink.fail(4);
    let (stop, running) = post.run(delivery);
    let began = post.clock.tick();
    post.work(1).await;
    post.work(2).await;
    post.passing(until(|| sink.kept().len() == 8)).await;
    assert_eq!(keys(&sink), post.worth().await);
    assert_eq!(sink.brought(), 12);
    // 1 + 2 + 4 + 8 seconds.
    assert_eq!(post.clock.tick().since(began), Some(Duration::from_secs(15)));
    assert_eq!(post.news(), [""; 0]);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_sink_that_is_down_is_told_probed_and_told_when_it_is_up_again() {
    let post = Post::new();
    let sink = RecordingNotifier::new("sink");
    let delivery = post.delivery(Arc::new(sink.clone()));
    delivery.begin().await.unwrap();
    sink.fail(12);
    let (stop, running) = post.run(delivery);
    let began = post.clock.tick();
    post.work(1).await;
    post.passing(until(|| sink.kept().len() == 4)).await;
    assert_eq!(keys(&sink), post.worth().await);
    // 1 + 2 + 4 + 8 s, then 30 s doubling up to 10 min.
    let probes = 30 + 60 + 120 + 240 + 480 + 600 + 600 + 600;
    assert_eq!(post.clock.tick().since(began), Some(Duration::from_secs(15 + probes)));
    let news = post.news();
    assert_eq!(news.len(), 2, "{news:?}");
    assert!(news[0].starts_with("a sink is down, its notices wait: sink could not"), "{news:?}");
    assert_eq!(news[1], "the sink sink takes notices again");
    stop.cancel();
    running.await.unwrap();
}

/// Answers each notice so.
#[derive(Debug)]
struct Answers(fn(&Notice) -> Result<(), NotifyError>, RecordingNotifier);

#[async_trait]
impl Notifier for Answers {
    fn name(&self) -> &str {
        self.1.name()
    }

    async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
        (self.0)(notice)?;
        self.1.notify(notice).await
    }
}

#[tokio::test]
async fn what_a_sink_refuses_is_passed_over_and_told() {
    let post = Post::new();
    let sink = RecordingNotifier::new("sink");
    let answers = Answers(
        |notice| match notice.key.as_str() {
            "event-2" => Err(NotifyError::Refused { who: "sink".into(), why: "too long".into() }),
            _ => Ok(()),
        },
        sink.clone(),
    );
    let (stop, running) = post.run(post.delivery(Arc::new(answers)).with_everything());
    post.work(1).await;
    until(|| sink.kept().len() == 3).await;
    stop.cancel();
    running.await.unwrap();
    assert_eq!(keys(&sink), ["event-1", "event-4", "event-7"]);
    let told = "notice event-2 is passed over: sink refused the notice: too long";
    assert_eq!(post.news(), [told]);
}

#[tokio::test]
async fn a_sink_says_how_long_it_wants_to_rest() {
    let post = Post::new();
    let sink = RecordingNotifier::new("sink");
    let asked = Arc::new(AtomicUsize::new(0));
    let busy = Busy { sink: sink.clone(), asked: asked.clone() };
    let (stop, running) = post.run(post.delivery(Arc::new(busy)).with_everything());
    let began = post.clock.tick();
    post.work(1).await;
    post.passing(until(|| sink.kept().len() == 4)).await;
    assert_eq!(post.clock.tick().since(began), Some(Duration::from_secs(77)));
    assert_eq!(asked.load(Ordering::Relaxed), 5);
    stop.cancel();
    running.await.unwrap();
}

/// Takes the first notice after 77 seconds only.
#[derive(Debug)]
struct Busy {
    sink: RecordingNotifier,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl Notifier for Busy {
    fn name(&self) -> &str {
        self.sink.name()
    }

    async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
        if self.asked.fetch_add(1, Ordering::Relaxed) > 0 {
            return self.sink.notify(notice).await;
        }
        Err(NotifyError::Backend {
            who: "sink".into(),
            operation: "take it".into(),
            retry: Retry::after(Duration::from_secs(77)),
            source: "a limit".into(),
        })
    }
}

/// Never answers.
#[derive(Debug)]
struct Dead;

#[async_trait]
impl Notifier for Dead {
    fn name(&self) -> &'static str {
        "dead"
    }

    async fn notify(&self, _notice: &Notice) -> Result<(), NotifyError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_dead_sink_holds_back_neither_the_log_nor_the_other_sinks() {
    let post = Post::new();
    let sink = RecordingNotifier::new("sink");
    let (stop_dead, dead) = post.run(post.delivery(Arc::new(Dead)).with_everything());
    let (stop, running) = post.run(post.delivery(Arc::new(sink.clone())).with_everything());
    for number in 1..=20 {
        post.work(number).await;
    }
    until(|| sink.kept().len() == 80).await;
    assert_eq!(keys(&sink), post.worth().await);
    stop.cancel();
    running.await.unwrap();
    // Even it is not waited for for ever.
    stop_dead.cancel();
    post.passing(dead).await.unwrap();
    assert_eq!(post.memory.memo("notices/dead").await.unwrap().as_deref(), Some("0"));
}

#[tokio::test]
async fn what_happened_before_the_stop_is_still_brought() {
    let post = Post::new();
    let sink = RecordingNotifier::new("sink");
    let delivery = post.delivery(Arc::new(sink.clone()));
    delivery.begin().await.unwrap();
    post.work(1).await;
    let stop = CancellationToken::new();
    stop.cancel();
    delivery.run(stop, |_| {}).await;
    assert_eq!(keys(&sink), post.worth().await);
}

/// Counts what is remembered.
#[derive(Debug)]
struct Counted(MemoryStore, AtomicUsize);

#[async_trait]
impl MemoStore for Counted {
    async fn memo(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.0.memo(name).await
    }

    async fn set_memo(&self, name: &str, text: Option<&str>) -> Result<(), StoreError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.set_memo(name, text).await
    }

    async fn memos(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        self.0.memos(prefix).await
    }
}

#[tokio::test]
async fn what_is_no_notice_costs_next_to_nothing() {
    let post = Post::new();
    let sink = RecordingNotifier::new("sink");
    let memos = Arc::new(Counted(post.memory.clone(), AtomicUsize::new(0)));
    let (store, clock) = (post.store.clone(), post.clock.clone());
    let delivery = Delivery::new(store, memos.clone(), clock, Arc::new(sink.clone()));
    let (stop, running) = post.run(delivery.with_everything());
    for _ in 0..5000 {
        post.append(1, Happening::Agent(AgentEvent::Message { text: "hm".into() })).await;
    }
    post.work(2).await;
    until(|| sink.kept().len() == 4).await;
    stop.cancel();
    running.await.unwrap();
    let writes = memos.1.load(Ordering::Relaxed);
    assert!(writes <= 1 + 5 + 4 + 1, "{writes} writes");
}

#[tokio::test]
async fn the_inbox_has_each_notice_once_and_in_order_whoever_brings_it() {
    let home = TempDir::with_prefix("kugetsu-deliver-").unwrap();
    let store = SqliteStore::open(home.path().join("kugetsu.db")).await.unwrap();
    let post = Post { store: WatchedStore::new(Arc::new(store.clone())), ..Post::new() };
    let delivery = || {
        let (watched, clock) = (post.store.clone(), post.clock.clone());
        let memos = Arc::new(store.clone());
        Delivery::new(watched, memos, clock, Arc::new(store.clone())).with_everything()
    };
    let (stop, running) = post.run(delivery());
    for number in 1..=10 {
        post.work(number).await;
        // Somebody looks into it meanwhile.
        delivery().catch_up().await.unwrap();
    }
    stop.cancel();
    running.await.unwrap();
    let kept = store.notices(Notices::All).await.unwrap();
    let kept: Vec<String> = kept.into_iter().map(|kept| kept.notice.key).collect();
    assert_eq!(kept, post.worth().await);
}
