//! How it is told, to people and to programs, and by what exit code.

use std::fs;

use super::breakage::{set_mode, sql, worked};
use crate::desk::ISSUE;

#[test]
fn people_read_what_is_wrong_why_it_matters_and_how_it_is_mended() {
    let desk = worked();
    desk.run(&["queue", "enqueue", ISSUE, "Do it."]).done();
    set_mode(&desk.kugetsu("env/default.env"), 0o644);
    set_mode(&desk.kugetsu("logs"), 0o755);
    fs::write(desk.kugetsu("config.toml"), "max_concurrent_agent = 3\n").unwrap();
    sql(&desk, "UPDATE session SET document = '{\"\u{1b}[31m\": 1}' WHERE kind LIKE '%pm%'");
    let seen = desk.transcript(&[
        &["doctor"],
        &["doctor", "--json"],
        &["doctor", "--fix"],
        &["doctor", "--fix-permissions"],
        &["doctor", "--fix-permissions", "--json"],
    ]);
    desk.assert("doctor", &seen);
    fs::write(desk.kugetsu("config.toml"), "").unwrap();
    // A warning that is left is told, and fails nothing.
    let told = desk.run(&["doctor"]).done();
    assert!(told.out.contains("1 warning."), "{}", told.shown());
}
