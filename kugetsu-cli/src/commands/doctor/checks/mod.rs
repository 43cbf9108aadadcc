//! The checks. Looking changes nothing.

pub(super) mod directory;
mod left_over;
pub(super) mod programs;
pub(super) mod queue;
pub(super) mod servers;
pub(super) mod sessions;
pub(super) mod settings;
pub(super) mod store;
pub(super) mod worktrees;

use std::cell::Cell;

use crate::errors::CliError;
use crate::setup::Setup;

use super::finding::Finding;

/// What a check comes to.
pub(super) type Found = Result<Vec<Finding>, CliError>;

/// One look at everything.
pub(super) struct Examination<'a> {
    pub(super) setup: &'a Setup,
    /// The settings that make no sense, in words and with what to do; all others hold.
    pub(super) mistakes: Vec<CliError>,
    /// Whether the store can be used, so that what is in it can be looked at.
    pub(super) has_store: Cell<bool>,
}

impl<'a> Examination<'a> {
    pub(super) fn new(setup: &'a Setup) -> Self {
        Self { setup, mistakes: setup.make_do(), has_store: Cell::new(false) }
    }
}
