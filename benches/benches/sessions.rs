//! sessions
fn main() {}
