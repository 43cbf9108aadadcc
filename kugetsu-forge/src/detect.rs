//! Finding out what speaks on a server.

use std::time::Duration;

use http_body_util::Full;
use hyper::header::USER_AGENT;
use hyper::{Request, StatusCode};
use serde_json::Value;

use crate::http::{Answer, BadServer, Http};
use crate::kind::ForgeKind;

/// How long each question may take.
const LIMIT: Duration = Duration::from_secs(10);

impl ForgeKind {
    /// Asks the server at this address, without a token: Gitea and Forgejo tell their version at
    /// `/api/v1/version`, GitLab knows `/api/v4/version` (to strangers it says 401 in JSON), and
    /// GitHub Enterprise tells about itself at `/api/v3/meta`. Takes 30 s at the most. `None` if it
    /// is none of them or does not answer.
    pub async fn detect(server: &str) -> Result<Option<Self>, BadServer> {
        let http = Http::new(server, LIMIT)?;
        if let Some(host) = server.split("://").nth(1).and_then(|rest| rest.split('/').next())
            && let Some(kind) = Self::of_well_known(host)
        {
            return Ok(Some(kind));
        }
        for (kind, path) in
            [(Self::Gitea, "/version"), (Self::GitLab, "/version"), (Self::GitHub, "/meta")]
        {
            if let Some(answer) = asked(&http, &format!("{}{path}", kind.api_root(server))).await
                && is(kind, &answer)
            {
                return Ok(Some(kind));
            }
        }
        Ok(None)
    }

    /// The kind of a host that is known to all.
    fn of_well_known(host: &str) -> Option<Self> {
        ["github.com", "gitlab.com", "gitea.com", "codeberg.org"]
            .contains(&host)
            .then(|| Self::of_host(host))
            .flatten()
    }
}

async fn asked(http: &Http, address: &str) -> Option<Answer> {
    let agent = concat!("kugetsu/", env!("CARGO_PKG_VERSION"));
    let request = Request::get(address).header(USER_AGENT, agent).body(Full::default()).ok()?;
    http.send(request).await.ok()
}

fn is(kind: ForgeKind, answer: &Answer) -> bool {
    let Ok(document) = serde_json::from_slice::<Value>(&answer.body) else { return false };
    let has = |name: &str| document.get(name).is_some_and(|value| !value.is_null());
    let says = |words: &str| {
        let message = document.get("message").and_then(Value::as_str);
        message.is_some_and(|message| message.to_ascii_lowercase().contains(words))
    };
    match kind {
        // `Only signed in user is allowed to call APIs.` is what one says that lets nobody look.
        ForgeKind::Gitea => {
            (answer.status.is_success() && has("version")) || says("signed in user")
        }
        ForgeKind::GitLab => {
            (answer.status == StatusCode::UNAUTHORIZED && says("401 unauthorized"))
                || (answer.status.is_success() && has("version") && has("revision"))
        }
        ForgeKind::GitHub => {
            answer.headers.contains_key("x-github-request-id")
                || (answer.status.is_success() && has("verifiable_password_authentication"))
        }
    }
}
