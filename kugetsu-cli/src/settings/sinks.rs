//! The tables `[notify.NAME]`: where notices are brought, besides the inbox.

use kugetsu_core::{NoticeKind, Severity};
use kugetsu_notify::{ChatId, Route};
use toml::Spanned;
use toml::de::DeValue;

use super::fields::{self, Fields, Text};
use crate::errors::CliError;

/// All kinds of notices.
const KINDS: [NoticeKind; 7] = [
    NoticeKind::TaskQueued,
    NoticeKind::TaskDequeued,
    NoticeKind::TaskStarted,
    NoticeKind::TaskCompleted,
    NoticeKind::TaskError,
    NoticeKind::TaskBlocked,
    NoticeKind::QueueHeld,
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

/// Reads the value of `notify`. `at` says where an offset is.
pub(super) fn read(
    value: Spanned<DeValue<'_>>,
    at: &dyn Fn(usize) -> String,
) -> Result<Vec<Sink>, CliError> {
    fields::tables("notify", value, at, sink)
}

/// The variables that a text names as those of secrets, be it TOML or not.
pub(super) fn variables_told(text: &str) -> Vec<String> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let told = text.split("_env").skip(1).filter_map(|behind| {
        let behind = behind.trim_start().strip_prefix('=')?.trim_start();
        let name = behind.trim_start_matches(['"', '\'']);
        let end = name.find(|c| !is_of_name(c)).unwrap_or(name.len());
        Some(name[..end].to_owned()).filter(|name| !name.is_empty())
    });
    told.collect()
}

fn sink(name: &str, mut fields: Fields<'_>) -> Result<Sink, CliError> {
    if name == INBOX {
        return Err(fields.wrong("that is the name of the sink behind `kugetsu notify list`"));
    }
    let kind = fields.needed("kind")?;
    let own: &[&str] = match kind.text.as_str() {
        "command" => &["kind", "types", "severity", "program"],
        "webhook" => &["kind", "types", "severity", "url", "secret_env", "insecure"],
        "telegram" => &["kind", "types", "severity", "token_env", "chats", "server"],
        other => {
            let why = format!("{other:?} is none of command, webhook, telegram");
            return Err(kind.wrong(why));
        }
    };
    fields.only(&format!("a {}", kind.text), own)?;
    let target = match kind.text.as_str() {
        "command" => Target::Command { program: fields.program()? },
        "webhook" => Target::Webhook {
            url: fields.needed("url")?,
            secret: fields.variable("secret_env")?,
            insecure: fields.flag("insecure")?,
        },
        _ => Target::Telegram {
            token: fields.variable("token_env")?,
            chats: chats(&mut fields)?,
            server: fields.text("server")?,
        },
    };
    let route = route(&mut fields)?;
    Ok(Sink { name: name.to_owned(), target, route })
}

fn chats(fields: &mut Fields<'_>) -> Result<Vec<ChatId>, CliError> {
    let chat = |at: &str, value: &DeValue<'_>| {
        let number = value.as_integer().filter(|number| number.radix() == 10);
        let number = number.and_then(|number| number.as_str().replace('_', "").parse().ok());
        let why = "a chat is a number, such as 123456789; names can be taken by anybody";
        number.map(ChatId).ok_or_else(|| CliError::config(format!("{at}: {why}")))
    };
    let chats = fields.list("chats", chat)?.ok_or_else(|| fields.missing("chats"))?;
    if chats.is_empty() { Err(fields.missing("chats")) } else { Ok(chats) }
}

fn route(fields: &mut Fields<'_>) -> Result<Route, CliError> {
    let kind = |at: &str, value: &DeValue<'_>| {
        let name = fields::text(at, value)?;
        KINDS.into_iter().find(|kind| kind.to_string() == name).ok_or_else(|| {
            let all = KINDS.map(|kind| kind.to_string()).join(", ");
            CliError::config(format!("{at}: {name:?} is none of {all}"))
        })
    };
    let mut route = Route::all();
    if let Some(kinds) = fields.list("types", kind)? {
        route = route.with_kinds(kinds);
    }
    if let Some(least) = fields.text("severity")? {
        let found = SEVERITIES.into_iter().find(|(name, _)| *name == least.text);
        let Some((_, severity)) = found else {
            let all = SEVERITIES.map(|(name, _)| name).join(", ");
            return Err(least.wrong(format!("{:?} is none of {all}", least.text)));
        };
        route = route.with_severity(severity);
    }
    Ok(route)
}
