//! The forges behind the git servers, and the tokens for them.

use std::ffi::OsStr;

use kugetsu_forge::{ForgeClient, ForgeKind, Token};

use crate::args::ServerKind;
use crate::env_files::Variables;
use crate::errors::CliError;
use crate::servers::{Server, Servers};
use crate::setup::Setup;

/// The variables that may hold the token for a server, the first that is set counting.
///
/// One that was named for the server is the only one. Else the usual names belong to whom they are
/// meant for everywhere: `GITHUB_TOKEN` to github.com and `GITLAB_TOKEN` to gitlab.com. Gitea has no
/// such place, so `GITEA_TOKEN` belongs to the only server of that kind on the list, and to none if
/// there are several. A token of one host is never sent to another.
pub(crate) fn token_variables<'a>(servers: &Servers, server: &'a Server) -> Vec<&'a str> {
    if let Some(named) = &server.token {
        return vec![named.as_str()];
    }
    let is_gitea = |server: &Server| server.kind() == Some(ServerKind::Gitea);
    match (server.kind(), server.url.host()) {
        (Some(ServerKind::Github), "github.com") => vec!["GITHUB_TOKEN", "GH_TOKEN"],
        (Some(ServerKind::Gitlab), "gitlab.com") => vec!["GITLAB_TOKEN"],
        (Some(ServerKind::Gitea), host) => {
            let all = servers.iter().map(|(_, listed)| listed).filter(|listed| is_gitea(listed));
            let hosts: Vec<&str> = all.map(|listed| listed.url.host()).collect();
            if hosts.is_empty() || hosts.iter().any(|listed| *listed != host) {
                return Vec::new();
            }
            vec!["GITEA_TOKEN", "FORGEJO_TOKEN"]
        }
        _ => Vec::new(),
    }
}

/// Where tokens are: the env files, `pm-agent` over `default`, then kugetsu's own environment. It
/// holds secrets and has no `Debug`.
pub(crate) struct Tokens<'a> {
    files: Variables,
    setup: &'a Setup,
}

impl<'a> Tokens<'a> {
    pub(crate) fn read(setup: &'a Setup) -> Result<Self, CliError> {
        let files = Variables::read(setup.paths()?, Some("pm-agent"))?;
        Ok(Self { files, setup })
    }

    /// The token for a server.
    pub(crate) fn of(&self, servers: &Servers, server: &Server) -> Option<&str> {
        token_variables(servers, server).into_iter().find_map(|name| self.get(name))
    }

    /// Whether the variable is set.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn get(&self, name: &str) -> Option<&str> {
        let own = || self.setup.around().variables.get(OsStr::new(name))?.to_str();
        self.files.get(name).or_else(own).map(str::trim).filter(|token| !token.is_empty())
    }
}

/// The forge of the server that is meant by a host, with the token for it.
pub(crate) async fn of(setup: &Setup, host: &str) -> Result<ForgeClient, CliError> {
    let servers = setup.settings()?.servers();
    let found = servers.of(host).map(|(name, server)| (name.to_string(), server.clone()));
    let (name, server) = found.map_or_else(|| unlisted(host), Ok)?;
    let kind = match server.kind() {
        Some(kind) => kind,
        None => detect(&server).await?.ok_or_else(|| {
            let url = &server.url;
            CliError::config(format!("what speaks on the server {name} could not be found out"))
                .hint(format!("say it with `kugetsu server add {name} {url} --kind <kind>`"))
        })?,
    };
    let tokens = Tokens::read(setup)?;
    let token = tokens.of(servers, &server).map(Token::new);
    ForgeClient::new(kind.forge(), server.url.as_str(), token)
        .map_err(|error| CliError::config(format!("the server {name} cannot be used: {error}")))
}

/// The server of a host that is not on the list. What the host tells by itself nobody needs to have
/// written down.
fn unlisted(host: &str) -> Result<(String, Server), CliError> {
    let url = format!("https://{host}").parse().ok();
    let server =
        url.map(Server::new).filter(|server| server.kind().is_some()).ok_or_else(|| {
            CliError::config(format!("the server {host} is not known"))
                .hint(format!("`kugetsu server add {host} https://{host}` adds it"))
        })?;
    Ok((host.to_owned(), server))
}

/// What speaks at a server's address, by asking it. No token is sent.
pub(crate) async fn detect(server: &Server) -> Result<Option<ServerKind>, CliError> {
    let asked = ForgeKind::detect(server.url.as_str()).await;
    let asked = asked.map_err(|error| CliError::config(format!("{}: {error}", server.url)))?;
    Ok(asked.and_then(ServerKind::of))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(list: &[(&str, &str, Option<ServerKind>)]) -> Servers {
        let mut servers = Servers::seeded();
        servers.remove(&"github.com".parse().unwrap());
        for (name, url, kind) in list {
            let mut server = Server::new(url.parse().unwrap());
            server.kind = *kind;
            servers.add(name.parse().unwrap(), server).unwrap();
        }
        servers
    }

    #[test]
    fn a_usual_token_belongs_to_its_own_host_alone() {
        let (github, gitea, gitlab) =
            (Some(ServerKind::Github), Some(ServerKind::Gitea), Some(ServerKind::Gitlab));
        let all = servers(&[
            ("gh", "https://github.com", None),
            ("ghe.example.com", "https://ghe.example.com", github),
            ("github.com.evil.example", "https://github.com.evil.example", github),
            ("gitlab.com", "https://gitlab.com", None),
            ("lab.example.com", "https://lab.example.com", gitlab),
            ("tea.example.com", "https://tea.example.com", gitea),
            ("what.example.com", "https://what.example.com", None),
        ]);
        let of = |all: &Servers, name: &str| {
            let (_, server) = all.of(name).unwrap();
            token_variables(all, server).join(" ")
        };
        for (name, variables) in [
            ("gh", "GITHUB_TOKEN GH_TOKEN"),
            ("ghe.example.com", ""),
            ("github.com.evil.example", ""),
            ("gitlab.com", "GITLAB_TOKEN"),
            ("lab.example.com", ""),
            ("tea.example.com", "GITEA_TOKEN FORGEJO_TOKEN"),
            ("what.example.com", ""),
        ] {
            assert_eq!(of(&all, name), variables, "{name}");
        }
        let unlisted = Server::new("https://codeberg.org".parse().unwrap());
        assert_eq!(token_variables(&servers(&[]), &unlisted), [""; 0]);
        // A name of github.com does not make another host it.
        let posing = servers(&[("github.com", "https://evil.example", github)]);
        assert_eq!(of(&posing, "github.com"), "");
        // Of two Giteas each has to name its own.
        let mut two = all.clone();
        let mut other = Server::new("https://codeberg.org".parse().unwrap());
        two.add("codeberg.org".parse().unwrap(), other.clone()).unwrap();
        assert_eq!(
            (of(&two, "tea.example.com"), of(&two, "codeberg.org")),
            (String::new(), String::new())
        );
        other.token = Some("BERG_TOKEN".parse().unwrap());
        two.add("codeberg.org".parse().unwrap(), other).unwrap();
        assert_eq!(of(&two, "codeberg.org"), "BERG_TOKEN");
    }
}
