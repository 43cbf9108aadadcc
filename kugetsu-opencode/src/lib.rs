//! Runs opencode as kugetsu's coding agent.
