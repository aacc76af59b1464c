//! Mixed work under faults for as long as one likes: `scripts/soak.sh` runs it. Whatever was read
//! and written was right, and in the end everything is back where it was.

use std::collections::BTreeMap;
use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;

use super::*;
use crate::harness::mounting::PROGRAM;
use crate::support::B01_JP2;
use crate::support::server::{Effect, Fault, Op, Refusal};

/// How long, in seconds, where nobody says it.
const SECONDS: u64 = 120;
const FILES: u64 = 8;
const SIZE: u64 = 24 * MIB;
const MEMORY: u64 = 256 * MIB;
/// Beside the budget: code, stacks, what the allocator keeps, and bodies on their way.
const BESIDE: u64 = 80 * MIB;
const ENDINGS: [&str; 4] = ["png", "tif", "npy", "json"];

/// What is under way, and what was done.
struct Soak<'s> {
    server: &'s TestServer,
    mount: &'s Mount,
    siblings: BTreeMap<&'static str, Vec<u8>>,
    is_over: AtomicBool,
    operations: AtomicU64,
}

impl Soak<'_> {
    /// Whether to go on, after one more operation.
    fn goes_on(&self) -> bool {
        self.operations.fetch_add(1, Ordering::Relaxed);
        !self.is_over.load(Ordering::Relaxed)
    }

    /// Ranges of large files, at random and in order.
    fn read(&self, seed: u64) {
        let mut dice = Dice(seed);
        while self.goes_on() {
            let n = dice.below(FILES);
            let file = File::open(self.mount.join(format!("large/{n}"))).unwrap();
            let length = [4096, 200_000, 3 * MIB][dice.below(3) as usize];
            let at = dice.below(SIZE - length);
            reads_pattern(&file, n, at..at + length);
        }
    }

    /// Siblings of images, whole and in part.
    fn look(&self, seed: u64) {
        let mut dice = Dice(seed);
        while self.goes_on() {
            let ending = ENDINGS[dice.below(ENDINGS.len() as u64) as usize];
            let (right, n) = (&self.siblings[ending], dice.below(4));
            let file = File::open(self.mount.join(format!("images/{n}.jp2.{ending}"))).unwrap();
            let at = dice.below(right.len() as u64);
            let end = (at + 300_000).min(right.len() as u64);
            assert!(part(&file, at..end).unwrap() == right[at as usize..end as usize], "{ending}");
        }
    }

    /// Directories, and names that are not there.
    fn list(&self) {
        let mut n = 0;
        while self.goes_on() {
            n += 1;
            assert_eq!(names(&self.mount.join("many")).len(), 1500);
            assert_eq!(
                errno(fs::metadata(self.mount.join(format!("many/none {n}")))),
                libc::ENOENT
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Makes, replaces, renames and deletes files of its own; gives what is to be there.
    fn write(&self, seed: u64) -> BTreeMap<String, Vec<u8>> {
        let (mut dice, mut mine) = (Dice(seed), BTreeMap::<String, Vec<u8>>::new());
        let folder = self.mount.join("written");
        let mut round = 0_u64;
        while self.goes_on() {
            round += 1;
            let any = mine.keys().nth(dice.below(mine.len().max(1) as u64) as usize).cloned();
            match (dice.below(6), any) {
                (0, Some(name)) => {
                    fs::remove_file(folder.join(&name)).unwrap();
                    mine.remove(&name);
                }
                (1, Some(name)) => {
                    let new = format!("{seed} moved {round}");
                    let renamed = fs::rename(folder.join(&name), folder.join(&new));
                    renamed.unwrap_or_else(|error| panic!("{name}: {error}: {}", self.mount.log()));
                    let bytes = mine.remove(&name).unwrap();
                    self.is_in_the_bucket(&new, &bytes);
                    mine.insert(new, bytes);
                }
                (2, Some(name)) => {
                    assert!(fs::read(folder.join(&name)).unwrap() == mine[&name], "{name}");
                }
                (way, any) => {
                    // An old name is replaced; there are never more than so many.
                    let is_new = way > 3 && mine.len() < 20;
                    let name = any.filter(|_| !is_new);
                    let name = name.unwrap_or_else(|| format!("{seed} made {round}"));
                    let length = [10, 70_000, MIB, 18 * MIB][(dice.below(9) / 2).min(3) as usize];
                    let bytes = vec![dice.below(256) as u8; length as usize];
                    let mut file = OpenOptions::new();
                    let file = file.write(true).create(true).truncate(true);
                    let mut file = file.open(folder.join(&name)).unwrap();
                    file.write_all(&bytes).unwrap();
                    let closed = nix::unistd::close(file);
                    closed.unwrap_or_else(|error| panic!("{name}: {error}: {}", self.mount.log()));
                    self.is_in_the_bucket(&name, &bytes);
                    mine.insert(name, bytes);
                }
            }
        }
        mine
    }

    /// What was closed or renamed is in the bucket by then.
    fn is_in_the_bucket(&self, name: &str, bytes: &[u8]) {
        let object = self.server.get(BUCKET, &format!("written/{name}"));
        let there = object.map(|object| object.content.slice(0..object.content.size()));
        assert!(
            there.as_ref().is_some_and(|there| *there == *bytes),
            "{name}: {}",
            difference(name, there.as_deref().unwrap_or_default(), bytes, self.mount)
        );
    }

    /// One fault after the other, each of which passes.
    fn fail(&self) {
        let mut dice = Dice(99);
        let effects = [
            Effect::Refuse(Refusal::InternalError),
            Effect::Refuse(Refusal::SlowDown),
            Effect::Refuse(Refusal::Other(502, "BadGateway")),
            Effect::Drop,
            Effect::DropAnswer,
            Effect::TruncateAfter(1000),
            Effect::ResetAfter(50_000),
            Effect::ShortenTo(30),
            Effect::Delay(Duration::from_millis(300)),
        ];
        let ops = [Op::List, Op::Get, Op::Put, Op::UploadPart, Op::CompleteUpload, Op::Delete];
        while self.goes_on() {
            let effect = effects[dice.below(effects.len() as u64) as usize].clone();
            let op = ops[dice.below(ops.len() as u64) as usize];
            let fault = self.server.fault(Fault::new(effect).on(op).times(2));
            thread::sleep(Duration::from_millis(400));
            self.server.clear_fault(fault);
        }
    }

    fn status(&self) -> Value {
        let status =
            Command::new(PROGRAM).args(["status", "--json"]).arg(self.mount.path()).output();
        serde_json::from_slice(&status.unwrap().stdout).unwrap()
    }

    /// What a daemon has open that is no connection: those go away by themselves.
    fn files(&self) -> usize {
        let open = self.mount.what_is_open();
        open.iter().filter(|file| !file.to_string_lossy().starts_with("socket:")).count()
    }
}

/// How an object of one byte over and over differs from what was written, and what was asked
/// for it.
fn difference(name: &str, there: &[u8], bytes: &[u8], mount: &Mount) -> String {
    let told = |bytes: &[u8]| format!("{} x {:?}", bytes.len(), bytes.first());
    let (log, key) = (mount.log(), format!("written/{name}"));
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(&key)).collect();
    format!("{} where {} was written: {}", told(there), told(bytes), lines.join("\n"))
}

/// All kinds of work at once, for so long; what writers left.
fn work(soak: &Soak<'_>, time: Duration) -> BTreeMap<String, Vec<u8>> {
    soak.is_over.store(false, Ordering::Relaxed);
    let left = thread::scope(|scope| {
        (1..5).for_each(|seed| drop(scope.spawn(move || soak.read(seed))));
        (5..7).for_each(|seed| drop(scope.spawn(move || soak.look(seed))));
        scope.spawn(|| soak.list());
        scope.spawn(|| soak.fail());
        let writers: Vec<_> = (7..10).map(|seed| scope.spawn(move || soak.write(seed))).collect();
        thread::sleep(time);
        soak.is_over.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    soak.server.clear_faults();
    left
}

#[test]
#[ignore = "it takes as long as it is told to: scripts/soak.sh"]
fn everything_is_right_and_in_the_end_back_where_it_was() {
    let Some(server) = server() else { return };
    let seconds = env::var("S3MEM_SOAK_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    for n in 0..FILES {
        server.put_pattern(BUCKET, &format!("large/{n}"), SIZE, n);
    }
    (0..4).for_each(|n| drop(server.put(BUCKET, &format!("images/{n}.jp2"), B01_JP2)));
    server.put_many(BUCKET, (0..1500).map(|n| (format!("many/{n}"), "x")));
    server.put(BUCKET, "written/", "");
    let flags = ["--writes", "upload", "--allow-overwrite", "--allow-delete"];
    let mount = Mounting::of(&server, BUCKET).with(["--memory", "256M", "--metadata-ttl", "5"]);
    let mount =
        mount.with(flags).with(["--request-timeout", "60", "--log-level", "debug"]).in_foreground();
    let siblings = ENDINGS
        .map(|ending| (ending, fs::read(mount.join(format!("images/0.jp2.{ending}"))).unwrap()));
    let (is_over, operations) = (AtomicBool::new(false), AtomicU64::new(0));
    let siblings = siblings.into();
    let soak = Soak { server: &server, mount: &mount, siblings, is_over, operations };
    // Once, so that everything that is there to stay is there.
    for name in work(&soak, Duration::from_secs(3)).into_keys() {
        fs::remove_file(mount.join("written").join(name)).unwrap();
    }
    assert!(server.wait_idle(Duration::from_secs(30)));
    let before = soak.files();
    let left = work(&soak, Duration::from_secs(seconds));
    assert!(server.wait_idle(Duration::from_secs(30)));
    until("all is in the bucket and closed", || {
        let status = soak.status();
        status["open_files"] == 0 && status["pending"].as_array().unwrap().is_empty()
    });
    let mut keys: Vec<String> = left.keys().map(|name| format!("written/{name}")).collect();
    keys.push("written/".to_owned());
    keys.sort();
    let there = server.keys(BUCKET).into_iter().filter(|key| key.starts_with("written/"));
    assert_eq!(there.collect::<Vec<_>>(), keys);
    for (name, bytes) in &left {
        let object = server.get(BUCKET, &format!("written/{name}")).unwrap();
        let there = object.content.slice(0..object.content.size());
        assert!(there == *bytes, "{name}: {}", difference(name, &there, bytes, &mount));
    }
    assert_eq!(server.open_uploads(BUCKET), [""; 0]);
    // Now and then one more is open for a moment.
    until("no more is open than before", || soak.files() <= before);
    let (most, now) = (mount.memory_bytes("VmHWM"), mount.memory_bytes("VmRSS"));
    assert!(most <= MEMORY + BESIDE, "{} MiB at most", most / MIB);
    let status = soak.status();
    let memory = &status["memory"];
    assert!(memory["used_bytes"].as_u64().unwrap() <= MEMORY, "{memory}");
    assert_eq!(lines(&mount, "ERROR", ""), [""; 0]);
    // Nobody asks for anything any more.
    let requests = server.counts().requests();
    thread::sleep(Duration::from_secs(2));
    assert_eq!(server.counts().requests(), requests);
    println!(
        "soak: {} operations in {seconds} s, {requests} requests, {} files left, {} MiB at most, {} MiB now, {} files open",
        soak.operations.load(Ordering::Relaxed),
        left.len(),
        most / MIB,
        now / MIB,
        soak.files(),
    );
    mount.end();
}
