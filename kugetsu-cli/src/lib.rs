//! The kugetsu command: a team of coding agents on a team's issues.
