//! Trackers, of which nothing but the protocol can be seen.

use kugetsu_testkit::suite::forges;

use super::Chosen;
use super::report::{Kept, Report};
use crate::errors::CliError;
use crate::setup::Setup;

/// Why nothing can be checked.
const UNSEEN: &str = "kugetsu cannot look into the tracker behind the plugin";

pub(super) fn check(who: &str, chosen: &Chosen, setup: &Setup) -> Result<Report, CliError> {
    let names: Vec<&str> = forges::PROMISES.iter().map(|promise| promise.name).collect();
    let places = chosen.among(&names)?;
    let mut report = Report::begin(setup.screen(), who, "a tracker", places.len())?;
    for place in places {
        report.add(setup.screen(), names[place], Kept::NotChecked(UNSEEN))?;
    }
    Ok(report)
}
