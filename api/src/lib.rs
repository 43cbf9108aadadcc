//! What the workspace promises as a whole to whoever builds on it; all of it is in the tests.
//!
//! `kugetsu-core.txt` and `kugetsu-testkit.txt` beside this crate's manifest are the public surface
//! that follows semantic versioning. A change that shows in them is renewed with
//! `UPDATE_API=1 cargo test -p kugetsu-api surface` and read like code.
