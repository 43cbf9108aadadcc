//! What came of the promises, a line for each.

use kugetsu_testkit::suite::Broken;
use serde_json::json;

use crate::errors::CliError;
use crate::screen::{Screen, Tone, escape, time};

/// How much of what was seen instead is shown, in characters and in lines.
const GLIMPSE: usize = 900;
const LINES: usize = 12;

/// What came of a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is kept.
    Yes,
    /// It is not: this was seen.
    No(String),
    /// It cannot be seen from outside, for this reason.
    NotChecked(&'static str),
}

impl Kept {
    pub(super) fn of(checked: Result<(), Broken>) -> Self {
        match checked {
            Ok(()) => Self::Yes,
            Err(broken) => Self::No(broken.seen),
        }
    }
}

/// What came of all promises.
pub(super) struct Report {
    who: String,
    what: &'static str,
    all: Vec<(&'static str, Kept)>,
}

impl Report {
    /// Says what is checked.
    pub(super) fn begin(
        screen: &Screen,
        who: &str,
        what: &'static str,
        count: usize,
    ) -> Result<Self, CliError> {
        if !screen.json {
            let promises = time::counted(count as u64, "promise");
            screen.say(format!("{who} is checked as {what}: {promises}."))?;
        }
        Ok(Self { who: who.to_owned(), what, all: Vec::new() })
    }

    /// Says what came of a promise.
    pub(super) fn add(
        &mut self,
        screen: &Screen,
        promise: &'static str,
        kept: Kept,
    ) -> Result<(), CliError> {
        if !screen.json {
            let (word, tone) = match &kept {
                Kept::Yes => ("kept       ", Tone::Good),
                Kept::No(_) => ("NOT KEPT   ", Tone::Bad),
                Kept::NotChecked(_) => ("not checked", Tone::Faint),
            };
            let word = screen.painted(tone, word);
            screen.say(format!("{word}  {}", sentence(promise)))?;
            match &kept {
                Kept::Yes => {}
                Kept::No(seen) => {
                    for line in escape::cut(&escape::text(seen), GLIMPSE).lines().take(LINES) {
                        screen.say(format!("             {line}"))?;
                    }
                }
                // A reason that holds for several is told once.
                Kept::NotChecked(_) if self.all.last().is_some_and(|(_, last)| *last == kept) => {}
                Kept::NotChecked(why) => screen.say(format!("             {why}"))?,
            }
        }
        self.all.push((promise, kept));
        Ok(())
    }

    /// Says how many are kept. It is an error, which says nothing more, if one is not or none could be
    /// checked.
    pub(super) fn end(&self, screen: &Screen) -> Result<(), CliError> {
        let count = |is: fn(&Kept) -> bool| self.all.iter().filter(|(_, kept)| is(kept)).count();
        let kept = count(|kept| *kept == Kept::Yes);
        let broken = count(|kept| matches!(kept, Kept::No(_)));
        let unchecked = count(|kept| matches!(kept, Kept::NotChecked(_)));
        if screen.json {
            let told: Vec<_> =
                self.all.iter().map(|(promise, kept)| json_of(promise, kept)).collect();
            screen.answer(&json!({
                "who": self.who, "what": self.what, "promises": told,
                "kept": kept, "not_kept": broken, "not_checked": unchecked,
            }))?;
        } else {
            let some = match (kept, broken) {
                (0, 0) => "No promise could be checked".to_owned(),
                (1, 0) => "The promise is kept".to_owned(),
                (kept, 0) => format!("All {kept} promises are kept"),
                (0, 1) => "The promise is not kept".to_owned(),
                (kept, 1) => format!("1 of {} promises is not kept", kept + 1),
                (kept, broken) => format!("{broken} of {} promises are not kept", kept + broken),
            };
            let rest = match unchecked {
                _ if kept + broken == 0 => String::new(),
                0 => String::new(),
                1 => "; 1 could not be checked".to_owned(),
                count => format!("; {count} could not be checked"),
            };
            screen.say(format!("{some}{rest}."))?;
        }
        if broken == 0 && kept > 0 { Ok(()) } else { Err(CliError::silent()) }
    }
}

/// A promise's name as the sentence that it is.
fn sentence(promise: &str) -> String {
    promise.replace('_', " ")
}

fn json_of(promise: &str, kept: &Kept) -> serde_json::Value {
    let mut told = json!({ "promise": promise, "kept": null });
    match kept {
        Kept::Yes => told["kept"] = json!(true),
        Kept::No(seen) => {
            told["kept"] = json!(false);
            told["seen"] = json!(seen);
        }
        Kept::NotChecked(why) => told["not_checked"] = json!(why),
    }
    told
}
