use super::call::Call;
use std::time::Duration;

const MARKER: &str = "MODEL:";

/// What a prompt tells the model to do.
#[derive(Debug, Default)]
pub(super) struct Script {
    steps: Vec<Step>,
    /// Modifiers with nothing after them; they change the closing `done`.
    closing: Modifiers,
}

/// One directive with its modifiers.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// The directive as it was written.
    pub(super) written: String,
    pub(super) directive: Directive,
    pub(super) modifiers: Modifiers,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Directive {
    Say(String),
    Call { lead: String, calls: Vec<Call> },
    Echo,
    History,
    Think(String),
    Stream { words: usize, every: Duration },
    Flood { bytes: usize },
    Unfinished,
    Fail { failure: Failure, times: Option<u32> },
    Wrong(Wrong),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Failure {
    Http { status: u16, retry_after: Option<String> },
    Hang,
    HangMid,
    Reset,
    Cut,
    Garbage,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Modifiers {
    pub(super) before: Vec<Pause>,
    pub(super) usage: Option<(u64, u64)>,
    pub(super) finish: Option<String>,
    /// The gate whose opening ends a failure.
    pub(super) until: Option<String>,
}

/// What happens before an answer, in the order written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pause {
    Gate(String),
    Sleep(Duration),
}

/// Why a directive cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) String);

impl Wrong {
    pub(super) fn form(name: &str, form: &str) -> Self {
        Self(format!("the directive `{name}` is written `{name} {form}`"))
    }
}

impl Script {
    /// Reads the script in a prompt. `None` if there is none.
    pub(super) fn parse(prompt: &str) -> Option<Self> {
        let mut script = Self::default();
        let mut found = false;
        let mut modifiers = Modifiers::default();
        for directive in prompt.lines().filter_map(marked).flat_map(|line| split(&line)) {
            found = true;
            script.push(&directive, &mut modifiers);
        }
        script.closing = modifiers;
        found.then_some(script)
    }

    /// The step to answer after `answers` answers.
    ///
    /// `spent(position, times)` tells whether the failure at `position` has happened `times` times,
    /// `open(gate)` whether the gate is.
    pub(super) fn step(
        &self,
        answers: usize,
        spent: impl Fn(usize, u32) -> bool,
        open: impl Fn(&str) -> bool,
    ) -> (usize, Step) {
        let mut passed = 0;
        for (position, step) in self.steps.iter().enumerate() {
            let is_next = passed == answers;
            match step.directive {
                Directive::Fail { times, .. } => {
                    let is_over = times.is_some_and(|times| spent(position, times))
                        || step.modifiers.until.as_deref().is_some_and(&open);
                    if is_next && !is_over {
                        return (position, step.clone());
                    }
                }
                _ if is_next => return (position, step.clone()),
                _ => passed += 1,
            }
        }
        let mut done = Step::saying("done");
        done.modifiers = self.closing.clone();
        (self.steps.len(), done)
    }

    fn push(&mut self, written: &str, modifiers: &mut Modifiers) {
        let (name, rest) = written.split_once(char::is_whitespace).unwrap_or((written, ""));
        let rest = rest.trim();
        let directive = match modifiers.add(name, rest) {
            Some(Ok(())) => return,
            Some(Err(wrong)) => Directive::Wrong(wrong),
            None if name == "also" => match self.also(rest) {
                Ok(()) => return,
                Err(wrong) => Directive::Wrong(wrong),
            },
            None => directive(name, rest).unwrap_or_else(Directive::Wrong),
        };
        let mut step =
            Step { written: written.to_owned(), directive, modifiers: std::mem::take(modifiers) };
        self.take_lead(&mut step);
        self.steps.push(step);
    }

    /// A text right before a call belongs to the same answer.
    fn take_lead(&mut self, step: &mut Step) {
        let Directive::Call { lead, .. } = &mut step.directive else { return };
        if !matches!(self.steps.last(), Some(Step { directive: Directive::Say(_), .. })) {
            return;
        }
        let Some(Step { directive: Directive::Say(text), written, modifiers }) = self.steps.pop()
        else {
            return;
        };
        *lead = text;
        step.written = format!("{written} ;; {}", step.written);
        step.modifiers = modifiers.then(std::mem::take(&mut step.modifiers));
    }

    fn also(&mut self, rest: &str) -> Result<(), Wrong> {
        let call = call(rest)?;
        match self.steps.last_mut() {
            Some(Step { directive: Directive::Call { calls, .. }, written, .. }) => {
                calls.push(call);
                *written = format!("{written} ;; also {rest}");
                Ok(())
            }
            _ => Err(Wrong("the directive `also` needs a tool call before it".to_owned())),
        }
    }
}

impl Step {
    pub(super) fn saying(text: &str) -> Self {
        Self {
            written: text.to_owned(),
            directive: Directive::Say(text.to_owned()),
            modifiers: Modifiers::default(),
        }
    }
}

impl Modifiers {
    /// Adds the modifier `name`. `None` if it is not one.
    fn add(&mut self, name: &str, rest: &str) -> Option<Result<(), Wrong>> {
        let added = match name {
            "gate" | "until" if rest.is_empty() => Err(Wrong::form(name, "NAME")),
            "gate" => {
                self.before.push(Pause::Gate(rest.to_owned()));
                Ok(())
            }
            "sleep" => seconds(rest)
                .map(|time| self.before.push(Pause::Sleep(time)))
                .ok_or_else(|| Wrong::form(name, "SECONDS")),
            "usage" => two_numbers(rest)
                .map(|usage| self.usage = Some(usage))
                .ok_or_else(|| Wrong::form(name, "IN OUT")),
            "until" => {
                self.until = Some(rest.to_owned());
                Ok(())
            }
            "finish" if rest.is_empty() => Err(Wrong::form(name, "REASON")),
            "finish" => {
                self.finish = Some(rest.to_owned());
                Ok(())
            }
            _ => return None,
        };
        Some(added)
    }

    fn then(mut self, later: Self) -> Self {
        self.before.extend(later.before);
        Self {
            before: self.before,
            usage: later.usage.or(self.usage),
            finish: later.finish.or(self.finish),
            until: later.until.or(self.until),
        }
    }
}

fn directive(name: &str, rest: &str) -> Result<Directive, Wrong> {
    let fail = |failure| {
        let times = Some(rest).filter(|rest| !rest.is_empty()).map(str::parse).transpose();
        let times = times.map_err(|_| Wrong::form(name, "[TIMES]"))?;
        Ok(Directive::Fail { failure, times })
    };
    match name {
        "say" => Ok(Directive::Say(unescaped(rest))),
        "think" => Ok(Directive::Think(unescaped(rest))),
        "echo" => Ok(Directive::Echo),
        "history" => Ok(Directive::History),
        "unfinished" => Ok(Directive::Unfinished),
        "stream" => two_numbers(rest)
            .map(|(words, ms)| Directive::Stream { words, every: Duration::from_millis(ms) })
            .ok_or_else(|| Wrong::form(name, "N MS")),
        "flood" => rest
            .parse()
            .map(|bytes| Directive::Flood { bytes })
            .map_err(|_| Wrong::form(name, "BYTES")),
        "http" => http(rest).ok_or_else(|| Wrong::form(name, "CODE [TIMES [RETRY_AFTER]]")),
        "hang" => fail(Failure::Hang),
        "hangmid" => fail(Failure::HangMid),
        "reset" => fail(Failure::Reset),
        "cut" => fail(Failure::Cut),
        "garbage" => fail(Failure::Garbage),
        "tool" => Ok(Directive::Call { lead: String::new(), calls: vec![Call::raw(rest)?] }),
        _ => match Call::convenience(name, rest) {
            Some(call) => Ok(Directive::Call { lead: String::new(), calls: vec![call?] }),
            None => Err(Wrong(format!("there is no directive `{name}`"))),
        },
    }
}

/// Reads what follows `also`: a convenience, or `[tool] NAME JSON`.
fn call(rest: &str) -> Result<Call, Wrong> {
    let (name, arguments) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let arguments = arguments.trim();
    if name == "tool" {
        return Call::raw(arguments);
    }
    match Call::convenience(name, arguments) {
        Some(call) if !arguments.starts_with('{') => call,
        _ => Call::raw(rest),
    }
}

fn http(rest: &str) -> Option<Directive> {
    let mut words = rest.split_whitespace();
    let status = words.next()?.parse().ok().filter(|status| (400..600).contains(status))?;
    let times = words.next().map(str::parse).transpose().ok()?;
    let retry_after = words.next().map(str::to_owned);
    Some(Directive::Fail { failure: Failure::Http { status, retry_after }, times })
}

fn two_numbers<A: std::str::FromStr, B: std::str::FromStr>(rest: &str) -> Option<(A, B)> {
    let (first, second) = rest.split_once(char::is_whitespace)?;
    Some((first.parse().ok()?, second.trim().parse().ok()?))
}

fn seconds(rest: &str) -> Option<Duration> {
    rest.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

/// What follows the marker on this line, free of the quotation marks around it.
fn marked(line: &str) -> Option<String> {
    let start = line.trim_start_matches(|c: char| c.is_whitespace() || "\"'`>*-".contains(c));
    let script = start.strip_prefix(MARKER)?.trim();
    let before = &line[..line.len() - start.len()];
    match before.chars().next_back() {
        // An argument that was quoted on its way here has its own quotation marks escaped.
        Some('"') => Some(script.strip_suffix('"').unwrap_or(script).replace("\\\"", "\"")),
        Some(quote @ ('\'' | '`')) => Some(script.strip_suffix(quote).unwrap_or(script).to_owned()),
        _ => Some(script.to_owned()),
    }
}

/// Splits a line at ` ;; `, and takes one semicolon from each longer run.
fn split(line: &str) -> Vec<String> {
    format!(" {line} ")
        .split(" ;; ")
        .map(|directive| shortened(directive.trim()))
        .filter(|directive| !directive.is_empty())
        .collect()
}

fn shortened(directive: &str) -> String {
    let mut text = String::with_capacity(directive.len());
    let mut run = 0;
    for c in directive.chars() {
        run = if c == ';' { run + 1 } else { 0 };
        if run != 3 {
            text.push(c);
        }
    }
    text
}

/// The text with `\n`, `\t` and `\\` read as a newline, a tab and a backslash.
pub(super) fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, chars.as_str().chars().next()) {
            ('\\', Some(escaped @ ('n' | 't' | '\\'))) => {
                chars.next();
                plain.push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    other => other,
                });
            }
            _ => plain.push(c),
        }
    }
    plain
}
