use std::fmt;
use std::panic;
use std::sync::Once;

use super::Promise;
use super::promise::{Came, came_of, quietly};

/// How much of what was seen a report shows of each promise, in characters.
const SHOWN: usize = 2_000;

/// Checks each of the promises, on a fixture of its own, one after the other.
///
/// A fixture that panics has broken the promise that it was made for. What promises panic with
/// stands in the report and is not told to the process's panic hook, whichever thread it happens
/// on; other panics are told as ever.
///
/// Needs a tokio runtime with its timer on, best one of more than one thread.
///
/// ```
/// # use std::sync::Arc;
/// # use kugetsu_core::{MemoStore, MemoryStore};
/// use kugetsu_testkit::suite::{self, MemoStoreFixture};
///
/// #[derive(Default)]
/// struct Memory(MemoryStore);
///
/// #[async_trait::async_trait]
/// impl MemoStoreFixture for Memory {
///     async fn open(&self) -> Arc<dyn MemoStore> {
///         Arc::new(self.0.clone())
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() {
/// let fixture = async || Box::new(Memory::default()) as Box<dyn MemoStoreFixture>;
/// let report = suite::examine(suite::memos::PROMISES, fixture).await;
/// print!("{report}");
/// assert!(report.all_kept());
/// # }
/// ```
pub async fn examine<F: ?Sized>(
    promises: &[Promise<F>],
    fixture: impl AsyncFn() -> Box<F>,
) -> Report {
    let mut checks = Vec::with_capacity(promises.len());
    for promise in promises {
        checks.push(promise.examine(&fixture).await);
    }
    checks.into_iter().collect()
}

impl<F: ?Sized> Promise<F> {
    /// Checks this one promise as [`examine`] does it.
    pub async fn examine(&self, fixture: impl AsyncFn() -> Box<F>) -> Check {
        hush();
        let came = quietly(came_of(async {
            let fixture = fixture().await;
            (self.check)(&fixture).await;
        }));
        let verdict = match came.await {
            Came::Kept => Verdict::Kept,
            Came::NotApplicable(why) => Verdict::NotApplicable { why },
            Came::Broken(seen) => Verdict::Broken { seen },
        };
        Check { promise: self.name, verdict }
    }
}

/// What came of examining a backend: each promise with its [`Verdict`].
///
/// As text, it has a line for each promise, what was seen below each broken one, and the counts at
/// the end. No character of it acts on a terminal, whatever the backend said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    checks: Vec<Check>,
}

impl Report {
    /// The checks, in the order in which they were made.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Whether no promise was found broken.
    pub fn all_kept(&self) -> bool {
        self.broken() == 0
    }

    /// How many promises are kept.
    pub fn kept(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Kept))
    }

    /// How many promises are broken.
    pub fn broken(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Broken { .. }))
    }

    /// How many promises are none of this backend's.
    pub fn not_applicable(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::NotApplicable { .. }))
    }

    fn count(&self, is_counted: impl Fn(&Verdict) -> bool) -> usize {
        self.checks.iter().filter(|check| is_counted(&check.verdict)).count()
    }
}

/// So that several suites make one report, and that a program may tell each check as it comes.
impl FromIterator<Check> for Report {
    fn from_iter<I: IntoIterator<Item = Check>>(checks: I) -> Self {
        Self { checks: checks.into_iter().collect() }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            writeln!(f, "{check}")?;
        }
        if !self.checks.is_empty() {
            writeln!(f)?;
        }
        let (kept, broken, none) = (self.kept(), self.broken(), self.not_applicable());
        writeln!(f, "{kept} kept, {broken} broken, {none} not applicable")
    }
}

/// One promise, and what came of it.
///
/// Made by a suite that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// The promise's [name](Promise::name).
    pub promise: &'static str,
    /// What came of it.
    pub verdict: Verdict,
}

impl Check {
    /// The promise as it is read: its name with spaces.
    pub fn sentence(&self) -> String {
        sentence(self.promise)
    }
}

/// One line, and below it, indented, what was seen or why it is not applicable.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, below) = match &self.verdict {
            Verdict::Kept => ("kept", ""),
            Verdict::Broken { seen } => ("BROKEN", seen.as_str()),
            Verdict::NotApplicable { why } => ("n/a", why.as_str()),
        };
        write!(f, "{word:<6}  {}", self.sentence())?;
        for line in harmless(below).lines() {
            write!(f, "\n        {line}")?;
        }
        Ok(())
    }
}

/// What came of checking a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The promise is kept.
    Kept,
    /// It is not.
    Broken {
        /// What was seen instead, as it was: of any length, and with whatever the backend said.
        seen: String,
    },
    /// The backend says that it is not able to do what the promise is about, and refuses it.
    NotApplicable {
        /// What it is not able to do.
        why: String,
    },
}

pub(super) fn sentence(name: &str) -> String {
    name.replace('_', " ")
}

/// The text without what acts on a terminal or hides its neighbours, and not endless.
fn harmless(text: &str) -> String {
    let mut safe = String::new();
    for (number, c) in text.chars().enumerate() {
        match c {
            _ if number == SHOWN => {
                safe.push('…');
                break;
            }
            '\n' => safe.push(c),
            '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}' => safe.extend(c.escape_unicode()),
            c if c.is_control() => safe.extend(c.escape_default()),
            c => safe.push(c),
        }
    }
    safe
}

/// Lets the panics of promises that are examined quietly be told by nobody. The hook that is there
/// hears of all others.
fn hush() {
    static HUSHED: Once = Once::new();
    HUSHED.call_once(|| {
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |panicked| {
            if !super::promise::is_quiet() {
                told(panicked);
            }
        }));
    });
}
