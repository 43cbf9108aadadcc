//! `kugetsu server`: the git servers.

use serde_json::{Value, json};

use crate::args::{AddServer, Server as What};
use crate::errors::CliError;
use crate::forges::{self, Tokens};
use crate::screen::table::Rows;
use crate::servers::{self, Address, FALLBACK, Name, Server, Servers, TokenVariable};
use crate::settings::Origin;
use crate::setup::Setup;

pub(super) async fn server(what: What, setup: &Setup) -> Result<(), CliError> {
    match what {
        What::List => list(setup),
        What::Get { name } => get(name.as_deref(), setup),
        What::Default { name: None } => tell_default(setup),
        What::Default { name: Some(name) } => make_default(&name, setup),
        What::Add(args) => add(args, setup).await,
        What::Remove { name } => remove(&name, setup),
    }
}

fn list(setup: &Setup) -> Result<(), CliError> {
    let (screen, servers) = (setup.screen(), setup.settings()?.servers());
    let (tokens, default) = (Tokens::read(setup)?, default_name(setup)?);
    if screen.json {
        let all: Vec<Value> = servers
            .iter()
            .map(|(name, server)| {
                let mut told = told(name, server);
                told["default"] = json!(default.as_deref() == Some(name.as_str()));
                told["token"] = json!(variable(&tokens, servers, server).map(|(name, _)| name));
                told["token_is_set"] = json!(tokens.of(servers, server).is_some());
                told
            })
            .collect();
        return screen.answer(&json!({ "servers": all }));
    }
    let mut rows = Rows::new(["", "NAME", "ADDRESS", "KIND", "TOKEN"]);
    for (name, server) in servers.iter() {
        let star = if default.as_deref() == Some(name.as_str()) { "*" } else { " " };
        let token = match variable(&tokens, servers, server) {
            Some((name, true)) => name.to_owned(),
            Some((name, false)) => format!("{name} (not set)"),
            None => "-".into(),
        };
        let kind = server.kind().map_or("-", |kind| kind.name()).to_owned();
        rows.row([star.into(), name.to_string(), server.url.to_string(), kind, token]);
    }
    rows.show(screen)?;
    if default.is_none() {
        let host = setup.settings()?.default_server().unwrap_or(FALLBACK);
        screen.remark(format!("The default server is {host}, which is not on the list."));
    }
    Ok(())
}

/// The variable of a server's token, and whether it is set.
fn variable<'a>(
    tokens: &Tokens<'_>,
    servers: &Servers,
    server: &'a Server,
) -> Option<(&'a str, bool)> {
    let variables = forges::token_variables(servers, server);
    let set = variables.iter().copied().find(|name| tokens.has(name));
    set.map(|name| (name, true)).or_else(|| variables.first().map(|name| (*name, false)))
}

fn told(name: &Name, server: &Server) -> Value {
    json!({
        "name": name,
        "url": server.url,
        "host": servers::host_of(name, server),
        "kind": server.kind(),
    })
}

/// The name of the default server, if it is on the list.
fn default_name(setup: &Setup) -> Result<Option<String>, CliError> {
    let settings = setup.settings()?;
    let named = settings.get("default_server").unwrap_or(FALLBACK);
    Ok(settings.servers().of(named).map(|(name, _)| name.to_string()))
}

fn get(name: Option<&str>, setup: &Setup) -> Result<(), CliError> {
    let (screen, settings) = (setup.screen(), setup.settings()?);
    let default = settings.get("default_server").unwrap_or(FALLBACK);
    let found = match name {
        // What is not on the list is its own address.
        None if settings.servers().of(default).is_none() => {
            let url = format!("https://{}", settings.default_server().unwrap_or(FALLBACK));
            if screen.json {
                return screen.answer(
                    &json!({ "name": default, "url": url, "host": default, "kind": null }),
                );
            }
            return screen.say(url);
        }
        name => settings.servers().named(name.unwrap_or(default))?,
    };
    if screen.json {
        return screen.answer(&told(found.0, found.1));
    }
    screen.say(found.1.url.as_str())
}

fn tell_default(setup: &Setup) -> Result<(), CliError> {
    let (screen, settings) = (setup.screen(), setup.settings()?);
    let named = settings.get("default_server").unwrap_or(FALLBACK);
    let host = settings.default_server().unwrap_or(named);
    let name = default_name(setup)?.unwrap_or_else(|| named.to_owned());
    if screen.json {
        let from = settings.origin("default_server").map(ToString::to_string);
        return screen.answer(&json!({ "default": name, "host": host, "from": from }));
    }
    screen.say(name)?;
    remark_override(setup, settings.servers())
}

fn make_default(name: &str, setup: &Setup) -> Result<(), CliError> {
    setup.must_be_made()?;
    let screen = setup.screen();
    let (name, servers) = Servers::change(&setup.paths()?.servers(), |servers| {
        let name = servers.named(name)?.0.clone();
        servers.make_default(name.clone());
        Ok((name, servers.clone()))
    })?;
    if screen.json {
        let overridden = overriding(setup)?.map(|(_, from)| from);
        return screen.answer(&json!({ "default": name, "overridden_by": overridden }));
    }
    let host = servers.host(name.as_str()).unwrap_or(name.as_str());
    screen.say(match overriding(setup)? {
        None => format!("References without a server, such as acme/widgets#42, mean {host} now"),
        Some(_) => format!("Made {name} the default server"),
    })?;
    remark_override(setup, &servers)
}

/// The value of the setting that comes before what is kept here, and where it was set.
fn overriding(setup: &Setup) -> Result<Option<(String, String)>, CliError> {
    let settings = setup.settings()?;
    let kept = setup.paths()?.servers();
    Ok(match settings.origin("default_server") {
        None | Some(Origin::Default) => None,
        Some(Origin::File { path, .. }) if *path == kept => None,
        Some(origin) => {
            settings.get("default_server").map(|value| (value.to_owned(), origin.to_string()))
        }
    })
}

fn remark_override(setup: &Setup, servers: &Servers) -> Result<(), CliError> {
    let Some((value, from)) = overriding(setup)? else { return Ok(()) };
    let kept = servers.chosen().map_or("none".to_owned(), ToString::to_string);
    setup.screen().remark(format!(
        "The setting `default_server` says {value} ({from}) and comes before `kugetsu server default`, \
         which says {kept}."
    ));
    Ok(())
}

async fn add(args: AddServer, setup: &Setup) -> Result<(), CliError> {
    setup.must_be_made()?;
    let (name, address): (Name, Address) =
        (args.name.parse().map_err(CliError::usage)?, args.url.parse().map_err(CliError::usage)?);
    let token: Option<TokenVariable> = args
        .token
        .map(|text| text.parse().map_err(|why| CliError::usage(format!("--token: {why}"))))
        .transpose()?;
    let file = setup.paths()?.servers();
    let mut server = Server::new(address);
    // What was said of another address does not hold of this one: a token least of all.
    let before = Servers::read(&file)?;
    if let Some((_, old)) =
        before.iter().find(|(old, server_)| **old == name && server_.url == server.url)
    {
        server = old.clone();
    }
    server.kind = args.kind.or(server.kind);
    server.token = token.or(server.token);
    // Nobody is asked for what is refused.
    before.clone().add(name.clone(), server.clone())?;
    if server.kind().is_none() {
        server.kind = forges::detect(&server).await?;
    }
    let (replaced, servers) = Servers::change(&file, |servers| {
        let replaced = servers.add(name.clone(), server.clone())?;
        Ok((replaced.is_some(), servers.clone()))
    })?;
    let screen = setup.screen();
    if screen.json {
        let mut told = told(&name, &server);
        told["changed"] = json!(replaced);
        return screen.answer(&told);
    }
    let did = if replaced { "Changed" } else { "Added" };
    let kind = server.kind().map_or(String::new(), |kind| format!(" ({})", kind.name()));
    screen.say(format!("{did} {name}: {}{kind}", server.url))?;
    if server.kind().is_none() {
        screen.remark(
            "What speaks there could not be found out, so issues and pull requests are not read there; \
             say it with `--kind github|gitea|gitlab`.",
        );
    } else if forges::token_variables(&servers, &server).is_empty() {
        screen.remark(
            "hint: `--token VARIABLE` says which variable of the env files holds the token for it",
        );
    }
    Ok(())
}

fn remove(name: &str, setup: &Setup) -> Result<(), CliError> {
    setup.must_be_made()?;
    let (screen, default) = (setup.screen(), default_name(setup)?);
    let (name, last) = Servers::change(&setup.paths()?.servers(), |servers| {
        let name = servers.named(name)?.0.clone();
        if default.as_deref() == Some(name.as_str()) && servers.count() > 1 {
            return Err(CliError::failed(format!("{name} is the default server"))
                .hint("make another one that first: `kugetsu server default <name>`"));
        }
        servers.remove(&name);
        Ok((name, servers.count() == 0))
    })?;
    if screen.json {
        return screen.answer(&json!({ "removed": name }));
    }
    screen.say(format!("Removed {name}"))?;
    if last {
        screen.remark(format!(
            "It was the last one: references without a server mean {FALLBACK} unless a setting says \
             otherwise, and each host is its own address."
        ));
    }
    Ok(())
}
