//! git worktrees for kugetsu: one bare clone a repository, one worktree an issue.
