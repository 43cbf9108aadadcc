//! The tables `[notify.NAME]`: where notices are brought, besides the inbox.

use std::collections::BTreeMap;

use kugetsu_core::{NoticeKind, Severity};
use kugetsu_notify::{ChatId, Route};
use toml::Spanned;
use toml::de::DeValue;

use crate::errors::CliError;

/// All kinds of notices.
const KINDS: [NoticeKind; 6] = [
    NoticeKind::TaskQueued,
    NoticeKind::TaskDequeued,
    NoticeKind::TaskStarted,
    NoticeKind::TaskCompleted,
    NoticeKind::TaskError,
    NoticeKind::TaskBlocked,
];

const SEVERITIES: [(&str, Severity); 3] =
    [("info", Severity::Info), ("warning", Severity::Warning), ("error", Severity::Error)];

/// The name of the sink that is always there.
pub(crate) const INBOX: &str = "inbox";

/// How `config.toml` shows a sink, commented out.
pub(super) const EXAMPLE: &str = "
# Where notices are brought besides `kugetsu notify list`; as many tables as you like, by name.
# Secrets stay in env/default.env or in the environment: here stand the names of their variables.
#
# [notify.desk]
# kind = \"command\"                     # gets each notice as a line of JSON on its standard input
# program = [\"/usr/local/bin/tell-me\", \"--now\"]
# types = [\"task_error\", \"task_blocked\"]
#
# [notify.team]
# kind = \"webhook\"                     # signed as https://www.standardwebhooks.com describes it
# url = \"https://example.com/kugetsu\"
# secret_env = \"TEAM_SECRET\"           # whsec_...
# severity = \"warning\"                 # and above
#
# [notify.phone]
# kind = \"telegram\"                    # these chats may also ask and delegate: /help
# token_env = \"TELEGRAM_TOKEN\"
# chats = [123456789]
";

/// A sink as the settings describe it.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    pub(crate) name: String,
    pub(crate) target: Target,
    pub(crate) route: Route,
}

impl Sink {
    /// The variable in which its secret is, if it has one. No agent needs it.
    pub(crate) fn variable(&self) -> Option<&str> {
        match &self.target {
            Target::Command { .. } => None,
            Target::Webhook { secret, .. } => Some(&secret.text),
            Target::Telegram { token, .. } => Some(&token.text),
        }
    }
}

/// Where a sink's notices go.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Command { program: Vec<String> },
    Webhook { url: Text, secret: Text, insecure: bool },
    Telegram { token: Text, chats: Vec<ChatId>, server: Option<Text> },
}

impl Target {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Command { .. } => "command",
            Self::Webhook { .. } => "webhook",
            Self::Telegram { .. } => "telegram",
        }
    }
}

/// A text with where it stands, for what turns out to be wrong with it later.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) text: String,
    at: String,
}

impl Text {
    /// What is wrong with it.
    pub(crate) fn wrong(&self, why: impl std::fmt::Display) -> CliError {
        CliError::config(format!("{}: {why}", self.at))
    }
}

/// Reads the value of `notify`. `at` says where an offset is.
pub(super) fn read(
    value: Spanned<DeValue<'_>>,
    at: &dyn Fn(usize) -> String,
) -> Result<Vec<Sink>, CliError> {
    let offset = value.span().start;
    let DeValue::Table(sinks) = value.into_inner() else {
        let why = "it has to be a table for each sink, such as [notify.phone]";
        return Err(CliError::config(format!("{}: notify: {why}", at(offset))));
    };
    sinks
        .into_iter()
        .map(|(name, value)| {
            let place = at(name.span().start);
            let name = name.into_inner().into_owned();
            sink(&name, &place, value, at)
        })
        .collect()
}

fn sink(
    name: &str,
    place: &str,
    value: Spanned<DeValue<'_>>,
    at: &dyn Fn(usize) -> String,
) -> Result<Sink, CliError> {
    let wrong = |why: &str| CliError::config(format!("{place}: notify.{name}: {why}"));
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 40 || !name.chars().all(is_name) {
        return Err(wrong("a name has up to 40 letters, digits, - and _"));
    }
    if name == INBOX {
        return Err(wrong("that is the name of the sink behind `kugetsu notify list`"));
    }
    let DeValue::Table(table) = value.into_inner() else {
        return Err(wrong("it has to be a table"));
    };
    let values = table.into_iter().map(|(key, value)| (key.into_inner().into_owned(), value));
    let mut fields = Fields { name, place, at, values: values.collect() };
    let kind = fields.needed("kind")?;
    let own: &[&str] = match kind.text.as_str() {
        "command" => &["program"],
        "webhook" => &["url", "secret_env", "insecure"],
        "telegram" => &["token_env", "chats", "server"],
        other => {
            let why = format!("{other:?} is none of command, webhook, telegram");
            return Err(kind.wrong(why));
        }
    };
    fields.only(&kind.text, own)?;
    let target = match kind.text.as_str() {
        "command" => Target::Command { program: fields.program()? },
        "webhook" => Target::Webhook {
            url: fields.needed("url")?,
            secret: fields.variable("secret_env")?,
            insecure: fields.flag("insecure")?,
        },
        _ => Target::Telegram {
            token: fields.variable("token_env")?,
            chats: fields.chats()?,
            server: fields.text("server")?,
        },
    };
    let route = fields.route()?;
    Ok(Sink { name: name.to_owned(), target, route })
}

/// The values of a table, which are taken out one by one.
struct Fields<'a> {
    name: &'a str,
    place: &'a str,
    at: &'a dyn Fn(usize) -> String,
    values: BTreeMap<String, Spanned<DeValue<'a>>>,
}

impl<'a> Fields<'a> {
    /// The value with the words that name it in an error.
    fn take(&mut self, key: &str) -> Option<(String, DeValue<'a>)> {
        let value = self.values.remove(key)?;
        let at = (self.at)(value.span().start);
        Some((format!("{at}: notify.{}.{key}", self.name), value.into_inner()))
    }

    fn text(&mut self, key: &str) -> Result<Option<Text>, CliError> {
        let Some((at, value)) = self.take(key) else { return Ok(None) };
        let text = text(&at, &value)?;
        Ok(Some(Text { text, at }))
    }

    fn needed(&mut self, key: &str) -> Result<Text, CliError> {
        self.text(key)?.ok_or_else(|| self.missing(key))
    }

    /// The name of a variable. What is none may be the secret itself, and is not repeated.
    fn variable(&mut self, key: &str) -> Result<Text, CliError> {
        let name = self.needed(key)?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let begins = name.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if begins && name.text.chars().all(is_name) {
            return Ok(name);
        }
        Err(name.wrong("it has to be the name of a variable, not the secret itself"))
    }

    fn flag(&mut self, key: &str) -> Result<bool, CliError> {
        match self.take(key) {
            None => Ok(false),
            Some((_, DeValue::Boolean(flag))) => Ok(flag),
            Some((at, _)) => Err(CliError::config(format!("{at}: it has to be true or false"))),
        }
    }

    fn program(&mut self) -> Result<Vec<String>, CliError> {
        let program = self.list("program", text)?.ok_or_else(|| self.missing("program"))?;
        if program.is_empty() { Err(self.missing("program")) } else { Ok(program) }
    }

    fn chats(&mut self) -> Result<Vec<ChatId>, CliError> {
        let chat = |at: &str, value: &DeValue<'_>| {
            let number = value.as_integer().filter(|number| number.radix() == 10);
            let number = number.and_then(|number| number.as_str().replace('_', "").parse().ok());
            let why = "a chat is a number, such as 123456789; names can be taken by anybody";
            number.map(ChatId).ok_or_else(|| CliError::config(format!("{at}: {why}")))
        };
        let chats = self.list("chats", chat)?.ok_or_else(|| self.missing("chats"))?;
        if chats.is_empty() { Err(self.missing("chats")) } else { Ok(chats) }
    }

    fn route(&mut self) -> Result<Route, CliError> {
        let kind = |at: &str, value: &DeValue<'_>| {
            let name = text(at, value)?;
            KINDS.into_iter().find(|kind| kind.to_string() == name).ok_or_else(|| {
                let all = KINDS.map(|kind| kind.to_string()).join(", ");
                CliError::config(format!("{at}: {name:?} is none of {all}"))
            })
        };
        let mut route = Route::all();
        if let Some(kinds) = self.list("types", kind)? {
            route = route.with_kinds(kinds);
        }
        if let Some(least) = self.text("severity")? {
            let found = SEVERITIES.into_iter().find(|(name, _)| *name == least.text);
            let Some((_, severity)) = found else {
                let all = SEVERITIES.map(|(name, _)| name).join(", ");
                return Err(least.wrong(format!("{:?} is none of {all}", least.text)));
            };
            route = route.with_severity(severity);
        }
        Ok(route)
    }

    fn list<T>(
        &mut self,
        key: &str,
        read: impl Fn(&str, &DeValue<'_>) -> Result<T, CliError>,
    ) -> Result<Option<Vec<T>>, CliError> {
        let Some((at, value)) = self.take(key) else { return Ok(None) };
        let DeValue::Array(values) = value else {
            return Err(CliError::config(format!("{at}: it has to be a list: [ ... ]")));
        };
        values.iter().map(|value| read(&at, value.get_ref())).collect::<Result<_, _>>().map(Some)
    }

    fn missing(&self, key: &str) -> CliError {
        CliError::config(format!("{}: notify.{}: `{key}` is missing", self.place, self.name))
    }

    /// Refuses what a sink of this kind does not have.
    fn only(&self, kind: &str, own: &[&str]) -> Result<(), CliError> {
        let all = [&["types", "severity"], own].concat();
        let strange = self.values.iter().find(|(key, _)| !all.contains(&key.as_str()));
        let Some((key, value)) = strange else { return Ok(()) };
        let at = (self.at)(value.span().start);
        let why = format!("{at}: notify.{}: a {kind} has no `{key}`", self.name);
        Err(CliError::config(why).hint(format!("it has kind, {}", all.join(", "))))
    }
}

/// A text that is not empty and holds nothing that acts on a terminal.
pub(super) fn text(at: &str, value: &DeValue<'_>) -> Result<String, CliError> {
    let wrong = |why: &str| CliError::config(format!("{at}: {why}"));
    match value.as_str().map(str::trim) {
        None => Err(wrong("it has to be a text")),
        Some("") => Err(wrong("it is empty")),
        Some(text) if text.chars().any(char::is_control) => {
            Err(wrong("it has a control character in it"))
        }
        Some(text) => Ok(text.to_owned()),
    }
}
