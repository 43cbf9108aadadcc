//! What speaks on a server, and where.

use std::fmt;
use std::str::FromStr;

/// Which API a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForgeKind {
    /// GitHub, also GitHub Enterprise.
    GitHub,
    /// Gitea, and Forgejo, which has kept its API.
    Gitea,
    /// GitLab.
    GitLab,
}

impl ForgeKind {
    /// The kind of a well-known host, or of one that carries its kind in its name.
    pub fn of_host(host: &str) -> Option<Self> {
        let host = host.to_ascii_lowercase();
        let host = host.split(':').next().unwrap_or_default();
        match host {
            "github.com" => Some(Self::GitHub),
            "gitlab.com" => Some(Self::GitLab),
            "gitea.com" | "codeberg.org" => Some(Self::Gitea),
            _ => {
                let first = host.split('.').next().unwrap_or_default();
                match first {
                    "github" => Some(Self::GitHub),
                    "gitlab" => Some(Self::GitLab),
                    "gitea" | "forgejo" => Some(Self::Gitea),
                    _ => None,
                }
            }
        }
    }

    /// Where the API of the server at this address is, without a slash at its end: for GitHub
    /// `https://api.github.com`, or `/api/v3` on a server of one's own; `/api/v1` for Gitea and
    /// Forgejo; `/api/v4` for GitLab.
    pub fn api_root(self, server: &str) -> String {
        let server = server.trim().trim_end_matches('/');
        match self {
            Self::GitHub if is_github_com(server) => "https://api.github.com".to_owned(),
            Self::GitHub => format!("{server}/api/v3"),
            Self::Gitea => format!("{server}/api/v1"),
            Self::GitLab => format!("{server}/api/v4"),
        }
    }

    /// Its name, as it is written in settings: `github`, `gitea` or `gitlab`.
    pub fn name(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::Gitea => "gitea",
            Self::GitLab => "gitlab",
        }
    }
}

fn is_github_com(server: &str) -> bool {
    let host = server.split_once("://").map_or(server, |(_, rest)| rest);
    let host = host.trim_end_matches(":443");
    host.eq_ignore_ascii_case("github.com") || host.eq_ignore_ascii_case("www.github.com")
}

impl fmt::Display for ForgeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ForgeKind {
    type Err = String;

    /// Reads its name; `forgejo` is `gitea`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "github" => Ok(Self::GitHub),
            "gitea" | "forgejo" => Ok(Self::Gitea),
            "gitlab" => Ok(Self::GitLab),
            _ => Err(format!("{text:?} is none of github, gitea, forgejo, gitlab")),
        }
    }
}
