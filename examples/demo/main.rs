//! Try s3mem without an account, a network or a bucket:
//!
//! ```text
//! cargo run --release --example demo
//! ```
//!
//! Starts an S3 server inside the process, mounts a bucket of it that looks
//! like Sentinel-2's on AWS, shows what it can do and what each thing costs,
//! and leaves it mounted until Ctrl-C. With `-- --serve` it mounts nothing, and says how your own
//! `s3mem mount` reaches the server.

#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
#[path = "../../tests/support/mod.rs"]
mod support;

mod mount;
mod siblings;
mod tour;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use crate::mount::{MountPoint, Signals};
use crate::support::server::{ACCESS_KEY, SECRET_KEY, TestServer};
use crate::tour::World;
use crate::tree::{BUCKET, TILE};

/// Mounts a bucket of an S3 server inside this process, shows what that can do,
/// and leaves it mounted until Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "demo")]
struct Arguments {
    /// Mount nothing: serve the bucket until Ctrl-C, for your own 's3mem mount'.
    #[arg(long, conflicts_with_all = ["once", "mount_point", "save_preview"])]
    serve: bool,
    /// End after the tour; the exit code is 0 only if everything was right.
    #[arg(long)]
    once: bool,
    /// Mount here, an empty directory, instead of a fresh one.
    #[arg(long, value_name = "DIR")]
    mount_point: Option<PathBuf>,
    /// Save the preview that the tour makes: the picture in the README.
    #[arg(long, value_name = "FILE")]
    save_preview: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(1) => {
            eprintln!("demo: one step went wrong; look for WRONG above");
            ExitCode::FAILURE
        }
        Ok(wrong) => {
            eprintln!("demo: {wrong} steps went wrong; look for WRONG above");
            ExitCode::FAILURE
        }
        Err(problem) => {
            eprintln!("demo: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Does it all; says how many steps of the tour went wrong.
fn run(arguments: &Arguments) -> Result<usize, String> {
    if !arguments.serve {
        mount::check_machine()?;
    }
    let mut signals = Signals::take_over()?;
    let server = TestServer::start();
    tree::fill(&server);
    if arguments.serve {
        // For a shell: what is told for people stands in comments.
        println!("# The bucket is s3://{BUCKET}. In the terminal where you want to mount it:");
        println!("export AWS_ENDPOINT_URL={}", server.endpoint());
        println!("export AWS_ACCESS_KEY_ID={ACCESS_KEY}");
        println!("export AWS_SECRET_ACCESS_KEY={SECRET_KEY}");
        signals.wait();
        return Ok(0);
    }
    let objects = server.keys(BUCKET).len();
    println!("An S3 server runs in this process, at {}.", server.endpoint());
    println!("Its bucket {BUCKET} holds {objects} objects. s3mem mounts it:\n");

    let point = MountPoint::choose(arguments.mount_point.as_deref())?;
    println!(
        "$ s3mem mount {BUCKET} {} --endpoint-url {} --preview-size {}",
        point.path().display(),
        server.endpoint(),
        mount::PREVIEW_SIZE
    );
    let mounted = mount::mount_it(&server, point.path())?;
    let wrong = tour::tour(&World { server: &server, root: point.path() });
    if let Some(file) = &arguments.save_preview {
        let preview = siblings::sibling(point.path(), ".preview.png");
        fs::copy(&preview, file).map_err(|e| format!("can't save {}: {e}", file.display()))?;
        println!("\nThe preview is saved as {}.", file.display());
    }

    if !arguments.once {
        server.reset_counts();
        suggest(point.path());
        mounted.stay(&mut signals);
        println!("\nWhat you did cost {}.", tour::cost(&server.counts()));
    }
    mounted.unmount(point.path(), &mut signals)?;
    println!("\nUnmounted; nothing was written to disk.");
    Ok(wrong)
}

fn suggest(root: &Path) {
    let (root, tile) = (root.display(), root.join(TILE));
    let tile = tile.display();
    println!(
        "
The bucket stays mounted until you press Ctrl-C. Until then, from another terminal:

  ls -lR {root}/tiles
  md5sum {tile}/*.jp2
  grep -r cloudyPixelPercentage {root}/tiles
  python3 -c 'import matplotlib.image as m; print(m.imread(\"{tile}/B01.jp2\").shape)'
  gdalinfo {tile}/B01.jp2                 (gdal-bin)
  opj_decompress -i {tile}/B01.jp2 -o /tmp/B01.png    (libopenjp2-tools)
  getfattr -d {tile}/B01.jp2              (attr)

Every band has siblings, which ls does not show; programs open them by name:

  cat {tile}/B04.jp2.json
  xdg-open {tile}/B04.jp2.preview.png     (or any viewer)
  python3 -c 'import numpy as n; print(n.load(\"{tile}/B04.jp2.npy\", mmap_mode=\"r\").mean())'
  gdalinfo -checksum {tile}/B04.jp2.tif   (gdal-bin)
  pngcheck {tile}/B04.jp2.png             (pngcheck)
"
    );
}
