//! The exit codes of `kugetsu`. They are public: scripts rely on them.

/// What was asked for is done.
pub const DONE: u8 = 0;
/// It failed, and doing the same again would fail again.
pub const FAILED: u8 = 1;
/// No slot is free, or somebody else works on the issue: try again later, or use `--wait`.
pub const NO_SLOT: u8 = 2;
/// The command line is wrong.
pub const USAGE: u8 = 64;
/// What is stored is damaged: `kugetsu doctor` says what is wrong.
pub const DAMAGED: u8 = 65;
/// A program or service that is needed is missing.
pub const MISSING: u8 = 69;
/// A fault that passes: a locked store, a server that is down.
pub const TEMPORARY: u8 = 75;
/// The settings are wrong, or kugetsu is not initialised.
pub const CONFIG: u8 = 78;
/// Stopped by Ctrl-C or a signal.
pub const INTERRUPTED: u8 = 130;
