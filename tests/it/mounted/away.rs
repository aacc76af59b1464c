//! A server that is away for a minute: `scripts/soak.sh away` runs it. Who may wait notices
//! nothing but the time, who may not gets `EIO` within his deadline, and afterwards all is well
//! on the same mounts.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;

use super::*;
use crate::harness::gate::Gate;
use crate::harness::mounting::PROGRAM;
use crate::support::B01_JP2;
use crate::support::server::{ACCESS_KEY, Effect, Fault, SECRET_KEY};

/// How long it is away, in seconds, where nobody says it.
const SECONDS: u64 = 60;
const SIZE: u64 = 64 * MIB;
/// What the impatient mount has, and by when a program there has its answer, on a busy machine
/// and where an operation takes several requests.
const DEADLINE: &str = "3";
const ANSWERED: Duration = Duration::from_secs(30);
const FLAGS: [&str; 8] = [
    "--memory",
    "256M",
    "--writes",
    "upload",
    "--metadata-ttl",
    "3600",
    "--allow-overwrite",
    "--allow-delete",
];

/// How a server is away.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// Connections are cut and refused.
    Refusing,
    /// It takes requests and says nothing.
    Silent,
}

fn save(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    file.write_all(bytes)?;
    nix::unistd::close(file).map_err(io::Error::from)
}

fn pending(mount: &Mount) -> Vec<Value> {
    let status = Command::new(PROGRAM).args(["status", "--json"]).arg(mount.path()).output();
    let status: Value = serde_json::from_slice(&status.unwrap().stdout).unwrap();
    status["pending"].as_array().unwrap().clone()
}

/// A server and two mounts of it, through a gate.
struct Scene {
    server: TestServer,
    patient: Mount,
    short: Mount,
    preview: Vec<u8>,
}

impl Scene {
    fn new(seconds: u64) -> Option<(Scene, Gate)> {
        let server = server()?;
        (0..3).for_each(|n| drop(server.put_pattern(BUCKET, &format!("large/{n}"), SIZE, n)));
        (0..3).for_each(|n| drop(server.put(BUCKET, &format!("images/{n}.jp2"), B01_JP2)));
        server.put(BUCKET, "written/", "");
        let gate = Gate::to(&server.endpoint());
        let at = || Mounting::at(&gate.endpoint(), ACCESS_KEY, SECRET_KEY, BUCKET).with(FLAGS);
        // As long as it is away, and the time of a busy machine.
        let patience = (seconds + 120).to_string();
        let patient = at().with(["--request-timeout", &patience]).in_foreground();
        let short = at().with(["--request-timeout", DEADLINE]).in_foreground();
        for mount in [&patient, &short] {
            assert_eq!(names(&mount.join("large")).len(), 3);
            assert_eq!(names(&mount.join("images")).len(), 3);
            assert_eq!(names(&mount.join("written")), [""; 0]);
            reads_pattern(&File::open(mount.join("large/0")).unwrap(), 0, 0..MIB);
        }
        let preview = fs::read(patient.join("images/0.jp2.preview.png")).unwrap();
        assert_eq!(fs::read(short.join("images/0.jp2.preview.png")).unwrap(), preview);
        Some((Scene { server, patient, short, preview }, gate))
    }

    fn has(&self, key: &str, bytes: &[u8]) -> bool {
        let object = self.server.get(BUCKET, key);
        object.is_some_and(|object| object.content.slice(0..object.content.size()) == *bytes)
    }

    /// What whoever may wait does meanwhile, all at once.
    fn waits(&self) {
        thread::scope(|scope| {
            scope.spawn(|| reads_whole_pattern(&self.patient.join("large/0"), 0));
            scope.spawn(|| reads_whole_pattern(&self.patient.join("large/1"), 1));
            scope.spawn(|| {
                let preview = fs::read(self.patient.join("images/1.jp2.preview.png")).unwrap();
                assert!(preview == self.preview);
            });
            scope.spawn(|| {
                let none = fs::metadata(self.patient.join("written/none"));
                assert!(errno(none) == libc::ENOENT);
            });
            for (name, length) in [("small", 100_000), ("parts", 40 * MIB as usize)] {
                let path = self.patient.join("written").join(name);
                scope.spawn(move || save(&path, &vec![7; length]).unwrap());
            }
        });
    }

    /// What whoever may not wait does, again and again; how often.
    fn gives_up(&self, is_over: &AtomicBool) -> u64 {
        let answers = AtomicU64::new(0);
        let again = |work: &dyn Fn(u64)| {
            for round in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let begun = Instant::now();
                work(round);
                assert!(begun.elapsed() < ANSWERED, "{:?}", begun.elapsed());
                answers.fetch_add(1, Ordering::Relaxed);
            }
        };
        let short = |name: String| self.short.join(name);
        thread::scope(|scope| {
            scope.spawn(|| {
                let file = File::open(short("large/1".into())).unwrap();
                again(&|round| {
                    let at = round % 60 * MIB;
                    assert_eq!(errno(part(&file, at..at + 4096)), libc::EIO);
                });
            });
            scope.spawn(|| {
                again(&|_| {
                    let seen = fs::read(short("images/2.jp2.preview.png".into()));
                    assert_eq!(errno(seen), libc::EIO);
                });
            });
            scope.spawn(|| {
                again(&|round| {
                    let saved = save(&short(format!("written/w{round}")), b"meanwhile");
                    assert_eq!(errno(saved), libc::EIO);
                });
            });
            // What is in memory stays there to be read.
            scope.spawn(|| {
                let file = File::open(short("large/0".into())).unwrap();
                again(&|_| {
                    reads_pattern(&file, 0, 0..MIB);
                    let preview = fs::read(short("images/0.jp2.preview.png".into())).unwrap();
                    assert!(preview == self.preview);
                    assert_eq!(names(&short("large".into())).len(), 3);
                    thread::sleep(Duration::from_millis(500));
                });
            });
        });
        answers.into_inner()
    }
}

/// Has the server away in this way for so long, with programs at work.
fn away(way: Way, seconds: u64) {
    let Some((scene, mut gate)) = Scene::new(seconds) else { return };
    match way {
        Way::Refusing => gate.close(),
        Way::Silent => drop(scene.server.fault(Fault::new(Effect::Hang))),
    }
    let is_over = AtomicBool::new(false);
    let before = scene.server.counts().requests();
    let answers = thread::scope(|scope| {
        let waits = scope.spawn(|| scene.waits());
        let gives_up = scope.spawn(|| scene.gives_up(&is_over));
        thread::sleep(Duration::from_secs(seconds));
        assert!(!waits.is_finished(), "it waits");
        is_over.store(true, Ordering::Relaxed);
        let answers = gives_up.join().unwrap();
        match way {
            Way::Refusing => gate.open(),
            Way::Silent => {
                scene.server.clear_faults();
                scene.server.release();
            }
        }
        waits.join().unwrap();
        answers
    });
    // The same mounts, without another word.
    assert!(scene.has("written/small", &[7; 100_000]));
    assert!(scene.has("written/parts", &vec![7; 40 * MIB as usize]));
    for mount in [&scene.patient, &scene.short] {
        (0..3).for_each(|n| reads_whole_pattern(&mount.join(format!("large/{n}")), n));
        for n in 0..3 {
            let preview = fs::read(mount.join(format!("images/{n}.jp2.preview.png"))).unwrap();
            assert!(preview == scene.preview, "{n}");
        }
    }
    assert_eq!(errno(fs::metadata(scene.short.join("written/never"))), libc::ENOENT);
    save(&scene.short.join("written/after"), b"afterwards").unwrap();
    assert!(scene.has("written/after", b"afterwards"));
    // What programs were told to have failed is there by itself, sooner or later.
    let start = Instant::now();
    while !pending(&scene.short).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(400), "{:?}", pending(&scene.short));
        thread::sleep(Duration::from_millis(500));
    }
    assert!(scene.has("written/w0", b"meanwhile"));
    assert!(pending(&scene.patient).is_empty());
    let requests = scene.server.counts().requests() - before;
    println!(
        "away ({way:?}): {seconds} s, {answers} answers meanwhile, {requests} requests in all, \
         all sent after {:.0} s",
        start.elapsed().as_secs_f64()
    );
    scene.patient.end();
    scene.short.end();
    assert_eq!(scene.server.open_uploads(BUCKET), [""; 0]);
}

#[test]
#[ignore = "it takes as long as it is told to: scripts/soak.sh away"]
fn a_server_that_refuses_connections_for_a_minute_is_found_again() {
    away(Way::Refusing, seconds());
}

#[test]
#[ignore = "it takes as long as it is told to: scripts/soak.sh away"]
fn a_server_that_is_silent_for_a_minute_is_found_again() {
    away(Way::Silent, seconds());
}

fn seconds() -> u64 {
    env::var("S3MEM_AWAY_SECONDS").map_or(SECONDS, |text| text.parse().unwrap())
}
