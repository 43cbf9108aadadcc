//! Whether an agent may do what it asks for.

use std::path::{Component, Path, PathBuf};

use agent_client_protocol::v1::schema::{
    PermissionOption, PermissionOptionId, PermissionOptionKind, ToolKind,
};

use super::calls::Call;
use crate::config::Permissions;
use crate::text;

/// Who answers an agent that works in one directory.
#[derive(Debug, Clone)]
pub(crate) struct Judge {
    pub(crate) permissions: Permissions,
    /// By its real name.
    pub(crate) directory: PathBuf,
}

/// An answer to a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Which of the options; `None` calls the question off, which no agent may take for a yes.
    pub(super) option: Option<PermissionOptionId>,
    pub(super) is_refused: bool,
}

impl Judge {
    /// Picks the option that does what was asked, once; or the one that refuses it.
    pub(super) fn answer(&self, call: &Call, options: &[PermissionOption]) -> Answer {
        use PermissionOptionKind::{AllowOnce, RejectAlways, RejectOnce};
        let of = |kind| options.iter().find(|option| option.kind == kind);
        // What is allowed for always is asked no more, and may be larger than what is asked now.
        if let (true, Some(allow)) = (self.allows(call), of(AllowOnce)) {
            return Answer { option: Some(allow.option_id.clone()), is_refused: false };
        }
        let refuse = of(RejectOnce).or_else(|| of(RejectAlways));
        Answer { option: refuse.map(|refuse| refuse.option_id.clone()), is_refused: true }
    }

    fn allows(&self, call: &Call) -> bool {
        match self.permissions {
            Permissions::All => true,
            Permissions::Nothing => false,
            Permissions::Worktree => {
                let inside = call.paths.iter().all(|path| self.is_inside(path));
                match call.kind {
                    ToolKind::Execute | ToolKind::Think => inside,
                    ToolKind::Read
                    | ToolKind::Edit
                    | ToolKind::Delete
                    | ToolKind::Move
                    | ToolKind::Search => inside && !call.paths.is_empty(),
                    _ => false,
                }
            }
        }
    }

    /// Whether the path leads to a place in the directory, whatever links are on the way.
    fn is_inside(&self, path: &Path) -> bool {
        // Some agents take this for the user's home.
        if path.starts_with("~") {
            return false;
        }
        let path = self.directory.join(path);
        // What is not there yet would be made in the nearest place that is.
        let mut there = path.as_path();
        let real = loop {
            match there.canonicalize() {
                Ok(real) => break real,
                // A link that leads nowhere may lead anywhere tomorrow.
                Err(_) if there.symlink_metadata().is_ok() => return false,
                Err(_) => match there.parent() {
                    Some(parent) => there = parent,
                    None => return false,
                },
            }
        };
        let climbs = path.components().skip(there.components().count());
        real.starts_with(&self.directory)
            && climbs.into_iter().all(|part| part != Component::ParentDir)
    }
}

/// What was asked for, in a line.
pub(super) fn words(call: &Call) -> String {
    let kind = match call.kind {
        ToolKind::Read => "read",
        ToolKind::Edit => "edit",
        ToolKind::Delete => "delete",
        ToolKind::Move => "move",
        ToolKind::Search => "search",
        ToolKind::Execute => "execute",
        ToolKind::Think => "think",
        ToolKind::Fetch => "fetch",
        ToolKind::SwitchMode => "switch mode",
        _ => "permission",
    };
    let path = call.paths.first().map(|path| path.to_string_lossy().into_owned());
    let words = match (call.title.trim(), path.unwrap_or_default()) {
        ("", path) if path.is_empty() => kind.to_owned(),
        ("", path) => format!("{kind}: {path}"),
        (title, path) if path.is_empty() || title.contains(&path) => format!("{kind}: {title}"),
        (title, path) => format!("{kind}: {title} ({path})"),
    };
    text::first_line(&words, text::LINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(id: &str, kind: PermissionOptionKind) -> PermissionOption {
        PermissionOption::new(PermissionOptionId::new(id), id, kind)
    }

    fn call(kind: ToolKind, paths: &[&str]) -> Call {
        Call { kind, title: "x".into(), paths: paths.iter().map(PathBuf::from).collect() }
    }

    #[test]
    fn what_lies_in_the_worktree_is_allowed_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().canonicalize().unwrap().join("worktree");
        std::fs::create_dir_all(directory.join("src")).unwrap();
        std::os::unix::fs::symlink("/etc", directory.join("out")).unwrap();
        std::os::unix::fs::symlink("/nowhere/yet", directory.join("dangling")).unwrap();
        std::os::unix::fs::symlink("src", directory.join("in")).unwrap();
        let mine = directory.join("src/new/file.rs");
        let mine = mine.to_str().unwrap();
        let beside = directory.with_file_name("worktree2");
        let judge = Judge { permissions: Permissions::Worktree, directory };
        let cases = [
            (call(ToolKind::Edit, &[mine]), true),
            (call(ToolKind::Edit, &["src/a.rs", "in/a.rs"]), true),
            (call(ToolKind::Read, &["."]), true),
            (call(ToolKind::Execute, &[]), true),
            (call(ToolKind::Think, &[]), true),
            (call(ToolKind::Edit, &[]), false),
            (call(ToolKind::Read, &["/etc/hostname"]), false),
            (call(ToolKind::Edit, &[mine, "/etc/hostname"]), false),
            (call(ToolKind::Edit, &["src/../../x"]), false),
            (call(ToolKind::Edit, &["src/new/../../../x"]), false),
            (call(ToolKind::Edit, &["out/passwd"]), false),
            (call(ToolKind::Edit, &["dangling"]), false),
            (call(ToolKind::Edit, &["dangling/x"]), false),
            (call(ToolKind::Edit, &["~/x"]), false),
            (call(ToolKind::Read, &[beside.to_str().unwrap()]), false),
            (call(ToolKind::Execute, &["/"]), false),
            (call(ToolKind::Fetch, &[]), false),
            (call(ToolKind::SwitchMode, &[]), false),
            (call(ToolKind::Other, &["."]), false),
        ];
        for (call, allowed) in cases {
            assert_eq!(judge.allows(&call), allowed, "{call:?}");
            let all = Judge { permissions: Permissions::All, ..judge.clone() };
            let none = Judge { permissions: Permissions::Nothing, ..judge.clone() };
            assert!(all.allows(&call) && !none.allows(&call));
        }
    }

    #[test]
    fn nothing_is_allowed_for_always_and_what_cannot_be_refused_is_called_off() {
        use PermissionOptionKind::{AllowAlways, AllowOnce, RejectAlways, RejectOnce};
        let judge = Judge { permissions: Permissions::Worktree, directory: "/".into() };
        let may = call(ToolKind::Execute, &[]);
        let may_not = call(ToolKind::Fetch, &[]);
        let every = [
            option("always", AllowAlways),
            option("once", AllowOnce),
            option("never", RejectAlways),
            option("no", RejectOnce),
        ];
        let picked = |call: &Call, options: &[PermissionOption]| {
            let answer = judge.answer(call, options);
            (answer.option.map(|option| option.0.to_string()), answer.is_refused)
        };
        assert_eq!(picked(&may, &every), (Some("once".into()), false));
        assert_eq!(picked(&may_not, &every), (Some("no".into()), true));
        assert_eq!(picked(&may_not, &every[..3]), (Some("never".into()), true));
        assert_eq!(picked(&may_not, &every[..2]), (None, true));
        assert_eq!(picked(&may, &every[..1]), (None, true));
        assert_eq!(picked(&may, &[]), (None, true));
    }

    #[test]
    fn what_was_asked_is_told_with_where() {
        assert_eq!(words(&call(ToolKind::Read, &["/etc"])), "read: x (/etc)");
        assert_eq!(
            words(&Call { title: String::new(), ..call(ToolKind::Other, &[]) }),
            "permission"
        );
        let named = Call { title: "/etc\u{1b}[2J".into(), ..call(ToolKind::Other, &["/etc"]) };
        assert_eq!(words(&named), "permission: /etc [2J");
    }
}
