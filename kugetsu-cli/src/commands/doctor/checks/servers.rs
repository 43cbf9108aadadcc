//! The git servers: whether they answer. Nothing is asked of them but a connection.

use std::collections::BTreeSet;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use kugetsu_core::{SessionKind, SessionQuery};

use super::super::bounded::{NoAnswer, aside};
use super::super::finding::{Finding, SERVERS, UNREACHABLE};
use super::{Examination, Found};
use crate::screen::escape;
use crate::servers::Servers;

/// How long a server may take, its name's resolution included.
const PATIENCE: Duration = Duration::from_secs(8);

/// How long one of its addresses may take.
const CONNECT: Duration = Duration::from_secs(3);

/// The server that every list begins with: it matters only to those who have issues on it.
const SEEDED: &str = "github.com";

pub(in super::super) async fn check(of: &Examination<'_>) -> Found {
    let path = of.setup.paths()?.servers();
    if !path.exists() {
        return Ok(Vec::new());
    }
    let servers = match Servers::read(&path) {
        Ok(servers) => servers,
        Err(error) => {
            let mend = error.advice().unwrap_or("mend it, or move it away to begin again");
            return Ok(vec![Finding::new(SERVERS, error.message(), mend)]);
        }
    };
    let used = hosts(of).await;
    let mut asked = tokio::task::JoinSet::new();
    for (name, server) in servers.iter() {
        let (name, url) = (name.to_string(), server.url.as_str().to_owned());
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
