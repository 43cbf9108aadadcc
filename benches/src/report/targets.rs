//! What is aimed at, path by path.

use std::collections::BTreeMap;

use super::agents::Run;
use super::measured::Group;

/// One aim.
#[derive(Debug)]
pub struct Target {
    /// As it is counted.
    pub number: &'static str,
    /// What it is about, and in what.
    pub path: &'static str,
    /// The most that it may be.
    pub most: f64,
    /// Where it is measured.
    pub group: &'static str,
    /// Of what.
    pub function: &'static str,
    /// Compared with what; the group's yardstick if nothing is named.
    pub beside: Option<&'static str>,
    /// Where it is told why it is missed, if it is.
    pub limit: Option<&'static str>,
}

/// How a target fared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// It was so much, which is good.
    Met(f64),
    /// It was so much, which is too much.
    Missed(f64),
    /// Nobody measured it.
    Unmeasured,
    /// A test holds it.
    Test,
}

impl Target {
    /// How it fared in what was measured.
    pub fn judge(&self, groups: &BTreeMap<String, Group>, runs: &[Run]) -> Verdict {
        let value = match self.group {
            "test" => return Verdict::Test,
            "capacity" => super::agents::figure(self.function, runs),
            group => groups.get(group).and_then(|group| match self.beside {
                None => group.ratio(self.function),
                Some(other) => Some(group.ratio(self.function)? / group.ratio(other)?),
            }),
        };
        match value {
            Some(value) if value <= self.most => Verdict::Met(value),
            Some(value) => Verdict::Missed(value),
            None => Verdict::Unmeasured,
        }
    }
}

/// All of them.
pub const TARGETS: &[Target] = &[];
