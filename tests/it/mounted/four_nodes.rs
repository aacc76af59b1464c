//! MinIO with four nodes on this machine and its own erasure coding: a node dies and comes back in
//! the middle of reads, uploads in parts and renames. What a program was told is so, and what
//! it was not told did not happen.

use std::env;
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tempfile::TempDir;

use super::*;
use crate::harness::backend::sdk;
use crate::harness::missing::{can_mount, missing};
use crate::support::pattern::pattern_bytes;

const NODES: usize = 4;
const ACCESS_KEY: &str = "four-nodes";
const SECRET_KEY: &str = "four-nodes-of-a-test";
/// How long four nodes may take to find each other.
const PATIENCE: Duration = Duration::from_secs(120);
/// More than memory holds.
const READ: [(&str, u64, u64); 2] = [("one", 48 * MIB, 1), ("two", 48 * MIB, 2)];
/// A file in parts.
const WRITTEN_BYTES: u64 = 20 * MIB;

/// An address of this machine that is not loopback's, where there is one: in a container MinIO
/// waits until its nodes have such addresses. Nothing is sent.
fn own_address() -> IpAddr {
    let found = || -> io::Result<IpAddr> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect("198.51.100.1:9")?;
        Ok(socket.local_addr()?.ip())
    };
    found().unwrap_or(Ipv4Addr::LOCALHOST.into())
}

/// Ports that are free. Below 32768 the kernel gives them to nobody by itself, so that a node finds
/// its own again.
fn free_ports() -> Vec<u16> {
    let start = 16_384 + (std::process::id() % 4000) as u16 * 4;
    let is_free = |port: &u16| TcpListener::bind(("0.0.0.0", *port)).is_ok();
    (start..32_768).filter(is_free).take(NODES).collect()
}

/// The processes of one server.
struct Nodes {
    program: String,
    folder: TempDir,
    address: IpAddr,
    ports: Vec<u16>,
    running: Vec<Option<Child>>,
}

impl Nodes {
    /// Four nodes that have found each other; nothing where there is no MinIO.
    fn start() -> Option<Self> {
        let Ok(program) = env::var("S3MEM_TEST_MINIO_PROGRAM") else {
            missing("S3MEM_REQUIRE_MINIO", "on MinIO, because S3MEM_TEST_MINIO_PROGRAM is not set");
            return None;
        };
        let ports = free_ports();
        let folder = TempDir::new().unwrap();
        let address = own_address();
        let mut nodes = Nodes { program, folder, address, ports, running: Vec::new() };
        nodes.running = (0..NODES).map(|node| Some(nodes.launch(node))).collect();
        (0..NODES).for_each(|node| nodes.wait_for(node));
        Some(nodes)
    }

    fn data(&self, node: usize) -> PathBuf {
        self.folder.path().join(format!("data{node}"))
    }

    fn launch(&self, node: usize) -> Child {
        fs::create_dir_all(self.data(node)).unwrap();
        let all =
            (0..NODES).map(|other| format!("{}{}", self.url(other), self.data(other).display()));
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join(format!("log{node}")))
            .unwrap();
        Command::new(&self.program)
            .args(["server", "--address", &format!("{}:{}", self.address, self.ports[node])])
            .args(all)
            .env("MINIO_ROOT_USER", ACCESS_KEY)
            .env("MINIO_ROOT_PASSWORD", SECRET_KEY)
            .envs([("MINIO_BROWSER", "off"), ("MINIO_UPDATE", "off"), ("MINIO_CI_CD", "1")])
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    fn url(&self, node: usize) -> String {
        format!("http://{}:{}", self.address, self.ports[node])
    }

    /// Waits until a node answers a request that takes the others.
    fn wait_for(&self, node: usize) {
        let client = sdk(&self.url(node), ACCESS_KEY, SECRET_KEY);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let begun = Instant::now();
        while runtime.block_on(client.list_buckets().send()).is_err() {
            let log = || fs::read_to_string(self.folder.path().join(format!("log{node}")));
            assert!(begun.elapsed() < PATIENCE, "node {node} does not answer: {:?}", log());
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn kill(&mut self, node: usize) {
        let mut child = self.running[node].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn come_back(&mut self, node: usize) {
        self.running[node] = Some(self.launch(node));
        self.wait_for(node);
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for child in self.running.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What programs did meanwhile.
#[derive(Debug, Default)]
struct Seen {
    reads: AtomicU64,
    failed_reads: AtomicU64,
    writes: AtomicU64,
    failed_writes: AtomicU64,
    renames: AtomicU64,
    failed_renames: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Reads files over and over: the bytes are right, or there is an error.
fn reads(folder: &Path, seen: &Seen, is_over: &AtomicBool) {
    for (name, size, seed) in READ.iter().cycle() {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let path = folder.join(name);
        match fs::read(&path) {
            Ok(bytes) => {
                assert_eq!(bytes.len() as u64, *size);
                assert_pattern(*seed, 0, &bytes);
                count(&seen.reads);
            }
            Err(_) => count(&seen.failed_reads),
        }
        // The kernel has them, too.
        if let Ok(file) = File::open(&path) {
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        }
    }
}

/// Writes files in parts and renames each; those of which all was well, and those whose rename
/// failed.
fn writes(folder: &Path, seen: &Seen, is_over: &AtomicBool) -> (Vec<u64>, Vec<u64>) {
    let (mut renamed, mut written) = (Vec::new(), Vec::new());
    for number in 100.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let path = folder.join(format!("new-{number}"));
        let write = || -> io::Result<()> {
            let mut file = File::create(&path)?;
            io::Write::write_all(&mut file, &pattern_bytes(number, 0..WRITTEN_BYTES))?;
            file.sync_all()
        };
        if write().is_err() {
            count(&seen.failed_writes);
            continue;
        }
        count(&seen.writes);
        match fs::rename(&path, folder.join(format!("done-{number}"))) {
            Ok(()) => {
                count(&seen.renames);
                renamed.push(number);
            }
            Err(_) => {
                count(&seen.failed_renames);
                written.push(number);
            }
        }
    }
    (renamed, written)
}

fn is_whole(path: &Path, seed: u64) -> bool {
    let Ok(bytes) = fs::read(path) else { return false };
    bytes.len() as u64 == WRITTEN_BYTES && pattern_mismatch(seed, 0, &bytes).is_none()
}

#[test]
fn minio_of_four_nodes_loses_one_and_gets_it_back_and_no_byte_is_wrong() {
    if !can_mount() {
        return;
    }
    let Some(mut nodes) = Nodes::start() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = sdk(&nodes.url(0), ACCESS_KEY, SECRET_KEY);
    runtime.block_on(client.create_bucket().bucket(BUCKET).send()).unwrap();
    for (name, size, seed) in READ {
        let body = pattern_bytes(seed, 0..size).into();
        runtime.block_on(client.put_object().bucket(BUCKET).key(name).body(body).send()).unwrap();
    }
    let flags = ["--memory=192M", "--writes=upload", "--write-memory=128M"];
    let mount = Mounting::at(&nodes.url(0), ACCESS_KEY, SECRET_KEY, BUCKET)
        .with(flags)
        .with(["--request-timeout=15", "--metadata-ttl=1"])
        .in_foreground();
    let (seen, is_over) = (Seen::default(), AtomicBool::new(false));
    let (renamed, written) = thread::scope(|scope| {
        let reader = scope.spawn(|| reads(mount.path(), &seen, &is_over));
        let writer = scope.spawn(|| writes(mount.path(), &seen, &is_over));
        let more = |counter: &AtomicU64| {
            let before = counter.load(Ordering::Relaxed);
            until("work goes on", || counter.load(Ordering::Relaxed) > before);
        };
        more(&seen.renames);
        // A node that the mount does not speak to: the other three have what it had.
        nodes.kill(2);
        more(&seen.reads);
        more(&seen.renames);
        nodes.come_back(2);
        more(&seen.renames);
        // The one that it speaks to.
        nodes.kill(0);
        thread::sleep(Duration::from_secs(2));
        nodes.come_back(0);
        more(&seen.reads);
        more(&seen.renames);
        is_over.store(true, Ordering::Relaxed);
        reader.join().unwrap();
        writer.join().unwrap()
    });
    println!("{seen:?}");
    mount.end();
    // Through another node, and after another one has died.
    nodes.kill(1);
    let again = Mounting::at(&nodes.url(3), ACCESS_KEY, SECRET_KEY, BUCKET);
    let mount = again.with(["--memory=256M"]).in_foreground();
    for (name, _, seed) in READ {
        reads_whole_pattern(&mount.join(name), seed);
    }
    assert!(renamed.len() >= 4, "{renamed:?}");
    for number in renamed {
        let (old, new) = (format!("new-{number}"), format!("done-{number}"));
        assert!(is_whole(&mount.join(new), number), "{number} was renamed");
        assert!(!mount.join(old).exists(), "{number} was renamed, and is at its old name too");
    }
    for number in written {
        let is_there = ["new", "done"]
            .iter()
            .any(|name| is_whole(&mount.join(format!("{name}-{number}")), number));
        assert!(is_there, "{number} was written, and its rename failed");
    }
    // Whatever else is there has no wrong byte: what a program has given up may be shorter.
    for name in names(mount.path()) {
        if let Some((_, number)) = name.split_once('-') {
            let bytes = fs::read(mount.join(&name)).unwrap();
            assert_pattern(number.parse().unwrap(), 0, &bytes);
        }
    }
    mount.end();
}
