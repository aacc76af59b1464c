//! The command as it is typed: the real program, in an environment without any
//! AWS configuration of the machine that the tests run on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::server::{ACCESS_KEY, SECRET_KEY, TestServer};

pub(crate) const S3MEM: &str = env!("CARGO_BIN_EXE_s3mem");
/// No command of these tests takes so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A home folder, a mount point, and an environment that knows nothing else.
pub(crate) struct Shell {
    dir: TempDir,
    pub(crate) mount_point: PathBuf,
    variables: Vec<(String, String)>,
}

impl Shell {
    pub(crate) fn new() -> Self {
        let dir = TempDir::with_prefix("s3mem-cli-").unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        let mount_point = root.join("mnt");
        fs::create_dir(&mount_point).unwrap();
        let variables = [
            ("HOME", root.to_str().unwrap()),
            ("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"),
            ("LC_ALL", "C.UTF-8"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("S3MEM", S3MEM),
        ];
        let variables = variables.map(|(name, value)| (name.into(), value.into())).to_vec();
        Shell { dir, mount_point, variables }
    }

    /// A shell in which `server` is the endpoint and its credentials are set.
    pub(crate) fn on(server: &TestServer) -> Self {
        Shell::new()
            .set("AWS_ENDPOINT_URL", &server.endpoint())
            .set("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .set("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .set("AWS_REGION", "us-east-1")
    }

    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.into(), value.into()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().canonicalize().unwrap().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn mount_point(&self) -> &str {
        self.mount_point.to_str().unwrap()
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.variables.iter().cloned()).current_dir(self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs s3mem to its end; for a mount in the background, until it is usable.
    pub(crate) fn s3mem(&self, arguments: &[&str]) -> Ran {
        Ran::finish(self.command(S3MEM).args(arguments).spawn().unwrap())
    }

    /// Mounts `source` on the mount point, in the background.
    pub(crate) fn mount(&self, source: &str, flags: &[&str]) -> Ran {
        self.s3mem(&[&["mount", source, self.mount_point()], flags].concat())
    }

    pub(crate) fn umount(&self) -> Ran {
        self.s3mem(&["umount", self.mount_point()])
    }

    /// Unmounts without a word to the daemon, as root may. Until its exec, a program that
    /// another test starts has our open files, and the mount is busy.
    #[track_caller]
    pub(crate) fn umount_past_the_daemon(&self) {
        wait_until("it is unmounted", || {
            let ran = Ran::finish(self.command("umount").arg(&self.mount_point).spawn().unwrap());
            assert!(ran.code == Some(0) || ran.stderr.contains("busy"), "{ran:?}");
            ran.code == Some(0)
        });
    }

    /// Runs a script as root in mounts of its own, so that it may change the
    /// machine as it sees it; `$S3MEM` is the program and `$MNT` the mount point.
    pub(crate) fn script_as_root(&self, script: &str) -> Ran {
        // The copies of other tests' mounts would keep these alive.
        let alone = r#"awk '/ - fuse\.s3mem / && $5 != ENVIRON["MNT"] { print $5 }' /proc/self/mountinfo |
            while read -r point; do umount -lc "$point" 2> /dev/null || true; done"#;
        let script = format!("{alone}\n{script}");
        let mut bash = self.command("unshare");
        bash.args(["--mount", "--", "bash", "-eu", "-c", &script]).env("MNT", &self.mount_point);
        Ran::finish(bash.spawn().unwrap())
    }

    pub(crate) fn is_mounted(&self) -> bool {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        // As the kernel writes it.
        let escapes = [('\\', r"\134"), (' ', r"\040"), ('\t', r"\011"), ('\n', r"\012")];
        let point = escapes
            .iter()
            .fold(self.mount_point().to_owned(), |point, (c, escape)| point.replace(*c, escape));
        table.contains(&format!(" {point} "))
    }

    /// The process that serves the mount point.
    pub(crate) fn daemon(&self) -> Option<u32> {
        fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let words = fs::read(entry.path().join("cmdline")).ok()?;
            let is_ours = |word: &[u8]| word == self.mount_point().as_bytes();
            let mut words = words.split(|byte| *byte == 0);
            (words.next()?.ends_with(b"s3mem") && words.any(is_ours)).then_some(id)
        })
    }
}

impl Drop for Shell {
    /// Leaves no mount behind, whatever the test left.
    fn drop(&mut self) {
        if self.is_mounted() {
            for unmount in [["umount", "-l"], ["fusermount3", "-uz"]] {
                let _ = self.command(unmount[0]).arg(unmount[1]).arg(&self.mount_point).output();
            }
        }
    }
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Waits until the program has ended and its output is closed.
    #[track_caller]
    pub(crate) fn finish(child: Child) -> Ran {
        let id = child.id();
        let (tell, outcome) = mpsc::channel();
        thread::spawn(move || tell.send(child.wait_with_output()));
        let Ok(output) = outcome.recv_timeout(PATIENCE) else {
            signal("KILL", id);
            panic!("the command hangs, or something it started keeps its output open");
        };
        let Output { status, stdout, stderr } = output.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Succeeded, silently.
    #[track_caller]
    pub(crate) fn succeeds(&self) {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
    }

    /// Failed with one sentence on standard error that contains all of `parts`.
    #[track_caller]
    pub(crate) fn fails_with(&self, parts: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(1), ""), "{self:?}");
        assert!(self.stderr.starts_with("s3mem: "), "{self:?}");
        assert_eq!(self.stderr.matches('\n').count(), 1, "not one line: {self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is missing in: {}", self.stderr);
        }
        assert!(!self.stderr.contains(SECRET_KEY), "{self:?}");
    }

    /// Was refused as misuse, with a text that contains all of `parts`.
    #[track_caller]
    pub(crate) fn is_misuse_with(&self, parts: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(2), ""), "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is missing in: {}", self.stderr);
        }
    }
}

pub(crate) fn signal(name: &str, process: u32) {
    let kill = Command::new("kill").args(["-s", name, &process.to_string()]).status().unwrap();
    assert!(kill.success(), "no process {process} for SIG{name}");
}

#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether `path` answers as a folder with these names in it.
#[track_caller]
pub(crate) fn assert_lists(path: &Path, names: &[&str]) {
    let mut found: Vec<String> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, names);
}
