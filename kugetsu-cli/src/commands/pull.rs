//! What has become of the pull request to which an issue has led.

use kugetsu_core::{Forge as _, IssueRef, PullRef, PullState, Session};

use crate::errors::{CliError, Kind};
use crate::forges;
use crate::setup::Setup;

/// Why the issue's work is kept: its pull request is open, or cannot be asked for. `None` if nothing
/// speaks against removing it, which is so if nobody wants to know.
pub(super) async fn keeps(setup: &Setup, session: &Session) -> Result<Option<CliError>, CliError> {
    let Some(pr) = session.pr.as_deref() else { return Ok(None) };
    if !setup.settings()?.checks_pull_requests() {
        return Ok(None);
    }
    Ok(match state(setup, pr).await {
        Ok(PullState::Merged | PullState::Closed) => None,
        Ok(_) => Some(CliError::failed(format!("its pull request {pr} is open"))),
        Err(error) => {
            let what = format_args!("it is not known whether its pull request {pr} is open");
            Some(error.within(what))
        }
    })
}

async fn state(setup: &Setup, pr: &str) -> Result<PullState, CliError> {
    let pull: PullRef = pr
        .parse()
        .map_err(|_| CliError::new(Kind::Failed, "that is no address of a pull request"))?;
    let forge = forges::of(setup, pull.repository().host()).await?;
    Ok(forge.pull_request(&pull).await?.state)
}

/// Refuses to lose an issue's work while its pull request may need it.
pub(super) async fn check(
    setup: &Setup,
    issue: &IssueRef,
    session: &Session,
) -> Result<(), CliError> {
    match keeps(setup, session).await? {
        None => Ok(()),
        Some(why) => Err(why
            .within(format_args!("{issue} is kept"))
            .or_hint("`--force` destroys it all the same, with work that was not pushed")),
    }
}
