//! Programs that nobody here wrote, on a real mount: each opens a path and must
//! give the same result as on a local copy.
//!
//! Which files and what is compared is in `tests/programs/` (Python). Here they
//! are uploaded to the server in the process, and each program is given a mount
//! of its own, so that nothing is in memory before it asks. What writes into the
//! bucket writes into one on MinIO too, where there is one. `scripts/test.sh` sets
//! `S3MEM_TEST_PYTHON`; without it these tests are noted as not run.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::harness::backend::{Backend, backends};
use crate::harness::missing::{can_mount, missing};
use crate::harness::mounting::{BUCKET, Mounting, both, succeeds};
use crate::support::server::TestServer;

/// Each 7th of the images that `scripts/images.sh --make` makes, some 280.
const SHARE_OF_IMAGES: &str = "7";
/// How check.py says that the program is not on this machine.
const NOT_INSTALLED: i32 = 77;

#[test]
fn pillow_decodes_the_same_pixels() {
    gives_the_same_result("pillow");
}

#[test]
fn matplotlib_imread_opens_a_band_by_its_path() {
    gives_the_same_result("matplotlib");
}

#[test]
fn opencv_decodes_the_same_pixels_and_frames() {
    gives_the_same_result("opencv");
}

#[test]
fn rasterio_reads_the_same_windows_and_overviews() {
    gives_the_same_result("rasterio");
}

#[test]
fn numpy_maps_the_same_arrays() {
    gives_the_same_result("numpy");
}

#[test]
fn h5py_reads_the_same_datasets() {
    gives_the_same_result("h5py");
}

#[test]
fn python_sqlite3_reads_the_same_rows() {
    gives_the_same_result("sqlite");
}

#[test]
fn the_sqlite3_shell_reads_the_same_rows() {
    gives_the_same_result("sqlite3");
}

#[test]
fn zipfile_reads_the_same_members_backwards() {
    gives_the_same_result("zipfile");
}

#[test]
fn the_python_library_copies_maps_and_globs_the_same_files() {
    gives_the_same_result("python");
}

#[test]
fn tar_packs_the_same_archive_and_unpacks_one_that_is_mounted() {
    gives_the_same_result("tar");
}

#[test]
fn rsync_copies_the_same_files_and_then_sees_no_change() {
    gives_the_same_result("rsync");
}

#[test]
fn cp_copies_the_same_tree() {
    gives_the_same_result("cp");
}

#[test]
fn dd_reads_the_same_parts() {
    gives_the_same_result("dd");
}

#[test]
fn md5sum_gives_the_same_sums() {
    gives_the_same_result("md5sum");
}

#[test]
fn grep_finds_the_same_lines() {
    gives_the_same_result("grep");
}

#[test]
fn find_and_ls_list_the_same_tree() {
    gives_the_same_result("find");
}

#[test]
fn head_tail_cat_and_wc_read_the_same_bytes() {
    gives_the_same_result("coreutils");
}

#[test]
fn opj_decompress_decodes_the_same_pixels() {
    gives_the_same_result("opj_decompress");
}

#[test]
fn ffprobe_sees_the_same_streams() {
    gives_the_same_result("ffprobe");
}

#[test]
fn imagemagick_identifies_the_same_pixels() {
    gives_the_same_result("imagemagick");
}

#[test]
fn gdalinfo_reports_the_same_checksums() {
    gives_the_same_result("gdalinfo");
}

#[test]
fn pillow_reads_siblings_and_a_preview_stretched_as_documented() {
    gives_the_same_result("pillow on siblings");
}

#[test]
fn opencv_reads_png_and_tif_siblings_with_the_images_pixels() {
    gives_the_same_result("opencv on siblings");
}

#[test]
fn gdal_sees_the_same_place_levels_and_pixels_in_the_tif_sibling_as_in_the_image() {
    gives_the_same_result("rasterio on siblings");
}

#[test]
fn numpy_maps_npy_siblings_with_the_images_pixels() {
    gives_the_same_result("numpy on siblings");
}

#[test]
fn tifffile_reads_tif_siblings_with_the_images_pixels_and_levels() {
    gives_the_same_result("tifffile on siblings");
}

#[test]
fn pngcheck_finds_no_fault_in_png_siblings_and_previews() {
    gives_the_same_result("pngcheck on siblings");
}

#[test]
fn opj_decompress_gives_the_pixels_of_siblings_at_every_resolution() {
    gives_the_same_result("opj_decompress on siblings");
}

#[test]
fn decoders_read_the_same_pixels_from_files_that_are_cut_without_decoding() {
    gives_the_same_result("decoders on cut files");
}

#[test]
fn json_siblings_parse_and_say_what_gdal_says() {
    gives_the_same_result("json on siblings");
}

#[test]
fn images_of_all_kinds_have_no_pixel_that_other_readers_do_not_see() {
    let Some(python) = python() else { return };
    if !can_mount() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let images = folder.path().join("images");
    let harness = || script(&python, "images/harness.py");
    succeeds(harness().arg(&images).args(["--make", "--share", SHARE_OF_IMAGES]));
    let server = TestServer::start();
    server.put_many(BUCKET, files_below(&images));
    let mount = Mounting::of(&server, BUCKET).with(["--memory", "512M"]).in_background();
    let told = harness().arg(&images).arg("--mounted").arg(mount.path()).output().unwrap();
    assert!(told.status.success(), "{}", both(&told));
    // Not because all of them are refused.
    let table = String::from_utf8_lossy(&told.stdout);
    let exact = table.lines().find_map(|line| line.strip_prefix("| exact |")).unwrap_or_default();
    let exact = exact.split('|').next().and_then(|number| number.trim().parse::<usize>().ok());
    assert!(exact.is_some_and(|number| number >= 80), "{table}");
    mount.end();
}

#[test]
fn a_pixel_that_differs_from_what_others_read_is_noticed() {
    let Some(python) = python() else { return };
    let told = script(&python, "images/check_harness.py").output().unwrap();
    assert!(told.status.success(), "{}", both(&told));
}

#[test]
fn pillow_saves_images_and_opens_them_again() {
    writes_the_same_files("pillow writing");
}

#[test]
fn rasterio_and_gdal_write_images_with_overviews_and_metadata_beside_objects() {
    writes_the_same_files("rasterio and gdal writing");
}

#[test]
fn h5py_creates_appends_to_and_reads_files() {
    writes_the_same_files("h5py writing");
}

#[test]
fn numpy_changes_arrays_through_mappings() {
    writes_the_same_files("numpy writing");
}

#[test]
fn sqlite_databases_of_each_journal_mode_have_two_writers() {
    writes_the_same_files("python's sqlite3 writing");
}

#[test]
fn two_sqlite3_shells_write_one_database() {
    writes_the_same_files("two sqlite3 shells writing");
}

#[test]
fn git_commits_collects_garbage_and_finds_no_fault() {
    writes_the_same_files("git writing");
}

#[test]
fn tar_unpacks_a_tree_into_the_mount() {
    writes_the_same_files("tar writing");
}

#[test]
fn rsync_copies_into_the_mount_and_over_objects_in_place() {
    writes_the_same_files("rsync writing");
}

#[test]
fn ffmpeg_writes_films_that_it_seeks_back_in() {
    writes_the_same_files("ffmpeg writing");
}

#[test]
fn stress_ng_finds_no_fault_in_files_that_are_written() {
    writes_the_same_files("stress-ng writing");
}

#[test]
fn fsx_finds_no_fault_in_100000_operations() {
    passes_the_suite("fsx");
}

#[test]
fn fsx_finds_no_fault_without_mappings() {
    passes_the_suite("fsx without mmap");
}

#[test]
fn pjdfstest_finds_nothing_that_is_not_posix_but_what_is_listed() {
    passes_the_suite("pjdfstest");
}

#[test]
fn what_xfstests_asks_of_any_file_system_holds_but_for_what_is_listed() {
    passes_the_suite("xfstests");
}

#[test]
fn pillow_saves_images_into_the_bucket() {
    puts_the_same_files("pillow writing");
}

#[test]
fn rasterio_and_gdal_write_images_with_overviews_and_metadata_into_the_bucket() {
    puts_the_same_files("rasterio and gdal writing");
}

#[test]
fn h5py_creates_and_appends_to_files_in_the_bucket() {
    puts_the_same_files("h5py writing");
}

#[test]
fn numpy_changes_arrays_in_the_bucket_through_mappings() {
    puts_the_same_files("numpy writing");
}

#[test]
fn sqlite_databases_of_each_journal_mode_are_in_the_bucket() {
    puts_the_same_files("python's sqlite3 writing");
}

#[test]
fn a_database_that_two_sqlite3_shells_write_is_in_the_bucket() {
    puts_the_same_files("two sqlite3 shells writing");
}

#[test]
fn git_repositories_are_in_the_bucket_without_a_fault() {
    puts_the_same_files("git writing");
}

#[test]
fn tar_unpacks_a_tree_into_the_bucket() {
    puts_the_same_files("tar writing");
}

#[test]
fn rsync_copies_into_the_bucket_and_over_objects_in_place() {
    puts_the_same_files("rsync writing");
}

#[test]
fn ffmpeg_writes_films_that_it_seeks_back_in_into_the_bucket() {
    puts_the_same_files("ffmpeg writing");
}

#[test]
fn stress_ng_finds_no_fault_in_files_that_are_sent() {
    puts_the_same_files("stress-ng writing");
}

#[test]
fn fsx_leaves_the_same_bytes_in_the_bucket() {
    puts_the_same_files("fsx");
}

#[test]
fn fsx_without_mappings_leaves_the_same_bytes_in_the_bucket() {
    puts_the_same_files("fsx without mmap");
}

#[test]
fn pjdfstest_finds_nothing_but_what_a_bucket_cannot_hold_and_leaves_nothing_in_it() {
    puts_the_same_files("pjdfstest");
}

#[test]
fn what_xfstests_asks_holds_in_a_bucket_but_for_what_is_listed_and_leaves_nothing_in_it() {
    puts_the_same_files("xfstests");
}

#[test]
fn every_program_of_check_py_has_its_test() {
    let Some(python) = python() else { return };
    let listed = succeeds(script(&python, "check.py").arg("--list"));
    let known: BTreeSet<&str> = listed.lines().collect();
    let tested = tested_by(&TESTING);
    assert_eq!(tested, known);
    // What writes into memory writes into the bucket too.
    assert_eq!(tested_by(&TESTING[1..3]), tested_by(&TESTING[3..]));
}

fn tested_by(functions: &[&str]) -> BTreeSet<&'static str> {
    include_str!("programs.rs")
        .lines()
        .filter_map(|line| line.trim().strip_suffix("\");"))
        .filter_map(|line| line.split_once("(\""))
        .filter(|(function, _)| functions.contains(function))
        .map(|(_, program)| program)
        .collect()
}

#[test]
fn a_byte_that_differs_is_noticed() {
    let Some(python) = python() else { return };
    let local = &world(&python).local;
    let altered = TempDir::new().unwrap();
    let copied = Command::new("cp").arg("-r").arg(local.join(".")).arg(altered.path()).status();
    assert!(copied.unwrap().success());
    let path = altered.path().join("tree/1/three megabytes.bin");
    let mut bytes = fs::read(&path).unwrap();
    bytes[2_000_000] ^= 1;
    fs::write(&path, bytes).unwrap();
    let told = script(&python, "check.py").arg("md5sum").arg(altered.path()).arg(local).output();
    let told = told.unwrap();
    assert_eq!(told.status.code(), Some(1), "{}", both(&told));
    assert!(both(&told).contains("three megabytes.bin"), "{}", both(&told));
}

/// What runs a program of check.py.
const TESTING: [&str; 4] =
    ["gives_the_same_result", "writes_the_same_files", "passes_the_suite", "puts_the_same_files"];

/// Runs one program on a fresh mount and on the local copy.
fn gives_the_same_result(program: &str) {
    run_on_a_mount(program, &[]);
}

/// Runs one program that writes into a fresh mount, and into a copy of the local copy.
fn writes_the_same_files(program: &str) {
    run_on_a_mount(program, &["--writes", "memory", "--memory", "768M"]);
}

/// Runs a test suite on a fresh mount that can be written to, by all users.
fn passes_the_suite(program: &str) {
    run_on_a_mount(program, &["--writes", "memory", "--memory", "768M", "--allow-other"]);
}

fn run_on_a_mount(program: &str, flags: &[&str]) {
    let Some(python) = python() else { return };
    if !can_mount() {
        return;
    }
    let world = world(&python);
    let mount = Mounting::of(&world.server, BUCKET).with(flags).in_background();
    let mut check = script(&python, "check.py");
    if !passes(check.arg(program).arg(mount.path()).arg(&world.local)) {
        return;
    }
    mount.end();
    let counts = world.server.counts();
    assert_eq!((counts.put, counts.other), (0, 0), "the bucket must never change: {counts:?}");
}

/// Runs one program on a mount that puts what is written into a bucket of its own, and
/// on a copy of the local copy. Afterwards both must hold the same: on every server.
fn puts_the_same_files(program: &str) {
    let Some(python) = python() else { return };
    for backend in backends() {
        puts_the_same_files_into(&backend, &python, program);
    }
}

fn puts_the_same_files_into(backend: &Backend, python: &Path, program: &str) {
    let world = world(python);
    backend.put_many(files_below(&world.local));
    let mount = backend.mounting().with(UPLOADING).in_foreground();
    let folder = TempDir::new().unwrap();
    let (copy, bucket) = (folder.path().join("copy"), folder.path().join("bucket"));
    let mut check = script(python, "check.py");
    check.env("S3MEM_TEST_WRITES", "upload");
    if !passes(check.arg(program).arg(mount.path()).arg(&world.local).arg(&copy)) {
        return;
    }
    // Which waits until all is sent.
    mount.end();
    for key in backend.keys() {
        let path = bucket.join(&key);
        let bytes = backend.get(&key).unwrap();
        assert_eq!(backend.open_uploads(&key), 0, "{key}");
        if key.ends_with('/') {
            assert!(bytes.is_empty(), "{key} has a body");
            fs::create_dir_all(path).unwrap();
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    assert!(passes(script(python, "bucket.py").arg(program).arg(&bucket).arg(&copy)));
    // Those of files that are gone by now are told of by the server in the process alone.
    assert!(backend.server().is_none_or(|server| server.open_uploads(BUCKET).is_empty()));
}

/// Flags of a mount where as much is allowed as can be; pjdfstest is several users.
const UPLOADING: [&str; 9] = [
    "--writes",
    "upload",
    "--memory",
    "768M",
    "--allow-other",
    "--allow-overwrite",
    "--allow-delete",
    "--rename-directories",
    "1000",
];

/// Whether a check passes; not if the program that it is about is not installed, which
/// is noted. A check that fails is a panic.
fn passes(check: &mut Command) -> bool {
    let told = check.output().unwrap();
    if told.status.code() == Some(NOT_INSTALLED) {
        missing("S3MEM_REQUIRE_PROGRAMS", &format!("because {}", both(&told).trim()));
        return false;
    }
    assert!(told.status.success(), "{}", both(&told));
    // With --nocapture: how many operations and cases there were.
    println!("{}", both(&told).trim());
    true
}

/// The server with every fixture in its bucket, and the folder with the copies.
struct World {
    server: TestServer,
    local: PathBuf,
    /// Another run of the tests would write the same folder.
    _lock: File,
}

fn world(python: &Path) -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let lock = File::create(folder.join("programs.lock")).unwrap();
        lock.lock().unwrap();
        let local = folder.join("programs");
        if local.exists() {
            fs::remove_dir_all(&local).unwrap();
        }
        succeeds(script(python, "make_fixtures.py").arg(&local));
        let server = TestServer::start();
        server.put_many(BUCKET, files_below(&local));
        World { server, local, _lock: lock }
    })
}

/// The files below a folder: the key of each, and its bytes.
pub(super) fn files_below(root: &Path) -> Vec<(String, Vec<u8>)> {
    let (mut files, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let key = path.strip_prefix(root).unwrap().to_str().unwrap();
                files.push((key.to_owned(), fs::read(&path).unwrap()));
            }
        }
    }
    files
}

pub(super) fn script(python: &Path, name: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(name);
    let mut command = Command::new(python);
    command.arg(path).env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null());
    command
}

/// The Python with the packages, or nothing, which is noted.
pub(super) fn python() -> Option<PathBuf> {
    let path = env::var_os("S3MEM_TEST_PYTHON").map(PathBuf::from);
    if path.is_none() {
        missing("S3MEM_REQUIRE_PROGRAMS", "because S3MEM_TEST_PYTHON is not set");
    }
    path
}
