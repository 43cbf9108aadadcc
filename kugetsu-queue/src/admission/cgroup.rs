//! The memory cgroups that this process is in, of either version.

use std::fs;
use std::path::{Path, PathBuf};

use super::machine::{Memory, some_avg10};

/// Where cgroups are mounted: version 2, and version 1's for memory.
const MOUNTS: [&str; 2] = ["sys/fs/cgroup", "sys/fs/cgroup/memory"];

/// What version 1 says where there is no limit is about this; no machine has that much.
const NO_LIMIT: u64 = 1 << 60;

/// What is seen of the groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// What is left within all limits.
    pub(super) memory: Option<Memory>,
    /// The pressure in the innermost one.
    pub(super) pressure: Option<f64>,
}

/// How one version of cgroups calls its files.
struct Files {
    limit: &'static str,
    usage: &'static str,
    /// Pages of files that were not used for a while, in `memory.stat`: the kernel gives them away
    /// before it ends anybody.
    idle: &'static str,
}

const V2: Files = Files { limit: "memory.max", usage: "memory.current", idle: "inactive_file" };
const V1: Files = Files {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    idle: "total_inactive_file",
};

pub(super) fn look(root: &Path) -> Groups {
    let Ok(told) = fs::read_to_string(root.join("proc/self/cgroup")) else {
        return Groups::default();
    };
    let mut groups = Groups::default();
    for line in told.lines() {
        // `0::/path` in version 2, `4:memory:/path` in version 1.
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(kinds), Some(path)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let (mount, files) = if kinds.is_empty() {
            (root.join(MOUNTS[0]), &V2)
        } else if kinds.split(',').any(|kind| kind == "memory") {
            (root.join(MOUNTS[1]), &V1)
        } else {
            continue;
        };
        let inner = innermost(&mount, path);
        if let Ok(text) = fs::read_to_string(inner.join("memory.pressure")) {
            groups.pressure = some_avg10(&text);
        }
        let outward = inner.ancestors().take_while(|group| group.starts_with(&mount));
        for memory in outward.filter_map(|group| limited(group, files)) {
            groups.memory = Some(groups.memory.map_or(memory, |other| other.narrower(memory)));
        }
    }
    groups
}

/// The directory of the group. In a container the path may be the host's, while what is mounted is the
/// group itself.
fn innermost(mount: &Path, path: &str) -> PathBuf {
    let group = mount.join(path.trim_start_matches('/'));
    if group.is_dir() { group } else { mount.to_owned() }
}

/// The memory of a group that has a limit.
fn limited(group: &Path, files: &Files) -> Option<Memory> {
    let number = |name: &str| -> Option<u64> {
        fs::read_to_string(group.join(name)).ok()?.trim().parse().ok()
    };
    // `max` is no number.
    let limit = number(files.limit).filter(|limit| *limit < NO_LIMIT)?;
    let usage = number(files.usage)?;
    let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let idle = stat.lines().find_map(|line| line.strip_prefix(files.idle)?.trim().parse().ok());
    let available = limit.saturating_sub(usage.saturating_sub(idle.unwrap_or(0)));
    Some(Memory::new(available.min(limit), limit))
}
