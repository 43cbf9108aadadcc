//! `kugetsu init`: the directory, the base session and the PM's.

use kugetsu_core::{Session, SessionKind, SessionQuery, SlotKey, SlotPool};
use kugetsu_queue::line::Base;
use serde_json::json;

use super::{destroy, foreground, import};
use crate::args::{Import, Init};
use crate::errors::{CliError, Kind, worker};
use crate::paths;
use crate::screen::{Tone, escape};
use crate::servers::Servers;
use crate::settings;
use crate::setup::Setup;

const DEFAULT_ENV: &str = "\
# Variables for all agents, one a line: export NAME=\"value\"
";
const PM_ENV: &str = "\
# Variables for the PM agent, over those of default.env, one a line: export NAME=\"value\"
";

pub(super) async fn init(args: Init, setup: &Setup) -> Result<(), CliError> {
    let (screen, paths) = (setup.screen(), setup.paths()?);
    let here = screen.path(paths.root());
    if !args.force && paths.are_made() && is_initialised(setup).await? {
        return Err(CliError::failed(format!("kugetsu is initialised already in {here}"))
            .hint("`kugetsu init --force` replaces the base and PM sessions"));
    }
    if !screen.json {
        screen.remark("Making the base session and the PM's.");
    }
    let Base { base, pm, .. } = make(setup, args.force).await?;
    let id = |session: &Session| session.agent_session.as_ref().map(ToString::to_string);
    if screen.json {
        let directory = paths.root();
        return screen.answer(&json!({ "directory": directory, "base": id(&base), "pm": id(&pm) }));
    }
    let shown = |session| id(session).unwrap_or_else(|| "made when it first runs".into());
    screen.say(screen.painted(Tone::Strong, &format!("Initialised kugetsu in {here}")))?;
    screen.say(format!("  base session  {}", shown(&base)))?;
    screen.say(format!("  PM session    {}", shown(&pm)))?;
    if let Some(left_out) = setup.settings()?.left_out(&screen.path(&paths.flat_config())) {
        screen.remark(format!("warning: {}", escape::line(&left_out)));
    }
    screen.remark("hint: have an agent work on an issue with `kugetsu start <issue> <message>`");
    offer_import(setup).await
}

/// Says that a bash version was at work here, and takes over what it has left if somebody says yes.
async fn offer_import(setup: &Setup) -> Result<(), CliError> {
    let Some(dir) = import::find(setup) else { return Ok(()) };
    let screen = setup.screen();
    let shown = screen.path(&dir);
    let question =
        format!("A bash version of kugetsu was at work in {shown}. Take its issues over?");
    if screen.can_ask() && screen.confirm(&question)? {
        return import::import(Import { dir: Some(dir), dry_run: false }, setup).await;
    }
    screen.remark(format!(
        "hint: a bash version of kugetsu was at work in {shown}; `kugetsu import {shown}` takes its \
         issues over, and with `--dry-run` says what it would do"
    ));
    Ok(())
}

/// Makes what is missing, and the sessions `anew` if that is wanted.
pub(super) async fn make(setup: &Setup, anew: bool) -> Result<Base, CliError> {
    let paths = setup.paths()?;
    paths.make()?;
    paths::write_new(&paths.config(), &settings::commented())?;
    paths::write_new(&paths.servers(), &Servers::seeded().text()?)?;
    paths::write_new(&paths.env().join("default.env"), DEFAULT_ENV)?;
    paths::write_new(&paths.env().join("pm-agent.env"), PM_ENV)?;
    // Whoever holds the PM's slot uses its session; and of two who initialise at once, one does.
    let pool = setup.slots()?;
    let Some(_slot) = pool.try_acquire(&SlotKey::Pm, "kugetsu init").await? else {
        let holder = pool.holders(&SlotKey::Pm).await?.pop();
        let who = holder.as_ref().map(|holder| format!(": {}", worker(holder)));
        let message = format!("the PM is in use{}", who.unwrap_or_default());
        return Err(CliError::new(Kind::InUse, message).hint("try again when it has ended"));
    };
    if anew {
        for session in setup.stores().await?.sessions.find(&SessionQuery::all()).await? {
            if !matches!(session.kind, SessionKind::Dev(_)) {
                destroy::forget(setup, session).await?;
            }
        }
    }
    match setup.engine_of_one().await?.init().await {
        Ok(base) => Ok(base),
        Err(failure) => Err(foreground::explained(setup, failure).await),
    }
}

async fn is_initialised(setup: &Setup) -> Result<bool, CliError> {
    Ok(setup.session(SessionKind::Base).await?.is_some()
        && setup.session(SessionKind::Pm).await?.is_some())
}
