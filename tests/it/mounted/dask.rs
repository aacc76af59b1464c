//! `examples/dask_mosaic.py`: workers of Dask on one mount, and on a mount for each.

use std::env;
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::harness::missing::{missing, not_run};
use crate::harness::mounting::succeeds;
use crate::support::B01_JP2;

/// The Python of the tests, if it has Dask.
fn python() -> Option<String> {
    let Ok(python) = env::var("S3MEM_TEST_PYTHON") else {
        missing("S3MEM_REQUIRE_PROGRAMS", "because S3MEM_TEST_PYTHON is not set");
        return None;
    };
    let found = Command::new(&python).args(["-c", "import dask.distributed, numpy"]).output();
    if !found.is_ok_and(|output| output.status.success()) {
        not_run("because this Python has no Dask");
        return None;
    }
    Some(python)
}

#[test]
fn workers_of_dask_fetch_once_what_two_of_them_want_on_one_mount() {
    let (Some(server), Some(python)) = (server(), python()) else { return };
    for scene in ["1", "2", "3"] {
        server.put(BUCKET, &format!("scenes/{scene}/B04.jp2"), B01_JP2);
    }
    let folder = TempDir::new().unwrap();
    let mosaic = |mounts: &[&Mount], out: &str| {
        let out = folder.path().join(out);
        let mounts: Vec<&str> = mounts.iter().map(|mount| mount.path().to_str().unwrap()).collect();
        let (_, cost) = cost_of(&server, || {
            succeeds(
                Command::new(&python)
                    .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/dask_mosaic.py"))
                    .args([&mounts.join(","), "scenes/*/B04.jp2", "100", "100", "512", "512"])
                    .arg(&out)
                    .args(["--workers", "2"])
                    .current_dir(folder.path()),
            )
        });
        (fs::read(out).unwrap(), cost)
    };
    let one = mount(&server, &[]);
    let (right, of_one) = mosaic(&[&one], "one.npy");
    one.end();
    let each = [mount(&server, &[]), mount(&server, &[])];
    let (again, of_two) = mosaic(&[&each[0], &each[1]], "two.npy");
    each.into_iter().for_each(Mount::end);
    println!("on one mount {of_one:?}, on two {of_two:?}");
    assert!(again == right);
    // The three scenes are the same, so the median is each of them.
    let image = right.len() - 512 * 512 * 4;
    assert!(right[image..].chunks_exact(4).any(|sample| sample != [0; 4]));
    let size = B01_JP2.len() as u64;
    assert!(of_one.bytes < 3 * size, "{of_one:?}");
    assert!(of_two.bytes * 2 > of_one.bytes * 3, "each mount fetches for itself: {of_two:?}");
    assert!(of_two.get > of_one.get, "{of_two:?}");
}
