//! What is written has a path and is on no disk: the kernel's own counters say so.

use std::process::Command;

use super::*;

/// The daemon's log is a file; nothing else of a mount is.
const LOG_BYTES: u64 = 64 << 10;

/// A program that knows file names only: it saves, opens by name, and tells what it
/// has caused to be written to disks.
const PROGRAM: &str = "\
import sys
name, size = sys.argv[1], int(sys.argv[2])
with open(name, 'wb') as f:
    for at in range(0, size, 1 << 20):
        f.write(bytes([at >> 20 & 255]) * (1 << 20))
with open(name, 'rb') as f:
    assert len(f.read()) == size
io = dict(line.split(': ') for line in open('/proc/self/io').read().splitlines())
print(io['write_bytes'])
";

#[test]
fn bytes_in_memory_get_a_file_name_and_touch_no_disk() {
    for flags in [&["--writes", "memory"][..], &["--writes", "upload"]] {
        let Some(server) = server() else { return };
        let mounting = Mounting::of(&server, BUCKET)
            .with(["--memory", "256M", "--allow-core-dumps"])
            .with(flags);
        let mount = mounting.in_foreground();
        let before = mount.disk_bytes();
        let size = 40 * MIB;
        let output = Command::new("python3")
            .args(["-c", PROGRAM])
            .arg(mount.path().join("result.bin"))
            .arg(size.to_string())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let by_program: u64 = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
        // What goes through the daemon goes through the page cache, which the kernel
        // counts as if it were a disk's; where that ends is the daemon.
        if flags.contains(&"memory") {
            assert_eq!(by_program, 0, "the program wrote to a disk");
        }
        let by_daemon = mount.disk_bytes() - before;
        assert!(by_daemon <= LOG_BYTES, "{flags:?}: the daemon wrote {by_daemon} bytes to a disk");
        mount.end();
    }
}
