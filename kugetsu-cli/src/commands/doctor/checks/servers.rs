//! The git servers: whether they answer. Nothing is asked of them but a connection.

use std::collections::BTreeSet;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use kugetsu_core::{SessionKind, SessionQuery};
use serde_json::Value;

use super::super::bounded::{NoAnswer, aside};
use super::super::finding::{Finding, SERVERS, UNREACHABLE};
use super::directory::word;
use super::{Examination, Found};
use crate::screen::escape;

/// How long a server may take, its name's resolution included.
const PATIENCE: Duration = Duration::from_secs(8);

/// How long one of its addresses may take.
const CONNECT: Duration = Duration::from_secs(3);

/// The server that every list begins with: it matters only to those who have issues on it.
const SEEDED: &str = "github.com";

pub(in super::super) async fn check(of: &Examination<'_>) -> Found {
    let path = of.setup.paths()?.root().join("servers.json");
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(Vec::new()) };
    let Some(servers) = listed(&text) else {
        let text = format!("{} is no list of servers", word(&path));
        let mend = "mend it, or move it away to begin again";
        return Ok(vec![Finding::new(SERVERS, text, mend)]);
    };
    let used = hosts(of).await;
    let mut asked = tokio::task::JoinSet::new();
    for (name, url) in servers {
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
    let mut found: Vec<Finding> = asked.join_all().await.into_iter().flatten().collect();
    found.sort_by(|a, b| a.found.cmp(&b.found));
    Ok(found)
}

/// The servers' names and addresses.
fn listed(text: &str) -> Option<Vec<(String, String)>> {
    let list: Value = serde_json::from_str(text).ok()?;
    let servers =
        list.as_object()?.get("servers").map_or_else(|| Some(None), |s| s.as_object().map(Some))?;
    let url = |server: &Value| server.get("url").and_then(Value::as_str).map(str::to_owned);
    let named = |(name, server): (&String, &Value)| Some((name.clone(), url(server)?));
    servers.into_iter().flatten().map(named).collect()
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
    use super::{address, listed};

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let check = |url: &str| address(url).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(check("https://git.example.com").as_deref(), Some("git.example.com 443"));
        assert_eq!(check("http://localhost:3000/x").as_deref(), Some("localhost 3000"));
        assert_eq!(check("nonsense"), None);
        assert_eq!(listed("{}"), Some(vec![]));
        assert_eq!(listed("[]"), None);
        assert_eq!(listed("{\"servers\": {\"a\": 1}}"), None);
    }
}
