//! A group of processes to which the system gives so much and no more.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::Duration;

use super::missing::not_run;

/// Where the groups of the first version have a folder for each controller, and those of the
/// second are.
const GROUPS: &str = "/sys/fs/cgroup";
const ATTEMPTS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(20);

/// A group of its own; removed in the end, when its processes have ended.
#[derive(Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// A group with this limit of memory; `None`, which is noted, where none can be made.
    pub(crate) fn with_memory(bytes: u64) -> Option<Cgroup> {
        let limit = |path: &Path| {
            let both = ["memory.limit_in_bytes", "memory.max"].map(|name| path.join(name));
            let file = both.iter().find(|file| file.exists()).ok_or(io::ErrorKind::NotFound)?;
            fs::write(file, bytes.to_string())
        };
        made("memory", limit)
    }

    /// A group whose threads are counted, and can be limited; `None`, which is noted, where none
    /// can be made.
    pub(crate) fn with_threads() -> Option<Cgroup> {
        made("pids", |path| fs::write(path.join("pids.max"), "max"))
    }

    /// A process that writes its number here is in the group.
    pub(crate) fn tasks(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }

    /// From now on there may be as many threads as there are.
    pub(crate) fn forbid_threads(&self) {
        fs::write(self.path.join("pids.max"), self.told("pids.current").trim()).unwrap();
    }

    /// There may be any number of threads again.
    pub(crate) fn allow_threads(&self) {
        fs::write(self.path.join("pids.max"), "max").unwrap();
    }

    /// How often the system refused a thread.
    pub(crate) fn refused_threads(&self) -> u64 {
        number_behind(&self.told("pids.events"), "max").unwrap_or_default()
    }

    /// How many processes the system has killed for want of memory.
    pub(crate) fn killed(&self) -> u64 {
        let files = ["memory.oom_control", "memory.events"].map(|name| self.path.join(name));
        let text = files.iter().find_map(|file| fs::read_to_string(file).ok()).unwrap();
        number_behind(&text, "oom_kill").unwrap()
    }

    fn told(&self, file: &str) -> String {
        fs::read_to_string(self.path.join(file)).unwrap()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for _ in 0..ATTEMPTS {
            if fs::remove_dir(&self.path).is_ok() {
                return;
            }
            thread::sleep(PAUSE);
        }
    }
}

fn number_behind(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

fn made(controller: &str, limit: impl Fn(&Path) -> io::Result<()>) -> Option<Cgroup> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let folders = own.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?.trim_start_matches('/'));
        match controllers {
            "" => Some([Path::new(GROUPS).join(path), GROUPS.into()]),
            one if one == controller => {
                let all = Path::new(GROUPS).join(controller);
                Some([all.join(path), all])
            }
            _ => None,
        }
    });
    let mut reason = io::Error::from(io::ErrorKind::NotFound);
    for folder in folders.flatten() {
        // In the second version a group's children have what it passes on; one with processes
        // passes on nothing, and then there is another way or none.
        let _ = fs::write(folder.join("cgroup.subtree_control"), format!("+{controller}"));
        let path = folder.join(format!("s3mem-test-{controller}-{}", process::id()));
        match fs::create_dir(&path).and_then(|()| limit(&path)) {
            Ok(()) => return Some(Cgroup { path }),
            Err(error) => reason = error,
        }
        let _ = fs::remove_dir(&path);
    }
    not_run(&format!("because no group of processes with {controller} can be made: {reason}"));
    None
}
