//! What users install: the wheel and its Python package, the Debian package, the tarball.
//! `scripts/release.sh` makes them from the program of these tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use super::cli::machine::as_user;
use super::cli::run::WITHOUT_FUSERMOUNT;
use super::programs::python;
use crate::docs::read;
use crate::harness::missing::{can_mount, has_file, has_program, has_root};
use crate::harness::mounting::{PROGRAM, succeeds};
use crate::harness::shell::{Ran, Shell};
use crate::support::B01_JP2;
use crate::support::server::TestServer;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Packs the program, quickly.
fn release(out: &Path) -> Command {
    let mut release = Command::new(Path::new(ROOT).join("scripts/release.sh"));
    release.args(["--binary", PROGRAM, "--level", "1", "--out"]).arg(out);
    release.env("SOURCE_DATE_EPOCH", "1700000000");
    release
}

/// A folder that stays after the tests, emptied.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A folder with all packages, made once.
fn packages() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = folder("packages");
        succeeds(&mut release(&folder));
        folder
    })
}

/// The one package with this ending.
fn package(ending: &str) -> PathBuf {
    let files = fs::read_dir(packages()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = files.filter(|path| path.to_str().unwrap().ends_with(ending)).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn can_package() -> bool {
    has_program("dpkg-deb") && has_program("python3")
}

fn server() -> Option<TestServer> {
    if !can_mount() || !can_package() {
        return None;
    }
    let server = TestServer::start();
    server.put("tiles", "readme", "hello");
    server.put("tiles", "B01.jp2", B01_JP2);
    server.put_many("tiles", (0..20).map(|number| (format!("many/{number}"), number.to_string())));
    Some(server)
}

/// A fresh virtual environment with the wheel, and nothing else; made once.
fn installed(python: &Path) -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let venv = folder("venv");
        succeeds(Command::new(python).args(["-m", "venv"]).arg(&venv));
        let mut install = Command::new(venv.join("bin/python"));
        install.args(["-m", "pip", "install", "--no-index", "--disable-pip-version-check"]);
        succeeds(install.arg(package(".whl")));
        venv
    })
}

/// Where a Python keeps its packages.
fn site(python: &Path) -> String {
    let script = "import site; print(site.getsitepackages()[0])";
    succeeds(Command::new(python).args(["-c", script])).trim().to_owned()
}

/// Python with the wheel, in the environment and the folder of `shell`.
fn python_with_wheel(shell: &Shell, venv: &Path) -> Command {
    let mut command = shell.command(venv.join("bin/python").to_str().unwrap());
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[test]
fn the_same_program_gives_the_same_packages_with_their_checksums() {
    if !can_package() {
        return;
    }
    let again = TempDir::new().unwrap();
    let mut release = release(again.path());
    succeeds(release.env("TZ", "Asia/Tokyo").env("LC_ALL", "C").env("HOME", again.path()));
    let sums = |folder: &Path| fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    assert_eq!(sums(packages()), sums(again.path()));
    assert_eq!(sums(again.path()).lines().count(), 3);
    let mut check = Command::new("sha256sum");
    succeeds(check.args(["--check", "--strict", "SHA256SUMS"]).current_dir(again.path()));
}

#[test]
fn pip_installs_the_wheel_and_the_first_example_of_the_readme_shows_a_picture() {
    let (Some(server), Some(python)) = (server(), python()) else { return };
    let readme = read("README.md");
    let example = readme.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(example.lines().filter(|line| !line.is_empty()).count() <= 6, "{example}");
    let folder = "tiles/10/S/DG/2015/12/7/0";
    assert!(example.contains(&format!("sentinel-s2-l1c/{folder}")), "{example}");
    server.put("sentinel-s2-l1c", &format!("{folder}/B01.jp2"), B01_JP2);
    let (venv, shell) = (installed(&python), Shell::on(&server));
    let script = format!(
        "import matplotlib.pyplot as shown, numpy, s3mem\nshown.show = lambda: None\n{example}\n\
         picture = numpy.asarray(shown.gca().images[0].get_array())\n\
         print(picture.shape, picture.std() > 0.01, s3mem.__file__)"
    );
    let mut command = python_with_wheel(&shell, venv);
    // The libraries of the other tests, for the picture. They draw letters, and look for fonts once.
    command.env("PYTHONPATH", site(&python)).env("MPLBACKEND", "Agg");
    command.env("MPLCONFIGDIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("matplotlib"));
    let ran = Ran::finish(command.args(["-c", &script]).spawn().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let from = ran.stdout.strip_prefix("(915, 915) True ").unwrap_or_else(|| panic!("{ran:?}"));
    assert!(from.starts_with(venv.to_str().unwrap()), "{from}");
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!table.contains("s3://sentinel-s2-l1c/tiles/10"), "{table}");
}

#[test]
fn the_python_package_mounts_and_unmounts_in_every_kind_of_process() {
    let (Some(server), Some(python)) = (server(), python()) else { return };
    let (venv, shell) = (installed(&python), Shell::on(&server));
    let tests = format!("{ROOT}/python/tests/test_s3mem.py");
    let ran = Ran::finish(python_with_wheel(&shell, venv).arg(tests).spawn().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("\nOK"), "{}", ran.stderr);
}

#[test]
fn the_python_package_mounts_for_users_who_may_not_mount_and_says_where_nobody_may() {
    if !has_root() {
        return;
    }
    let (Some(server), Some(python)) = (server(), python()) else { return };
    let (venv, shell) = (installed(&python), Shell::on(&server));
    // Below folders that ordinary users get into.
    let reachable = format!(
        r#"{WITHOUT_FUSERMOUNT} mkdir /mnt/python /mnt/venv /mnt/tests; chown nobody "$HOME"
           mount --bind "$({venv}/bin/python -c 'import sys; print(sys.base_prefix)')" /mnt/python
           mount --bind {venv} /mnt/venv; mount --bind {ROOT}/python/tests /mnt/tests
           export LD_LIBRARY_PATH=/mnt/python/lib PYTHONDONTWRITEBYTECODE=1
           export PYTHONPATH=$(echo /mnt/venv/lib/python3*/site-packages)
           PYTHON=$(echo /mnt/python/bin/python3.[0-9][0-9])"#,
        venv = venv.display()
    );
    let ran = as_user(
        &shell,
        &format!("{reachable}\nS3MEM_TEST_ROOTLESS=1 $AS $PYTHON /mnt/tests/test_s3mem.py"),
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("\nOK"), "{}", ran.stderr);

    let example = r#"import s3mem
try:
    s3mem.mount("tiles")
except s3mem.CannotMount as error:
    print(error)"#;
    let ran =
        as_user(&shell, &format!("{reachable}\nchmod 600 /dev/fuse\n$AS $PYTHON -c '{example}'"));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    for part in ["/dev/fuse may not be opened", "chmod 666 /dev/fuse", "s3mem run"] {
        assert!(ran.stdout.contains(part), "{}", ran.stdout);
    }
}

/// A copy of this machine's system in which anything may be changed: `$ROOT_FOLDER`.
const COPY_OF_SYSTEM: &str = r#"
    mount -t tmpfs none /mnt; mkdir /mnt/upper /mnt/work /mnt/root; ROOT_FOLDER=/mnt/root
    mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work none $ROOT_FOLDER
    for folder in /proc /dev /sys /tmp; do mount --rbind $folder $ROOT_FOLDER$folder; done
    mount -t tmpfs none $ROOT_FOLDER/run; mkdir -p $ROOT_FOLDER$HOME
    mountpoint -q $ROOT_FOLDER$HOME || mount --bind $HOME $ROOT_FOLDER$HOME
"#;

#[test]
fn the_debian_package_installs_mounts_by_type_and_by_its_unit_and_is_removed() {
    if !has_root() || !has_program("dpkg") || !has_file("/usr/bin/systemd-analyze") {
        return;
    }
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    fs::copy(package(".deb"), shell.path("s3mem.deb")).unwrap();
    let ran = shell.script_as_root(&format!(
        r#"{COPY_OF_SYSTEM} cat > $HOME/inside.sh <<'END'
           dpkg --install $HOME/s3mem.deb > $HOME/dpkg.log 2>&1 || {{ cat $HOME/dpkg.log; exit 1; }}
           s3mem --version; dpkg --verify s3mem
           mount -t s3mem s3://tiles "$MNT" -o nofail,memory=64M,file_mode=0400
           stat -c %a "$MNT/readme"; cat "$MNT/readme"; echo; umount "$MNT"
           # The unit, without a systemd that runs: it is well-formed, and its commands work.
           cp /usr/share/doc/s3mem/examples/tiles.conf /etc/s3mem/tiles.conf
           systemd-analyze verify s3mem@tiles.service 2>&1 | grep -i s3mem || echo verified
           SOURCE=tiles/many MOUNTPOINT=$MNT OPTIONS="--memory 64M"
           unit=$(cat /usr/lib/systemd/system/s3mem@.service)
           eval "$(echo "$unit" | sed -n 's/^ExecStart=//p')"; cat "$MNT/7"; echo
           eval "$(echo "$unit" | sed -n 's/^ExecStop=//p')"; ls -A "$MNT"
           rm /etc/s3mem/tiles.conf; dpkg --purge s3mem > $HOME/dpkg.log 2>&1
           ls /usr/bin/s3mem /usr/sbin/mount.s3mem /etc/s3mem 2> /dev/null || echo removed
END
           chroot $ROOT_FOLDER bash -eu $HOME/inside.sh"#
    ));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(ran.stdout, format!("s3mem {version}\n400\nhello\nverified\n7\nremoved\n"));
}

#[test]
fn the_tarball_has_a_program_that_runs_from_anywhere() {
    let Some(server) = server() else { return };
    let shell = Shell::on(&server);
    let mut unpack = shell.command("tar");
    succeeds(unpack.arg("xzf").arg(package(".tar.gz")).arg("--strip-components=1"));
    for file in ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"] {
        assert_eq!(fs::read_to_string(shell.path(file)).unwrap(), read(file));
    }
    let script = r#"cat "$S3MEM_MOUNT/readme""#;
    let mut run = shell.command(&shell.path("s3mem"));
    let ran = run.args(["run", "tiles", "--", "sh", "-c", script]).spawn().unwrap();
    assert_eq!(Ran::finish(ran).stdout, "hello");
}

/// Knows the two commands by which a program gives packages its man pages and completions.
const TALKATIVE: &str = r##"
    #include <stdio.h>
    #include <string.h>
    int main(int count, char **words) {
        char path[4096];
        if (count == 3 && !strcmp(words[1], "man")) {
            snprintf(path, sizeof path, "%s/s3mem-mount.1", words[2]);
            FILE *page = fopen(path, "w");
            fputs(".TH S3MEM-MOUNT 1\n", page);
            return fclose(page);
        }
        if (count == 3 && !strcmp(words[1], "completions"))
            return printf("# for %s\n", words[2]) < 0;
        return 2;
    }
"##;

#[test]
fn a_program_without_a_c_library_is_for_every_linux_and_brings_its_man_pages() {
    if !can_package() || !has_program("cc") {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (source, program) = (folder.path().join("main.c"), folder.path().join("s3mem"));
    fs::write(&source, TALKATIVE).unwrap();
    succeeds(Command::new("cc").args(["-static", "-o"]).args([&program, &source]));
    let out = folder.path().join("out");
    let mut release = Command::new(Path::new(ROOT).join("scripts/release.sh"));
    succeeds(release.arg("--binary").arg(&program).arg("--out").arg(&out).args(["--level", "1"]));
    let names: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path()).collect();
    let path = |ending: &str| names.iter().find(|path| path.to_str().unwrap().ends_with(ending));
    let (wheel, deb) = (path(".whl").unwrap(), path(".deb").unwrap());
    let machine = std::env::consts::ARCH;
    for tag in [format!("manylinux_2_17_{machine}"), format!("musllinux_1_1_{machine}")] {
        assert!(wheel.to_str().unwrap().contains(&tag), "{wheel:?}");
    }
    let depends = succeeds(Command::new("dpkg-deb").arg("--field").arg(deb).arg("Depends"));
    assert_eq!(depends.trim(), "");
    let listed = succeeds(Command::new("dpkg-deb").arg("--contents").arg(deb));
    let packed = succeeds(Command::new("tar").arg("tzf").arg(path(".tar.gz").unwrap()));
    for name in [
        "./usr/share/man/man1/s3mem-mount.1.gz",
        "./usr/share/bash-completion/completions/s3mem",
        "./usr/share/zsh/vendor-completions/_s3mem",
        "./usr/share/fish/vendor_completions.d/s3mem.fish",
    ] {
        assert!(listed.lines().any(|line| line.ends_with(name)), "{name} is not in {listed}");
    }
    for name in ["man/s3mem-mount.1", "completions/s3mem.bash", "completions/_s3mem"] {
        assert!(packed.lines().any(|line| line.ends_with(name)), "{name} is not in {packed}");
    }
}

#[test]
fn what_is_no_program_is_not_packaged() {
    if !can_package() {
        return;
    }
    let out = TempDir::new().unwrap();
    let mut release = Command::new(Path::new(ROOT).join("scripts/release.sh"));
    release.arg("--binary").arg(Path::new(ROOT).join("README.md")).arg("--out").arg(out.path());
    let output = release.output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("is no 64-bit Linux program"));
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}
