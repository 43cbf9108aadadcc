//! The git servers: what references call them, where they are, and what speaks there.

mod address;
pub(crate) mod file;
mod name;

use std::collections::BTreeMap;

use kugetsu_core::RepoRef;
use kugetsu_forge::ForgeKind;
use serde::{Deserialize, Serialize};

use crate::args::ServerKind;
use crate::errors::CliError;

pub(crate) use address::Address;
pub(crate) use name::{Name, TokenVariable};

/// The server of references that name none, unless somebody says otherwise.
pub(crate) const FALLBACK: &str = "github.com";

/// All git servers, as `servers.json` has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Servers {
    /// The one that references without a server mean, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<Name>,
    #[serde(default)]
    servers: BTreeMap<Name, Server>,
}

/// One git server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    /// Where it is.
    pub(crate) url: Address,
    /// What speaks there, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<ServerKind>,
    /// The variable that holds the token for it, if it is not the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<TokenVariable>,
}

impl Server {
    /// A server of which no more is known than where it is.
    pub(crate) fn new(url: Address) -> Self {
        Self { url, kind: None, token: None }
    }

    /// What speaks there: as was said, or as its host tells.
    pub(crate) fn kind(&self) -> Option<ServerKind> {
        self.kind.or_else(|| ForgeKind::of_host(self.url.host()).and_then(ServerKind::of))
    }
}

impl Servers {
    /// What `init` begins with, and what holds where there is no file.
    pub(crate) fn seeded() -> Self {
        let seed =
            || Some((FALLBACK.parse().ok()?, Server::new("https://github.com".parse().ok()?)));
        Self { default: None, servers: seed().into_iter().collect() }
    }

    /// All of them, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Name, &Server)> {
        self.servers.iter()
    }

    /// The one that was made the default here.
    pub(crate) fn chosen(&self) -> Option<&Name> {
        self.default.as_ref()
    }

    /// The server that is meant by a name or by the host of a reference. Its own name comes before
    /// the host (and port) of its address; of several at one address the first by name.
    pub(crate) fn of(&self, host: &str) -> Option<(&Name, &Server)> {
        let host = host.to_ascii_lowercase();
        let by_name = self.servers.iter().find(|(name, _)| name.as_str() == host);
        by_name.or_else(|| self.servers.iter().find(|(_, server)| server.url.host() == host))
    }

    /// The same, or an error that lists those that there are.
    pub(crate) fn named(&self, name: &str) -> Result<(&Name, &Server), CliError> {
        self.of(name).ok_or_else(|| {
            let known: Vec<&str> = self.servers.keys().map(Name::as_str).collect();
            let error = CliError::failed(format!("there is no server {name:?}"));
            match known.as_slice() {
                [] => error.hint("`kugetsu server add <name> <url>` adds one"),
                _ => error.hint(format!("known are: {}", known.join(", "))),
            }
        })
    }

    /// The host that references to this server have: its name if that is a host, else the host of
    /// its address.
    pub(crate) fn host(&self, name: &str) -> Option<&str> {
        self.of(name).map(|(name, server)| host_of(name, server))
    }

    /// Where a repository on one of these servers is cloned from.
    pub(crate) fn clone_url(&self, repository: &RepoRef) -> Option<String> {
        let (_, server) = self.of(repository.host())?;
        Some(format!("{}/{}/{}.git", server.url, repository.owner(), repository.name()))
    }

    /// The repository that an address names from which somebody has cloned it: `https://…`, `ssh://…`
    /// or `user@host:path`, with a user or without.
    pub(crate) fn repository(&self, url: &str) -> Option<RepoRef> {
        let (host, path) = match url.split_once("://") {
            Some(("https" | "http" | "ssh" | "git" | "git+ssh", rest)) => rest.split_once('/')?,
            Some(_) => return None,
            None => url.split_once(':').filter(|(host, _)| !host.contains('/'))?,
        };
        let host = host.rsplit('@').next()?.to_ascii_lowercase();
        let of_port = |(_, server): &(&Name, &Server)| host == server.url.host();
        // Over ssh the port is another one.
        let plain = host.split(':').next().unwrap_or_default();
        let is_web = url.starts_with("http");
        let of_name = |(_, server): &(&Name, &Server)| {
            !is_web && server.url.host().split(':').next() == Some(plain)
        };
        let found = self.servers.iter().find(of_port);
        let found = found.or_else(|| self.of(if is_web { &host } else { plain }));
        let path = path.trim_matches('/');
        let found = found.or_else(|| self.servers.iter().find(of_name));
        let Some((name, server)) = found else {
            let host = if is_web { host.as_str() } else { plain };
            return RepoRef::parse(&format!("{host}/{path}"), None).ok();
        };
        // Over ssh there is no such path in front.
        let prefix = format!("{}/", server.url.path().trim_matches('/'));
        let path = path.strip_prefix(&prefix).unwrap_or(path);
        RepoRef::parse(&format!("{}/{path}", host_of(name, server)), None).ok()
    }

    /// Adds a server, or replaces the one of this name, which is returned.
    pub(crate) fn add(&mut self, name: Name, server: Server) -> Result<Option<Server>, CliError> {
        if !name.is_host() && !is_host(server.url.host()) {
            return Err(CliError::usage(format!(
                "no reference could name this server: neither {name} nor {} has a dot or a port",
                server.url.host()
            ))
            .hint("write the port into the address, or give it a name such as git.example.com"));
        }
        Ok(self.servers.insert(name, server))
    }

    /// Removes a server. It is the default no longer if it was that.
    pub(crate) fn remove(&mut self, name: &Name) {
        self.servers.remove(name);
        if self.default.as_ref() == Some(name) {
            self.default = None;
        }
    }

    /// Makes a server the one that references without a server mean.
    pub(crate) fn make_default(&mut self, name: Name) {
        self.default = Some(name);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.servers.len()
    }
}

/// The host that references to a server have.
pub(crate) fn host_of<'a>(name: &'a Name, server: &'a Server) -> &'a str {
    if name.is_host() { name.as_str() } else { server.url.host() }
}

/// Whether a reference could have this host.
pub(crate) fn is_host(text: &str) -> bool {
    !text.contains('/') && RepoRef::parse(&format!("{text}/o/r"), None).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(list: &[(&str, &str)]) -> Servers {
        let mut servers = Servers { default: None, servers: BTreeMap::new() };
        for (name, url) in list {
            servers.add(name.parse().unwrap(), Server::new(url.parse().unwrap())).unwrap();
        }
        servers
    }

    #[test]
    fn a_server_is_found_by_its_name_and_by_the_host_of_its_address() {
        let all = servers(&[
            ("github", "https://github.com"),
            ("git.example.com", "https://10.0.0.3:3000/git"),
            ("local", "http://localhost:4000"),
            ("also-github", "https://github.com"),
        ]);
        let found = |host: &str| all.of(host).map(|(name, _)| name.as_str().to_owned());
        for (host, name) in [
            ("github", Some("github")),
            ("GitHub", Some("github")),
            ("github.com", Some("also-github")),
            ("git.example.com", Some("git.example.com")),
            ("10.0.0.3:3000", Some("git.example.com")),
            ("10.0.0.3", None),
            ("localhost:4000", Some("local")),
            ("localhost", None),
            ("gitlab.com", None),
        ] {
            assert_eq!(found(host).as_deref(), name, "{host}");
        }
        assert_eq!(all.host("github"), Some("github.com"));
        assert_eq!(all.host("git.example.com"), Some("git.example.com"));
        assert_eq!(all.host("10.0.0.3:3000"), Some("git.example.com"));
    }

    #[test]
    fn a_repository_is_cloned_from_its_servers_address() {
        let all = servers(&[
            ("git.example.com", "https://10.0.0.3:3000/git"),
            ("l", "http://127.0.0.1:80"),
        ]);
        let from = |text: &str| all.clone_url(&text.parse().unwrap());
        let deep = from("git.example.com/a/b/c");
        assert_eq!(deep.as_deref(), Some("https://10.0.0.3:3000/git/a/b/c.git"));
        assert_eq!(from("127.0.0.1/a/b").as_deref(), Some("http://127.0.0.1/a/b.git"));
        assert_eq!(from("example.com/a/b"), None);
    }

    #[test]
    fn an_address_that_somebody_cloned_from_names_a_repository() {
        let all = servers(&[
            ("github", "https://github.com"),
            ("git.example.com", "https://10.0.0.3:3000/git"),
            ("work", "https://work.example:8443"),
        ]);
        for (url, repository) in [
            ("https://github.com/acme/widgets.git", Some("github.com/acme/widgets")),
            ("https://me:hunter2@GitHub.com/acme/widgets", Some("github.com/acme/widgets")),
            ("git@github.com:acme/widgets.git", Some("github.com/acme/widgets")),
            ("ssh://git@github.com/acme/widgets.git/", Some("github.com/acme/widgets")),
            ("ssh://git@github.com:22/acme/widgets.git", Some("github.com/acme/widgets")),
            ("https://10.0.0.3:3000/git/acme/widgets", Some("git.example.com/acme/widgets")),
            ("ssh://git@10.0.0.3:2222/acme/widgets", Some("git.example.com/acme/widgets")),
            ("git@work.example:acme/sub/widgets", Some("work.example:8443/acme/sub/widgets")),
            ("https://work.example/acme/widgets", Some("work.example/acme/widgets")),
            ("https://elsewhere.example/acme/widgets", Some("elsewhere.example/acme/widgets")),
            ("git@elsewhere.example:acme/widgets", Some("elsewhere.example/acme/widgets")),
            ("/srv/git/widgets.git", None),
            ("file:///srv/git/widgets.git", None),
            ("../widgets", None),
            ("ext::sh -c true", None),
            ("https://github.com/widgets", None),
            ("", None),
        ] {
            let found = all.repository(url).map(|repository| repository.to_string());
            assert_eq!(found.as_deref(), repository, "{url}");
        }
    }

    #[test]
    fn a_server_that_no_reference_could_name_is_refused() {
        let mut all = servers(&[]);
        let intranet = || Server::new("https://intranet".parse().unwrap());
        assert!(all.add("intranet".parse().unwrap(), intranet()).is_err());
        assert!(all.add("git.intranet".parse().unwrap(), intranet()).is_ok());
    }
}
