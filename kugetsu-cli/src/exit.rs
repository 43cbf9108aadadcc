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

/// All of them, with what they mean.
pub const ALL: &[(u8, &str)] = &[
    (DONE, "what was asked for is done"),
    (FAILED, "it failed, or was stopped by somebody else's `kugetsu stop`"),
    (NO_SLOT, "no slot is free, or the issue is in use: try again later, or use --wait"),
    (
        USAGE,
        "the command line is wrong, or a confirmation is needed and nobody is there to give it",
    ),
    (DAMAGED, "what is stored is damaged or gone: `kugetsu doctor` says what is wrong"),
    (MISSING, "a program or service that is needed is missing"),
    (TEMPORARY, "a fault that passes, such as a busy store or a provider at its limit"),
    (CONFIG, "the settings are wrong, or kugetsu is not initialised"),
    (INTERRUPTED, "stopped by Ctrl-C or a signal"),
];
