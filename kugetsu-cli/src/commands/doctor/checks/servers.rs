//! The git servers: whether they answer, and whether there are tokens for them. Nothing is asked of
//! them but a connection, and no token is shown to anybody.

use std::collections::BTreeSet;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use kugetsu_core::{SessionKind, SessionQuery};

use super::super::bounded::{NoAnswer, aside};
use super::super::finding::{Finding, NO_TOKEN, SERVERS, TOKEN_UNSET, UNREACHABLE};
use super::{Examination, Found};
use crate::errors::CliError;
use crate::forges::{Tokens, token_variables};
use crate::screen::escape;
use crate::servers::Servers;
use crate::settings::Origin;

/// How long a server may take, its name's resolution included.
const PATIENCE: Duration = Duration::from_secs(8);

/// How long one of its addresses may take.
const CONNECT: Duration = Duration::from_secs(3);

/// The server that every list begins with: it matters only to those who have issues on it.
const SEEDED: &str = "github.com";

pub(in super::super) async fn check(of: &Examination<'_>) -> Found {
    let servers = match Servers::read(&of.setup.paths()?.servers()) {
        Ok(servers) => servers,
        Err(error) => {
            let mend = error.advice().unwrap_or("mend it, or move it away to begin again");
            return Ok(vec![Finding::new(SERVERS, error.message(), mend)]);
        }
    };
    let mut used = hosts(of).await;
    let default = chosen(of)?;
    used.extend(default.clone());
    let unlisted = default.filter(|host| servers.of(host).is_none());
    let unlisted = unlisted.map(|host| (format!("https://{host}"), host));
    let mut found = tokens(of, &servers, &used);
    let listed = servers.iter().map(|(name, server)| (server.url.to_string(), name.to_string()));
    let mut asked = tokio::task::JoinSet::new();
    for (url, name) in listed.chain(unlisted) {
        let Some((host, port)) = address(&url) else { continue };
        if host == SEEDED && !used.contains(SEEDED) {
            continue;
        }
        asked.spawn(async move {
            let why = match aside(PATIENCE, move || connect(&host, port)).await {
                Ok(Ok(())) => return None,
                Ok(Err(error)) => error.to_string(),
                Err(NoAnswer::Hung) => "it does not answer".to_owned(),
                Err(NoAnswer::Crashed) => "asking it panicked".to_owned(),
            };
            let (name, url) = (escape::line(&name), escape::line(&url));
            let text = format!("the server {name} ({url}) cannot be reached: {why}");
            let mend = "see whether the network and the server are up, and the address is right: \
                        kugetsu server list";
            Some(Finding::new(UNREACHABLE, text, mend))
        });
    }
    found.extend(asked.join_all().await.into_iter().flatten());
    found.sort_by(|a, b| a.found.cmp(&b.found));
    Ok(found)
}

/// The host of the default server, if somebody has chosen it.
fn chosen(of: &Examination<'_>) -> Result<Option<String>, CliError> {
    let settings = of.setup.settings()?;
    Ok(match settings.origin("default_server") {
        None | Some(Origin::Default) => None,
        Some(_) => settings.default_server().map(str::to_owned),
    })
}

/// Servers without the token that they need.
fn tokens(of: &Examination<'_>, servers: &Servers, used: &BTreeSet<String>) -> Vec<Finding> {
    // What is wrong with the env files is told by the check of them.
    let Ok(tokens) = Tokens::read(of.setup) else { return Vec::new() };
    let mut found = Vec::new();
    for (name, server) in servers.iter() {
        let (host, variables) = (server.url.host(), token_variables(servers, server));
        let is_used = used.contains(host) || used.contains(name.as_str());
        if tokens.of(servers, server).is_some() || !(is_used || server.token.is_some()) {
            continue;
        }
        let name = escape::line(name.as_str());
        let finding = match (variables.as_slice(), &server.token) {
            ([variable, ..], Some(_)) => Finding::new(
                TOKEN_UNSET,
                format!("the token of the server {name} is to be in {variable}, which is not set"),
                format!("kugetsu env set {variable} - < file"),
            ),
            ([variable, ..], None) => Finding::new(
                NO_TOKEN,
                format!("there is no token for the server {name}"),
                format!("kugetsu env set {variable} - < file"),
            ),
            ([], _) => Finding::new(
                NO_TOKEN,
                format!("there is no token for the server {name}"),
                format!("kugetsu server add {name} {} --token VARIABLE", server.url),
            ),
        };
        found.push(finding);
    }
    found
}

/// Host and port of `https://git.example.com:3000/path`.
fn address(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    let host = host.rsplit('@').next()?;
    let usual = if scheme == "http" { 80 } else { 443 };
    match host.rsplit_once(':') {
        Some((host, port)) => Some((host.to_owned(), port.parse().ok()?)),
        None => Some((host.to_owned(), usual)),
    }
}

fn connect(host: &str, port: u16) -> std::io::Result<()> {
    let mut last = std::io::Error::other("its name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The hosts of the issues that kugetsu knows.
async fn hosts(of: &Examination<'_>) -> BTreeSet<String> {
    if !of.has_store.get() {
        return BTreeSet::new();
    }
    let Ok(stores) = of.setup.stores().await else { return BTreeSet::new() };
    let sessions = stores.sessions.find(&SessionQuery::all()).await.unwrap_or_default();
    let host = |kind: SessionKind| match kind {
        SessionKind::Dev(issue) => Some(issue.repository().host().to_owned()),
        _ => None,
    };
    sessions.into_iter().filter_map(|session| host(session.kind)).collect()
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let check = |url: &str| address(url).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(check("https://git.example.com").as_deref(), Some("git.example.com 443"));
        assert_eq!(check("http://localhost:3000/x").as_deref(), Some("localhost 3000"));
        assert_eq!(check("nonsense"), None);
    }
}
