//! worktrees
fn main() {}
