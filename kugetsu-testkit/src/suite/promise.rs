use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long one promise may take to show. Far more than any needs, even with a real agent on a busy
/// machine: whoever takes longer hangs.
const PATIENCE: Duration = Duration::from_mins(3);

pub(super) type Checking<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// One promise of a trait, to be checked on a fixture `F`.
pub struct Promise<F: ?Sized> {
    /// The promise as a sentence, such as `a_task_committed_is_there_after_reopening`.
    pub name: &'static str,
    pub(super) check: fn(&F) -> Checking<'_>,
}

impl<F: ?Sized> Promise<F> {
    /// The promise as it is read: its name with spaces.
    pub fn sentence(&self) -> String {
        super::report::sentence(self.name)
    }

    /// Checks the promise, and says what was seen instead if it is not kept. One that takes longer
    /// than three minutes to show is not kept; one that the backend says it is not able to keep,
    /// and refuses, is.
    ///
    /// Needs a tokio runtime with its timer on. The fixture has to be a fresh one: promises write
    /// what they like into it. A promise that is not kept also tells the process's panic hook;
    /// [`examine`](Self::examine) does without.
    pub async fn check(&self, fixture: &F) -> Result<(), Broken> {
        match came_of((self.check)(fixture)).await {
            Came::Kept | Came::NotApplicable(_) => Ok(()),
            Came::Broken(seen) => Err(Broken { promise: self.name, seen }),
        }
    }
}

impl<F: ?Sized> fmt::Debug for Promise<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A promise that is not kept.
///
/// Made by [`Promise::check`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broken {
    /// Which one.
    pub promise: &'static str,
    /// What was seen instead.
    pub seen: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not kept: {}", self.promise, self.seen)
    }
}

impl std::error::Error for Broken {}

/// Runs one promise as a test, on a runtime of its own. For the suites' macros.
///
/// # Panics
///
/// If the promise is not kept.
#[doc(hidden)]
pub fn hold<F: ?Sized>(promises: &[Promise<F>], name: &str, fixture: impl Future<Output = Box<F>>) {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("there is no runtime: {error}"));
    let promise = promises.iter().find(|promise| promise.name == name);
    let promise = promise.unwrap_or_else(|| panic!("there is no promise `{name}`"));
    let kept = runtime.block_on(async {
        // The fixture goes away inside of the runtime, since it may have work for it.
        let fixture = fixture.await;
        promise.check(&fixture).await
    });
    // Blocking work that hangs must not hide what was found.
    runtime.shutdown_timeout(Duration::from_secs(10));
    if let Err(mut broken) = kept {
        // The panic hook has told all of it.
        broken.seen = broken.seen.chars().take(300).collect();
        panic!("{broken}");
    }
}

/// Does all of it at once, and returns what came of each, in their order.
pub(super) async fn at_once<T: Send + 'static>(
    work: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = work.into_iter().map(beside).collect();
    let mut came = Vec::with_capacity(tasks.len());
    for task in tasks {
        match task.await {
            Ok(value) => came.push(value),
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(error) => panic!("{error}"),
        }
    }
    came
}

/// Does it beside the promise, and as quietly.
pub(super) fn beside<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    if is_quiet() { tokio::spawn(quietly(work)) } else { tokio::spawn(work) }
}

/// Polls the future once, which says whether it has to wait.
pub(super) async fn once<T>(future: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Option<T> {
    let mut future = future;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Ends the promise: it is none of this backend's, since it cannot do that and says so.
pub(super) fn not_applicable(why: &str) -> ! {
    // No panic hook hears of this.
    resume_unwind(Box::new(NotApplicable(why.to_owned())))
}

struct NotApplicable(String);

/// What came of a promise.
pub(super) enum Came {
    Kept,
    NotApplicable(String),
    Broken(String),
}

/// Waits for a promise as long as it may take.
pub(super) async fn came_of(check: impl Future<Output = ()>) -> Came {
    match timeout(PATIENCE, caught(check)).await {
        Ok(Ok(())) => Came::Kept,
        Ok(Err(panic)) => match panic.downcast::<NotApplicable>() {
            Ok(none) => Came::NotApplicable(none.0),
            Err(panic) => Came::Broken(words(panic.as_ref())),
        },
        Err(_) => Came::Broken(format!("nothing within {} s", PATIENCE.as_secs())),
    }
}

tokio::task_local! {
    static QUIET: ();
}

/// Works without a word to the panic hook, if that [asks](is_quiet).
pub(super) fn quietly<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    QUIET.scope((), work)
}

/// Whether what runs on this thread does so [quietly].
pub(super) fn is_quiet() -> bool {
    QUIET.try_with(|()| ()).is_ok()
}

/// What the future panics with.
async fn caught(future: impl Future<Output = ()>) -> Result<(), Box<dyn Any + Send>> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}

/// Lists a suite's promises once, as data and as the macro that makes tests of them.
macro_rules! promises {
    (
        $(#[$doc:meta])*
        macro $suite:ident of $module:ident for dyn $fixture:ident ($d:tt);
        $(from $part:ident { $($name:ident,)+ })+
    ) => {
        /// The promises, in the order in which a backend author meets them best.
        pub const PROMISES: &[$crate::suite::Promise<dyn $fixture>] = &[
            $($($crate::suite::Promise {
                name: stringify!($name),
                check: |fixture| Box::pin($part::$name(fixture)),
            },)+)+
        ];

        $(#[$doc])*
        #[macro_export]
        macro_rules! $suite {
            ($d fixture:expr $d (,)?) => {
                $($(
                    #[test]
                    fn $name() {
                        $crate::suite::hold::<dyn $crate::suite::$fixture>(
                            $crate::suite::$module::PROMISES,
                            stringify!($name),
                            async { ::std::boxed::Box::new($d fixture) as _ },
                        );
                    }
                )+)+
            };
        }
    };
}
pub(super) use promises;
