//! The table of settings.

/// What values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A whole number within these bounds.
    Count { least: u32, most: u32 },
    /// A decimal number above zero.
    Amount,
    /// Any text but an empty one.
    Text,
    /// Any text, of which an empty one is none: then the setting is unset.
    Wish,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Some of these words, separated by commas.
    SomeOf(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
}

/// One setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its name in `config.toml`.
    pub(crate) key: &'static str,
    /// Its name in the environment and in the original's flat file.
    pub(crate) variable: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: Option<&'static str>,
    /// What it means, in a line or two.
    pub(crate) doc: &'static str,
}

const fn setting(
    (key, variable): (&'static str, &'static str),
    kind: Kind,
    default: Option<&'static str>,
    doc: &'static str,
) -> Setting {
    Setting { key, variable, kind, default, doc }
}

/// All settings there are.
pub(crate) const SETTINGS: &[Setting] = &[
    setting(
        ("max_concurrent_agents", "MAX_CONCURRENT_AGENTS"),
        Kind::Count { least: 1, most: 1000 },
        Some("3"),
        "How many dev agents may be alive at once, over all processes. The PM is not counted.",
    ),
    setting(
        ("memory_reserve_mb", "KUGETSU_MEMORY_RESERVE_MB"),
        Kind::Count { least: 0, most: 1_048_576 },
        Some("512"),
        "How much memory has to be available for an agent to start, in MiB; a quarter of it where \
         opencode's server is up already. 0 does not look. Unless set, it is never more than a quarter \
         of all memory.",
    ),
    setting(
        ("disk_reserve_mb", "KUGETSU_DISK_RESERVE_MB"),
        Kind::Count { least: 0, most: 1_048_576 },
        Some("2048"),
        "How much space has to be free where worktrees and the store lie for an agent to start, in MiB. \
         0 does not look.",
    ),
    setting(
        ("circuit_failures", "KUGETSU_CIRCUIT_FAILURES"),
        Kind::Count { least: 0, most: 1000 },
        Some("5"),
        "After how many failed attempts in a row, of several tasks, the queue rests and then tries one at \
         a time. 0 never rests.",
    ),
    setting(
        ("task_timeout_hours", "TASK_TIMEOUT_HOURS"),
        Kind::Amount,
        Some("1"),
        "How long an agent's turn may take, in hours; fractions are allowed.",
    ),
    setting(
        ("stall_timeout_minutes", "KUGETSU_STALL_TIMEOUT_MINUTES"),
        Kind::Amount,
        Some("10"),
        "How long an agent may be silent, in minutes; fractions are allowed.",
    ),
    setting(
        ("base_branch", "KUGETSU_BASE_BRANCH"),
        Kind::Wish,
        None,
        "The branch that worktrees start from. Unset, it is the remote's default branch.",
    ),
    setting(
        ("default_server", "KUGETSU_DEFAULT_SERVER"),
        Kind::Text,
        Some("github.com"),
        "The git server of references that name none, such as acme/widgets#42.",
    ),
    setting(
        ("agent", "KUGETSU_AGENT"),
        Kind::Text,
        Some("opencode"),
        "Which agent works: `opencode` (on one server), `opencode-run` (a process for each turn), \
         `acp:NAME` or `command:NAME` (the tables [acp.NAME] and [command.NAME]), or one that a custom \
         program brings.",
    ),
    setting(
        ("opencode_program", "KUGETSU_OPENCODE"),
        Kind::Text,
        Some("opencode"),
        "The opencode to run: a path, or a name that is looked up on PATH.",
    ),
    setting(
        ("trust_project_config", "KUGETSU_TRUST_PROJECT_CONFIG"),
        Kind::OneOf(&["no", "yes"]),
        Some("no"),
        "Whether a repository's own settings and plugins of opencode are used. They run code as you.",
    ),
    setting(
        ("temp_dir", "KUGETSU_TEMP_DIR"),
        Kind::Text,
        Some("~/.local/share/opencode/tool-output"),
        "A directory for temporary files, told to agents as KUGETSU_TEMP_DIR.",
    ),
    setting(
        ("inherit_variables", "KUGETSU_INHERIT_VARIABLES"),
        Kind::Wish,
        None,
        "Variables of kugetsu's own environment that agents inherit beside the usual ones, such as \
         `AWS_PROFILE, AWS_REGION` or `AWS_*`.",
    ),
    setting(
        ("store", "KUGETSU_STORE"),
        Kind::Text,
        Some("sqlite"),
        "Where tasks, events and sessions are kept: `sqlite`, `json` (readable files), or a store that a custom \
         program brings. `kugetsu store convert` takes along what is there.",
    ),
    setting(
        ("worktrees", "KUGETSU_WORKTREES"),
        Kind::Text,
        Some("git"),
        "Who makes worktrees: `git`, `plugin:<name>` (a program of yours), or a provider that a custom \
         program brings.",
    ),
    setting(
        ("queue_daemon_interval_minutes", "QUEUE_DAEMON_INTERVAL_MINUTES"),
        Kind::Amount,
        Some("5"),
        "How often the daemon looks for work that nobody told it of.",
    ),
    setting(
        ("queue_cleanup_age_days", "QUEUE_CLEANUP_AGE_DAYS"),
        Kind::Amount,
        Some("7"),
        "After how many days settled tasks are forgotten; fractions are allowed.",
    ),
    setting(
        ("drain_timeout_seconds", "KUGETSU_DRAIN_TIMEOUT_SECONDS"),
        Kind::Amount,
        Some("300"),
        "How long a daemon that ends waits for the agents that run, in seconds. Then it stops them.",
    ),
    setting(
        ("verbosity", "KUGETSU_VERBOSITY"),
        Kind::OneOf(&["verbose", "default", "quiet"]),
        Some("default"),
        "How much the PM says.",
    ),
    setting(
        ("pm_task_allowance", "KUGETSU_PM_TASK_ALLOWANCE"),
        Kind::Count { least: 0, most: 1000 },
        Some("20"),
        "How many tasks the PM may create for one message. Set it in a file: the environment has no say in it.",
    ),
    setting(
        ("log_retention_days", "KUGETSU_LOG_RETENTION_DAYS"),
        Kind::Amount,
        Some("7"),
        "How long the log of an attempt is kept, in days.",
    ),
    setting(
        ("worktree_check_pr_status", "WORKTREE_CHECK_PR_STATUS"),
        Kind::Flag,
        Some("true"),
        "Whether `destroy` and `prune` keep an issue's work while its pull request is open.",
    ),
    setting(
        ("trusted_authors", "KUGETSU_TRUSTED_AUTHORS"),
        Kind::SomeOf(&["owner", "member", "collaborator", "contributor", "stranger"]),
        Some("owner,member,collaborator"),
        "Whose words on an issue are given to agents, by what they are to its repository: some of owner, \
         member, collaborator, contributor and stranger. Set it in a file: an agent's environment has no \
         say in it.",
    ),
    setting(
        ("enable_context_dump", "ENABLE_CONTEXT_DUMP"),
        Kind::Flag,
        Some("true"),
        "Whether the end of each issue's conversation is kept, for `kugetsu context` and for whoever \
         follows a session that was lost.",
    ),
];

pub(crate) fn by_key(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

pub(super) fn by_variable(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.variable == name)
}

/// The name that a mistyped one was meant to be.
pub(super) fn nearest(typed: &str) -> Option<&'static str> {
    let typed = typed.to_ascii_lowercase();
    SETTINGS
        .iter()
        .flat_map(|setting| [setting.key, setting.variable])
        .map(|name| (strsim::jaro_winkler(&typed, &name.to_ascii_lowercase()), name))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| by_variable(name).map_or(name, |setting| setting.key))
}

impl Kind {
    /// The value as it is kept, or what is wrong with it.
    pub(crate) fn check(self, text: &str) -> Result<String, String> {
        let text = text.trim();
        let refuse = |wanted: String| Err(format!("{text:?} is no {wanted}"));
        match self {
            Self::Count { least, most } => match text.parse::<u32>() {
                Ok(count) if (least..=most).contains(&count) => Ok(count.to_string()),
                _ => refuse(format!("whole number from {least} to {most}")),
            },
            Self::Amount => match text.parse::<f64>() {
                Ok(amount) if amount.is_finite() && amount > 0.0 => Ok(text.to_owned()),
                _ => refuse("number above 0".into()),
            },
            Self::Text if text.is_empty() => Err("it is empty".into()),
            Self::Text | Self::Wish if text.chars().any(char::is_control) => {
                Err("it has a control character in it".into())
            }
            Self::Text | Self::Wish => Ok(text.to_owned()),
            Self::OneOf(words) if words.contains(&text) => Ok(text.to_owned()),
            Self::OneOf(words) => Err(format!("{text:?} is none of {}", words.join(", "))),
            Self::SomeOf(words) => {
                let some: Vec<&str> = text.split(',').map(str::trim).collect();
                match some.iter().find(|word| !words.contains(word)) {
                    Some(word) => Err(format!("{word:?} is none of {}", words.join(", "))),
                    None => Ok(some.join(",")),
                }
            }
            Self::Flag => match text {
                "true" | "1" | "yes" | "on" => Ok("true".into()),
                "false" | "0" | "no" | "off" => Ok("false".into()),
                _ => Err(format!("{text:?} is neither true nor false")),
            },
        }
    }

    /// The value as it stands in `config.toml`.
    pub(crate) fn toml(self, text: &str) -> String {
        match self {
            Self::Count { .. } | Self::Amount | Self::Flag => text.to_owned(),
            Self::Text | Self::Wish | Self::OneOf(_) | Self::SomeOf(_) => format!("{text:?}"),
        }
    }
}
