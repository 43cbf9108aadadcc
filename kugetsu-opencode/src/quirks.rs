//! What opencode does differently from what one would expect, each with the version it was seen
//! in. Whoever works around one of these says so by using what stands here.

/// The oldest opencode that this runner drives. Seen: 1.18.33 has everything that is used.
pub(crate) const OLDEST: (u64, u64) = (1, 18);

/// A request that arrives after the port opens but before this line is never answered. (1.18.33)
pub(crate) const LISTENING: &str = "opencode server listening on";

/// The user name of a server's basic authentication. (1.18.33)
pub(crate) const USER: &str = "opencode";

/// Variables that change what a server asks, whom it serves, or that tell a tool in whose session
/// it runs; an opencode that an agent of another opencode starts would inherit them. (1.18.33) And
/// those by which a service manager hears of us, which no agent speaks for.
pub(crate) const SCRUBBED: [&str; 11] = [
    "OPENCODE_PERMISSION",
    "OPENCODE_SERVER_PASSWORD",
    "OPENCODE_SERVER_USERNAME",
    "OPENCODE_AUTO_SHARE",
    "OPENCODE_PID",
    "OPENCODE_CLIENT",
    "OPENCODE",
    "AGENT",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// Downloads and updates have no place in a run that nobody watches. (1.18.33)
pub(crate) const QUIET: [(&str, &str); 2] =
    [("OPENCODE_DISABLE_AUTOUPDATE", "1"), ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1")];

/// A repository's own configuration can start programs and installations before any prompt.
/// (1.18.33)
pub(crate) const NO_PROJECT_CONFIG: (&str, &str) = ("OPENCODE_DISABLE_PROJECT_CONFIG", "1");

/// In spite of that, a second reader of settings inside opencode loads what is in these, from the
/// directory up to its repository's root, and without a repository up to the root of all.
/// (1.18.33)
pub(crate) const PLUGIN_DIRECTORIES: [&str; 2] = [".opencode/plugin", ".opencode/plugins"];

/// And what these name under `plugin` or `plugins`, escapes such as `\u0070` and all; their
/// `mcp`, `lsp`, `formatter`, `provider` and `.opencode/tool` were not seen to start anything.
/// (1.18.33)
pub(crate) const PROJECT_CONFIGS: [&str; 4] =
    ["opencode.json", "opencode.jsonc", ".opencode/opencode.json", ".opencode/opencode.jsonc"];

/// Where the database is; everything else, such as the user's keys, stays where it is. (1.18.33)
pub(crate) const DATABASE: &str = "OPENCODE_DB";

/// Rules for every session, sub-agents included; it has to be an object, never a text. (1.18.33)
pub(crate) const PERMISSION: &str = "OPENCODE_PERMISSION";

/// The agent whose rules hold when nobody names one. (1.18.33)
pub(crate) const DEFAULT_AGENT: &str = "build";

/// A tool that was refused by an answer, not by a rule, ends the turn with this error and without
/// any sign of failure. (1.18.33)
pub(crate) const REJECTED: &str = "The user rejected permission to use this specific tool call";

/// What `opencode run` says, to people alone, when it refuses a permission by itself. (1.18.33)
pub(crate) const AUTO_REJECTING: &str = "permission requested:";

/// How a line of opencode's own log begins. (1.18.33)
pub(crate) const LOG_LINE: &str = "timestamp=";

/// What that log says when the model's provider has failed; `opencode run` tells that nowhere else
/// before it gives up, which it does not do before as long as a provider asks it to wait. (1.18.33)
pub(crate) const STREAM_ERROR: &str = "message=\"stream error\"";

/// What a command says of a session that is not there. (1.18.33)
pub(crate) const NO_SESSION: &str = "Session not found";

/// A call of a tool that the agent does not have becomes a call of this one, which succeeds.
/// (1.18.33)
pub(crate) const INVALID_TOOL: &str = "invalid";

/// The error of a turn that was aborted. (1.18.33)
pub(crate) const ABORTED: &str = "MessageAbortedError";

/// The server answers 500, not 404, to ids that do not start like this. (1.18.33)
pub(crate) const SESSION_PREFIX: &str = "ses";

/// Whether a text can be an opencode session id, and so a part of a URL.
pub(crate) fn is_session_id(id: &str) -> bool {
    id.starts_with(SESSION_PREFIX) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
