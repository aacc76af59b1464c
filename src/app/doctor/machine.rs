//! What the doctor looks at on this machine.

use std::fs;
use std::path::Path;

use super::finding::Finding;
use crate::app::mount_point::{self, MountPointError};
use crate::app::mount_table::MountTable;
use crate::app::prerequisites::{self, Missing};
use crate::config::{self, Environment};
use crate::sys;

/// Below this the kernel does not read and write files in memory by itself.
const PASSTHROUGH: (u32, u32) = (6, 9);
/// Files that programs have open or have written are open files of the daemon's.
const FEW_OPEN_FILES: u64 = 4096;
/// Less memory than this is tight for images.
const LITTLE_MEMORY: u64 = 1 << 30;

/// Looks at the machine, as this user sees it; with `allow_other` also at what that needs.
pub(super) fn look(
    mount_point: Option<&Path>,
    allow_other: bool,
    environment: &Environment,
) -> Vec<Finding> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let mut findings = vec![kernel(&read("/proc/sys/kernel/osrelease"))];
    findings.extend(fuse(prerequisites::check(allow_other, environment), environment));
    findings.push(namespaces(
        &read("/proc/sys/user/max_user_namespaces"),
        &read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
    ));
    findings.push(open_files(&read("/proc/self/limits")));
    findings.push(memory(environment.memory_limit_bytes));
    if let Some(path) = mount_point {
        findings.push(folder(path));
    }
    findings
}

fn kernel(release: &str) -> Finding {
    let release = release.trim();
    let mut numbers = release.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or_default());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    match version >= PASSTHROUGH {
        true => Finding::good("kernel", format!("Linux {release}")),
        false => Finding::good(
            "kernel",
            format!("Linux {release}; with 6.9 or later, --writes memory is faster as root"),
        ),
    }
}

/// The device and the program that mounts.
fn fuse(checked: Result<(), Missing>, environment: &Environment) -> Vec<Finding> {
    let device = Finding::good("fuse-device", "/dev/fuse can be opened");
    let mounts = match environment.fusermount() {
        _ if sys::may_mount() => "this user may mount without it".to_owned(),
        Some(path) => format!("{} mounts for this user", path.display()),
        None => "it is not installed".to_owned(),
    };
    let program = Finding::good("fusermount3", mounts);
    match checked {
        Ok(()) => vec![device, program],
        Err(missing) => {
            let says = missing.to_string();
            match missing {
                Missing::Device => {
                    vec![Finding::problem("fuse-device", says).mended_by("sudo modprobe fuse")]
                }
                Missing::DeviceAccess(_) => {
                    vec![
                        Finding::problem("fuse-device", says).mended_by("sudo chmod 666 /dev/fuse"),
                    ]
                }
                Missing::Fusermount => vec![
                    device,
                    Finding::problem("fusermount3", says).mended_by("sudo apt install fuse3"),
                ],
                Missing::NewPrivileges => vec![
                    device,
                    Finding::problem("fusermount3", says)
                        .mended_by("s3mem mount --rootless BUCKET"),
                ],
                Missing::UserAllowOther => vec![
                    device,
                    program,
                    Finding::problem("allow-other", says)
                        .mended_by("echo user_allow_other | sudo tee -a /etc/fuse.conf"),
                ],
            }
        }
    }
}

/// Whether `s3mem run` could mount for users who may not.
fn namespaces(most: &str, restricted: &str) -> Finding {
    let check = "user-namespaces";
    let without =
        "s3mem run needs fusermount3 here, because users can't have namespaces of their own";
    if sys::may_mount() {
        return Finding::good(check, "not needed: this user may mount");
    }
    match (most.trim().parse::<u64>(), restricted.trim()) {
        (Ok(0), _) => Finding::warning(check, format!("{without} (user.max_user_namespaces is 0)"))
            .mended_by("sudo sysctl user.max_user_namespaces=15000"),
        (_, "1") => Finding::warning(check, format!("{without} (AppArmor restricts them)"))
            .mended_by("sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
        _ => Finding::good(check, "s3mem run can mount without fusermount3"),
    }
}

fn open_files(limits: &str) -> Finding {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    // The soft limit, which the daemon raises, and the hard one.
    let hard = line.and_then(|line| line.split_whitespace().nth(1)).unwrap_or("unlimited");
    match hard.parse::<u64>() {
        Ok(limit) if limit < FEW_OPEN_FILES => Finding::warning(
            "open-files",
            format!(
                "a process may have {limit} open files: with --writes, each written file is one"
            ),
        )
        .mended_by("ulimit -Hn 65536 (as root, or in /etc/security/limits.conf)"),
        _ => Finding::good("open-files", format!("a process may have {hard} open files")),
    }
}

fn memory(limit_bytes: Option<u64>) -> Finding {
    let Some(bytes) = limit_bytes else {
        return Finding::warning("memory", "the system does not say how much memory there is")
            .mended_by("s3mem mount --memory 1G ...");
    };
    let (all, quarter) = (config::show_size(bytes), config::show_size(bytes / 4));
    let says =
        format!("{all} for this machine, container or job; --memory is {quarter} by default");
    match bytes < LITTLE_MEMORY {
        true => Finding::warning("memory", format!("{says}, which is little for large images")),
        false => Finding::good("memory", says),
    }
}

/// Whether the folder can be mounted on. Nothing is changed, not even a dead mount of ours.
fn folder(typed: &Path) -> Finding {
    let check = "mount-point";
    let looked = || -> Result<Finding, MountPointError> {
        let path = mount_point::resolve(typed)?;
        let table = MountTable::read()
            .map_err(|cause| MountPointError::Unreadable { path: path.clone(), cause })?;
        if let Some(mounted) = table.on(&path).filter(|mounted| !mounted.is_automount()) {
            let by = if mounted.is_s3mem() { "s3mem" } else { "something else" };
            let says = format!("{} has a mount of {by} on it already", path.display());
            let command = format!("s3mem umount {}", quoted(&path));
            return Ok(Finding::problem(check, says).mended_by(command));
        }
        mount_point::check_folder(&path)?;
        Ok(Finding::good(check, format!("{} can be mounted on", path.display())))
    };
    looked().unwrap_or_else(|error| {
        let finding = Finding::problem(check, error.to_string());
        match error {
            MountPointError::Missing(path) => {
                finding.mended_by(format!("mkdir -p {}", quoted(&path)))
            }
            _ => finding,
        }
    })
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Outcome;
    use super::*;

    #[test]
    fn a_limit_of_few_open_files_is_a_warning() {
        let of = |hard: &str| {
            open_files(&format!("Limit  Soft  Hard\nMax open files   1024   {hard}   files\n"))
        };
        assert_eq!(of("1024").outcome, Outcome::Warning);
        assert_eq!(of("524288").outcome, Outcome::Good);
        assert_eq!(of("unlimited").outcome, Outcome::Good);
        assert!(of("1024").says.contains("1024 open files"));
    }

    #[test]
    fn what_is_missing_for_fuse_is_a_problem_with_a_command() {
        let environment = Environment::default();
        let found = |missing| fuse(Err(missing), &environment).pop().unwrap();
        for missing in [Missing::Device, Missing::Fusermount, Missing::UserAllowOther] {
            let finding = found(missing);
            assert_eq!(finding.outcome, Outcome::Problem, "{finding:?}");
            assert!(finding.command.is_some(), "{finding:?}");
        }
        assert!(fuse(Ok(()), &environment).iter().all(|f| f.outcome == Outcome::Good));
    }

    #[test]
    fn a_kernel_without_passthrough_is_good_with_a_remark() {
        assert!(kernel("6.1.0-13-amd64\n").says.contains("6.9 or later"));
        assert_eq!(kernel("6.12.3").says, "Linux 6.12.3");
        assert_eq!(kernel("10.0").says, "Linux 10.0");
    }

    #[test]
    fn a_folder_that_does_not_exist_is_made_by_the_command() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(folder(dir.path()).outcome, Outcome::Good);
        let missing = folder(&dir.path().join("it's"));
        assert_eq!(missing.outcome, Outcome::Problem);
        assert!(missing.command.unwrap().ends_with("it'\\''s'"));
        std::fs::write(dir.path().join("x"), "").unwrap();
        assert!(folder(dir.path()).says.contains("not empty"));
    }

    #[test]
    fn little_memory_is_a_warning() {
        assert_eq!(memory(Some(512 << 20)).outcome, Outcome::Warning);
        assert_eq!(memory(Some(8 << 30)).says.matches("GiB").count(), 2);
        assert_eq!(memory(None).outcome, Outcome::Warning);
    }
}
