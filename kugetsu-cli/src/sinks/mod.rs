//! The sinks that the settings describe, put together.

mod chat;
mod listen;
mod words;

use std::sync::Arc;

use kugetsu_core::{Chance as _, MemoStore, Notifier, NotifyError};
use kugetsu_notify::{
    Bot, CommandNotifier, Routed, Secret, SigningKey, TelegramNotifier, WebhookNotifier,
};
use kugetsu_queue::SystemChance;

use crate::env_files::Variables;
use crate::errors::CliError;
use crate::settings::{Sink, Target, Text};
use crate::setup::{self, Setup};

use chat::Chat;
pub(crate) use listen::Listener;

/// The memo in which this installation's own id is.
const INSTALLATION: &str = "installation";

/// A sink that can be brought notices.
pub(crate) struct Opened {
    /// Takes whatever it is brought.
    pub(crate) bare: Arc<dyn Notifier>,
    /// Takes what its settings let through, and is done with the rest.
    pub(crate) routed: Arc<dyn Notifier>,
    /// The bot, if one can ask it something.
    pub(crate) bot: Option<Bot>,
}

/// Puts together what the settings describe, secrets included.
pub(crate) async fn open(sink: &Sink, setup: &Setup) -> Result<Opened, CliError> {
    let name = sink.name.clone();
    let bare: Arc<dyn Notifier> = match &sink.target {
        Target::Command { program } => {
            let (program, arguments) = program.split_first().ok_or_else(CliError::silent)?;
            Arc::new(CommandNotifier::new(name, program).with_arguments(arguments))
        }
        Target::Webhook { url, secret, insecure } => {
            let key = SigningKey::parse(&found(secret, setup)?)
                .map_err(|error| secret.wrong(format!("{}: {error}", secret.text)))?;
            let installation = installation(&*setup.stores().await?.memos).await?;
            let make = if *insecure { WebhookNotifier::insecure } else { WebhookNotifier::new };
            let clock = Arc::new(setup::clock()?);
            let hook = make(name, &url.text, key, installation, clock);
            Arc::new(hook.map_err(|error| url.wrong(error))?)
        }
        Target::Telegram { token, chats, server } => {
            let secret = found(token, setup)?;
            let bot = match server {
                Some(server) => {
                    Bot::at(&server.text, secret).map_err(|error| server.wrong(error))?
                }
                None => Bot::new(secret).map_err(|error| token.wrong(error))?,
            };
            let telegram = Arc::new(TelegramNotifier::new(name, bot.clone(), chats.clone()));
            let memos = Arc::clone(&setup.stores().await?.memos);
            let routed = Chat::new(Arc::clone(&telegram), sink.route.clone(), memos);
            return Ok(Opened { bare: telegram, routed: Arc::new(routed), bot: Some(bot) });
        }
    };
    let routed = Arc::new(Routed::new(Arc::clone(&bare), sink.route.clone()));
    Ok(Opened { bare, routed, bot: None })
}

/// The secret that a setting names: a variable of the environment, or of `env/default.env`.
fn found(name: &Text, setup: &Setup) -> Result<Secret, CliError> {
    if let Some(value) = setup.around().variable(&name.text).filter(|value| !value.is_empty()) {
        let value = value
            .to_str()
            .ok_or_else(|| name.wrong(format!("the variable {} is not UTF-8", name.text)))?;
        return Ok(Secret::new(value));
    }
    let paths = setup.paths()?;
    let variables = Variables::read(paths, None)?;
    if let Some(value) = variables.get(&name.text).filter(|value| !value.is_empty()) {
        return Ok(Secret::new(value));
    }
    let file = setup.screen().path(&paths.env().join("default.env"));
    let hint = format!("write the secret into {file}: export {}=\"...\"", name.text);
    Err(name.wrong(format!("the variable {} is not set", name.text)).hint(hint))
}

/// This installation's own id, made when it is first needed, so that a receiver can tell apart the
/// notices of two installations.
async fn installation(memos: &dyn MemoStore) -> Result<String, CliError> {
    if let Some(id) = memos.memo(INSTALLATION).await? {
        return Ok(id);
    }
    let id = uuid::Builder::from_random_bytes(SystemChance.bytes()).into_uuid().to_string();
    memos.set_memo(INSTALLATION, Some(&id)).await?;
    Ok(id)
}

impl From<NotifyError> for CliError {
    fn from(error: NotifyError) -> Self {
        Self::backend(error.retry(), &error)
    }
}
