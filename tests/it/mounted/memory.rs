//! Memory stays within what `--memory` says, whatever is read.

use std::env;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Beside the budget: code (30 MiB of it), stacks, the allocator's slack.
const BESIDE_BYTES: u64 = 56 * MIB;

/// The most that is resident with so much memory: half a MiB is on its way in each GET.
fn most_bytes(memory: u64) -> u64 {
    memory + BESIDE_BYTES + (memory / (4 * MIB)).clamp(16, 96) * MIB / 2
}

#[test]
fn resident_memory_stays_in_its_budget_while_64_readers_stream_64_files() {
    let Some(server) = server() else { return };
    // The full size takes about a minute: S3MEM_TEST_FULL_SIZE=1 asks for it.
    let is_full = env::var_os("S3MEM_TEST_FULL_SIZE").is_some_and(|value| value == "1");
    let size = if is_full { 256 * MIB } else { 64 * MIB };
    for n in 0..64 {
        server.put_pattern(BUCKET, &format!("{n}"), size, n);
    }
    let memory = 128 * MIB;
    let mount = mount(&server, &["--memory", "128M"]);
    let is_over = AtomicBool::new(false);
    let (peak, cost) = cost_of(&server, || {
        thread::scope(|scope| {
            let sampler = scope.spawn(|| {
                let mut peak = 0;
                while !is_over.load(Ordering::Relaxed) {
                    peak = mount.memory_bytes("VmRSS").max(peak);
                    thread::sleep(Duration::from_millis(50));
                }
                peak
            });
            let readers: Vec<_> = (0..64)
                .map(|n| {
                    let path = mount.join(format!("{n}"));
                    scope.spawn(move || reads_whole_pattern(&path, n))
                })
                .collect();
            let outcomes: Vec<_> = readers.into_iter().map(|reader| reader.join()).collect();
            is_over.store(true, Ordering::Relaxed);
            assert!(outcomes.iter().all(Result::is_ok));
            sampler.join().unwrap()
        })
    });
    // The kernel counts per thread and sums up now and then: either may be ahead.
    let most = mount.memory_bytes("VmHWM").max(peak);
    println!("64 x {} MiB: peak {} MiB, {cost:?}", size / MIB, most / MIB);
    assert!(most <= most_bytes(memory), "{most} bytes resident");
    let asked = 64 * size;
    assert!((asked..=asked + asked / 50).contains(&cost.bytes), "{cost:?} for {asked}");
    mount.end();
}

#[test]
fn memory_keeps_to_its_budget_whatever_that_is_while_64_files_are_streamed() {
    let Some(server) = server() else { return };
    let size = 16 * MIB;
    for n in 0..64 {
        server.put_pattern(BUCKET, &format!("{n}"), size, n);
    }
    for (flag, memory) in [("64M", 64 * MIB), ("256M", 256 * MIB), ("4G", 4 * GIB)] {
        let mount = mount(&server, &["--memory", flag]);
        let ((), cost) = cost_of(&server, || {
            thread::scope(|scope| {
                for n in 0..64 {
                    let path = mount.join(format!("{n}"));
                    scope.spawn(move || reads_whole_pattern(&path, n));
                }
            });
        });
        let most = mount.memory_bytes("VmHWM");
        println!("--memory {flag}: 64 x 16 MiB with {} MiB at most, {cost:?}", most / MIB);
        // Of 4 GiB all files take one.
        let held = memory.min(64 * size + 64 * MIB);
        assert!(most <= most_bytes(held), "--memory {flag}: {most} bytes resident");
        let asked = 64 * size;
        // Where memory is as short as this, some of what was fetched ahead is dropped unread.
        assert!((asked..=asked + asked / 20).contains(&cost.bytes), "--memory {flag}: {cost:?}");
        mount.end();
    }
}

#[test]
fn a_thousand_small_reads_of_a_thousand_large_files_stay_in_the_budget() {
    let Some(server) = server() else { return };
    for n in 0..1000 {
        server.put_pattern(BUCKET, &format!("{n}"), GIB, n);
    }
    let mount = mount(&server, &["--memory", "64M"]);
    let mut files = Vec::new();
    for n in 0..1000 {
        // Left open: a handle may cost little, too.
        let file = File::open(mount.join(format!("{n}"))).unwrap();
        let at = n * MIB / 2;
        assert_pattern(n, at, &part(&file, at..at + 200_000).unwrap());
        files.push(file);
    }
    let most = mount.memory_bytes("VmHWM");
    println!("1,000 open files: peak {} MiB", most / MIB);
    assert!(most <= most_bytes(64 * MIB), "{most} bytes resident");
    drop(files);
    mount.end();
}
