//! Issues and pull requests on GitHub, Gitea, Forgejo and GitLab.

#![warn(missing_docs, unreachable_pub)]
