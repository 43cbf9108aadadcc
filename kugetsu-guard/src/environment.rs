//! Changes to an environment.

use std::ffi::{OsStr, OsString};
use std::fmt;

/// Changes to an environment, in order. It may hold secrets and never shows a value.
#[derive(Clone, Default)]
pub struct Environment(Vec<(OsString, Option<OsString>)>);

impl Environment {
    /// No changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a variable.
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.0.push((name.into(), Some(value.into())));
        self
    }

    /// Removes a variable.
    pub fn without(mut self, name: impl Into<OsString>) -> Self {
        self.0.push((name.into(), None));
        self
    }

    /// These changes, and then those of another.
    pub fn then(mut self, another: &Self) -> Self {
        self.0.extend(another.0.iter().cloned());
        self
    }

    /// Each change, in order: a variable's name, and its value unless it is removed.
    pub fn changes(&self) -> &[(OsString, Option<OsString>)] {
        &self.0
    }

    /// What the variable will be in a process that inherits ours with these changes.
    pub fn value_of(&self, name: &str) -> Option<OsString> {
        match self.0.iter().rev().find(|(changed, _)| changed == OsStr::new(name)) {
            Some((_, value)) => value.clone(),
            None => std::env::var_os(name),
        }
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), Some(value.into()))).collect())
    }
}

impl Extend<(OsString, Option<OsString>)> for Environment {
    fn extend<I: IntoIterator<Item = (OsString, Option<OsString>)>>(&mut self, changes: I) {
        self.0.extend(changes);
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}
