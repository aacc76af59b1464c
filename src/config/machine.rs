//! How much memory this process may use: what the machine has, or what the
//! control group (a container, a batch job) leaves of it.

use std::fs;
use std::path::Path;

/// The bytes that this process may use at most, as the machine under `root`
/// (`/`) says; `None` if it says nothing.
pub(super) fn memory_limit(root: &Path) -> Option<u64> {
    let limits = [total_memory(root), group_limit_v2(root), group_limit_v1(root)];
    limits.into_iter().flatten().min()
}

fn total_memory(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Control groups of version 2: one tree, `0::/path`, each level may set a limit.
fn group_limit_v2(root: &Path) -> Option<u64> {
    let group = group_path(root, |controllers| controllers.is_empty())?;
    smallest_limit(&root.join("sys/fs/cgroup"), &group, "memory.max")
}

/// Control groups of version 1: a tree for each controller, `5:memory:/path`.
fn group_limit_v1(root: &Path) -> Option<u64> {
    let group =
        group_path(root, |controllers| controllers.split(',').any(|name| name == "memory"))?;
    smallest_limit(&root.join("sys/fs/cgroup/memory"), &group, "memory.limit_in_bytes")
}

fn group_path(root: &Path, is_ours: impl Fn(&str) -> bool) -> Option<String> {
    let text = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        is_ours(controllers).then(|| path.trim_start_matches('/').to_owned())
    })
}

/// The smallest limit of the group and all above it. In a container the path may
/// be one of the host that is not visible here; its own group is then the top of
/// the tree, which the walk reaches.
fn smallest_limit(tree: &Path, group: &str, file: &str) -> Option<u64> {
    let deepest = tree.join(group);
    deepest
        .ancestors()
        .take_while(|level| level.starts_with(tree))
        .filter_map(|level| fs::read_to_string(level.join(file)).ok())
        // "max", or in version 1 a number near 2^63, means no limit.
        .filter_map(|text| text.trim().parse::<u64>().ok())
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemFree: 1 kB\nMemTotal:       16777216 kB\n");

    #[test]
    fn without_a_group_the_machines_memory_is_the_limit() {
        assert_eq!(memory_limit(machine(&[MEMINFO]).path()), Some(16 << 30));
        assert_eq!(memory_limit(machine(&[]).path()), None);
    }

    #[test]
    fn the_smallest_limit_on_the_way_up_counts_in_version_2() {
        let dir = machine(&[
            MEMINFO,
            ("proc/self/cgroup", "0::/user.slice/job\n"),
            ("sys/fs/cgroup/user.slice/job/memory.max", "max\n"),
            ("sys/fs/cgroup/user.slice/memory.max", "2147483648\n"),
        ]);
        assert_eq!(memory_limit(dir.path()), Some(2 << 30));
    }

    #[test]
    fn a_container_sees_its_own_limit_at_the_top_in_version_1() {
        let dir = machine(&[
            MEMINFO,
            ("proc/self/cgroup", "9:cpu:/x\n5:hugetlb,memory:/docker/abc\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n"),
        ]);
        assert_eq!(memory_limit(dir.path()), Some(1 << 30));
    }

    #[test]
    fn no_limit_in_version_1_is_the_machines_memory() {
        let dir = machine(&[
            MEMINFO,
            ("proc/self/cgroup", "5:memory:/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        assert_eq!(memory_limit(dir.path()), Some(16 << 30));
    }
}
