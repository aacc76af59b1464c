//! What the environment of the process says, read once.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::machine;
use crate::sys;

/// The parts of the environment that settings depend on.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `PATH`, where programs are searched.
    pub path: OsString,
    /// `FUSERMOUNT_PATH`, a program that mounts for ordinary users.
    pub fusermount: Option<PathBuf>,
    /// `AWS_PROFILE`, unless it is empty.
    pub profile: Option<String>,
    /// `AWS_ENDPOINT_URL_S3`, or else `AWS_ENDPOINT_URL`, unless they are empty.
    pub endpoint_url: Option<String>,
    /// `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS`: whether what variables and profiles say of the
    /// server's address is passed over.
    pub ignores_endpoints: bool,
    /// The variable that is not set although the other half of the access key is.
    pub missing_half_of_key: Option<&'static str>,
    /// `AWS_CONFIG_FILE`, or else `~/.aws/config`.
    pub profile_file: Option<PathBuf>,
    /// `AWS_CA_BUNDLE`, a file of certificates, unless it is empty.
    pub ca_bundle: Option<PathBuf>,
    /// The bytes of memory that the machine or the control group allows.
    pub memory_limit_bytes: Option<u64>,
    /// Whether the kernel has SELinux, and so takes the labels of a mount.
    pub has_selinux: bool,
    /// `XDG_RUNTIME_DIR`, an ordinary user's folder that lasts as long as the session.
    pub runtime_folder: Option<PathBuf>,
    /// `S3MEM_TOKEN`, what everybody has to know who asks `s3mem serve`.
    pub token: Option<String>,
    /// `SOURCE_DATE_EPOCH`, the time that files which are made shall bear, in seconds.
    pub source_date: Option<u64>,
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        let text = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let missing_half_of_key = match ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(text) {
            [Some(_), None] => Some("AWS_SECRET_ACCESS_KEY"),
            [None, Some(_)] => Some("AWS_ACCESS_KEY_ID"),
            _ => None,
        };
        Environment {
            missing_half_of_key,
            profile_file: text("AWS_CONFIG_FILE")
                .or_else(|| Some(text("HOME")? + "/.aws/config"))
                .map(PathBuf::from),
            ca_bundle: text("AWS_CA_BUNDLE").map(PathBuf::from),
            path: env::var_os("PATH").unwrap_or_default(),
            fusermount: env::var_os("FUSERMOUNT_PATH").map(PathBuf::from),
            profile: text("AWS_PROFILE"),
            endpoint_url: text("AWS_ENDPOINT_URL_S3").or_else(|| text("AWS_ENDPOINT_URL")),
            ignores_endpoints: text("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
                .is_some_and(|text| text.eq_ignore_ascii_case("true")),
            memory_limit_bytes: machine::memory_limit(Path::new("/")),
            has_selinux: Path::new("/sys/fs/selinux/enforce").exists(),
            runtime_folder: env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from),
            token: text("S3MEM_TOKEN"),
            source_date: text("SOURCE_DATE_EPOCH").and_then(|text| text.parse().ok()),
        }
    }

    /// Where daemons of a user keep sockets and locks, the best folder first. Somebody else
    /// does not know a user's `XDG_RUNTIME_DIR`, but where it usually is.
    pub fn runtime_folders(&self, user: u32) -> Vec<PathBuf> {
        let mut folders = Vec::new();
        if user == 0 {
            folders.push(PathBuf::from("/run/s3mem"));
        } else {
            let own = self.runtime_folder.iter().filter(|_| user == sys::effective_uid());
            folders.extend(own.filter(|folder| folder.is_absolute()).map(|f| f.join("s3mem")));
            folders.push(PathBuf::from(format!("/run/user/{user}/s3mem")));
        }
        folders.push(PathBuf::from(format!("/tmp/s3mem-{user}")));
        folders.dedup();
        folders
    }

    /// The program that mounts and unmounts for ordinary users, if it is installed.
    pub fn fusermount(&self) -> Option<PathBuf> {
        if let Some(path) = &self.fusermount {
            return Some(path.clone());
        }
        let folders: Vec<PathBuf> =
            env::split_paths(&self.path).chain(["/usr/bin".into(), "/bin".into()]).collect();
        // Version 3 first, as the kernel library searches too.
        ["fusermount3", "fusermount"]
            .iter()
            .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
            .find(|path| path.is_file())
    }
}
