//! Settings of agents and servers, and keeping everything in order.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use kugetsu_forge::ForgeKind;
use serde::{Deserialize, Serialize};

#[derive(Debug, Subcommand)]
pub(crate) enum Env {
    /// List the env files
    List,
    /// Show the variables that an agent gets; secrets are masked
    Show {
        /// Which file: `default`, that of all agents, or `pm-agent`, the PM's over it
        #[arg(default_value = "default")]
        agent: String,
    },
    /// Set a variable
    Set {
        /// Its name
        key: String,
        /// Its value, which may be anything; `-` reads it from the input
        #[arg(allow_hyphen_values = true)]
        value: String,
        /// Which file
        #[arg(default_value = "default")]
        agent: String,
    },
    /// Print a variable's value; a secret is masked
    Get {
        /// Its name
        key: String,
        /// Which file
        #[arg(default_value = "default")]
        agent: String,
        /// Print a secret as it is
        #[arg(long)]
        reveal: bool,
    },
    /// Remove a variable
    #[command(visible_alias = "remove")]
    Rm {
        /// Its name
        key: String,
        /// Which file
        #[arg(default_value = "default")]
        agent: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Server {
    /// List the git servers; the default one has a star
    List,
    /// Add a git server, or change what is known of it
    Add(AddServer),
    /// Forget a git server; nothing on it is touched
    #[command(visible_alias = "rm")]
    Remove {
        /// Its name
        name: String,
    },
    /// Print the default server, or make another one it
    Default {
        /// The server that references without one mean from now on
        name: Option<String>,
    },
    /// Print a server's address
    Get {
        /// Its name; the default server unless given
        name: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddServer {
    /// What it is called: a host as references have it, such as git.example.com, or a short name
    pub(crate) name: String,
    /// Its address, such as <https://git.example.com>; http only on this machine
    pub(crate) url: String,
    /// What speaks there; found out unless given
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<ServerKind>,
    /// The variable of the env files that holds the token for it
    #[arg(long, value_name = "VARIABLE")]
    pub(crate) token: Option<String>,
}

/// What speaks on a git server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ServerKind {
    /// GitHub, also GitHub Enterprise
    Github,
    /// Gitea, or Forgejo
    #[value(alias = "forgejo")]
    #[serde(alias = "forgejo")]
    Gitea,
    /// GitLab
    Gitlab,
}

impl ServerKind {
    /// Its name as it is given and shown.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitea => "gitea",
            Self::Gitlab => "gitlab",
        }
    }

    /// The kind that is meant, if it is one of ours.
    pub(crate) fn of(kind: ForgeKind) -> Option<Self> {
        Self::from_str(kind.name(), false).ok()
    }

    /// What it is to the forges.
    pub(crate) fn forge(self) -> ForgeKind {
        match self {
            Self::Github => ForgeKind::GitHub,
            Self::Gitea => ForgeKind::Gitea,
            Self::Gitlab => ForgeKind::GitLab,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct SetPr {
    /// The issue: its URL, host/owner/repo#7, or owner/repo#7
    pub(crate) issue: String,
    /// The pull request's address
    #[arg(required_unless_present = "clear")]
    pub(crate) pr_url: Option<String>,
    /// Forget the one that is known
    #[arg(long, conflicts_with = "pr_url")]
    pub(crate) clear: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Context {
    /// The issue: its URL, host/owner/repo#7, or owner/repo#7
    pub(crate) issue: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 no error is left (warnings and notes are told, and are no errors), 1 an error is left.
With --json the worst that is left is in `worst`: `ok`, `note`, `warning` or `error`.")]
pub(crate) struct Doctor {
    /// Repair what can be repaired without losing anything
    #[arg(long)]
    pub(crate) fix: bool,
    /// Repair the permissions of sessions in the agent's database
    #[arg(long)]
    pub(crate) fix_permissions: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The directory of the bash version [default: `KUGETSU_DIR`, or `~/.kugetsu`]
    pub(crate) dir: Option<PathBuf>,
    /// Say what would be imported, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// Copy everything into a store of another kind, and use that one from now on
    Convert {
        /// The kind
        #[arg(long, value_name = "KIND")]
        to: StoreKind,
    },
}

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoreKind {
    /// One database file
    Sqlite,
    /// Readable files beside a journal
    Json,
}
