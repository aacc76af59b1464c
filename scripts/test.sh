#!/usr/bin/env bash
# Installs what the tests need, starts MinIO, runs every test, stops MinIO.
# Arguments are passed on to `cargo test`: scripts/test.sh --test it programs
#
# What cannot be had is said on a line that starts with NOT TESTED, and so is at
# the end how many tests did not run. With S3MEM_REQUIRE_MINIO=1,
# S3MEM_REQUIRE_FUSE=1 or S3MEM_REQUIRE_PROGRAMS=1 it is a failure instead.
#
# One or two tests that fail beside a thousand others run once more, by themselves.
# If they pass then, a line that starts with UNSTABLE names them, and the run passes:
# such a line is a bug to mend. More than two are never tried twice.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# shellcheck source=scripts/lib/common.sh
source scripts/lib/common.sh
# shellcheck source=scripts/lib/minio.sh
source scripts/lib/minio.sh
# shellcheck source=scripts/lib/python.sh
source scripts/lib/python.sh
# shellcheck source=scripts/lib/cargo.sh
source scripts/lib/cargo.sh
# shellcheck source=scripts/lib/prometheus.sh
source scripts/lib/prometheus.sh
# shellcheck source=scripts/lib/tests.sh
source scripts/lib/tests.sh

# Each test that can't run writes a line here: why.
S3MEM_TEST_NOT_RUN=$(mktemp)
export S3MEM_TEST_NOT_RUN

finish() {
    tell_not_run "$S3MEM_TEST_NOT_RUN"
    rm -f "$S3MEM_TEST_NOT_RUN"
    minio_stop
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The Debian package of each program that the tests run.
declare -A package_of=(
    [curl]=curl
    [ffprobe]=ffmpeg
    [fusermount3]=fuse3
    [gdalinfo]=gdal-bin
    [getfattr]=attr
    [git]=git
    [identify]=imagemagick
    [mandoc]=mandoc
    [nginx]=nginx-light
    [openssl]=openssl
    [opj_decompress]=libopenjp2-tools
    [pngcheck]=pngcheck
    [rsync]=rsync
    [sqlite3]=sqlite3
    [strace]=strace
    [stress-ng]=stress-ng
)

missing_programs() {
    local program
    for program in "${!package_of[@]}"; do
        command -v "$program" >/dev/null || printf '%s\n' "$program"
    done | sort
}

section "Programs"
mapfile -t missing < <(missing_programs)
if ((${#missing[@]} > 0)); then
    packages=()
    for program in "${missing[@]}"; do
        packages+=("${package_of[$program]}")
    done
    debian_packages "${packages[@]}" || true
    mapfile -t missing < <(missing_programs)
fi
wanted=()
for program in "${missing[@]}"; do
    # Without this one nothing can be mounted: it is reported below.
    [[ $program == fusermount3 ]] || wanted+=("$program")
done
if ((${#wanted[@]} > 0)); then
    missing_or_fail S3MEM_REQUIRE_PROGRAMS "these programs are not installed: ${wanted[*]}"
else
    note "every program is installed"
fi

section "Test suites of file systems"
for program in "${!CARGO_PROGRAMS[@]}"; do
    if cargo_program "$program"; then
        note "$program ${CARGO_PROGRAMS[$program]}"
    else
        missing_or_fail S3MEM_REQUIRE_PROGRAMS "$program on a mount, because $CARGO_MISSING"
    fi
done

section "Prometheus"
if prometheus_find; then
    note "$(promtool --version 2>&1 | head -n 1)"
else
    missing_or_fail S3MEM_REQUIRE_PROGRAMS "what Prometheus makes of metrics, because $PROMETHEUS_MISSING"
fi

section "FUSE"
if [[ ! -e /dev/fuse ]]; then
    missing_or_fail S3MEM_REQUIRE_FUSE "mounts, because /dev/fuse does not exist: run 'modprobe fuse', or start the container with '--device /dev/fuse --cap-add SYS_ADMIN'"
elif ! command -v fusermount3 >/dev/null; then
    missing_or_fail S3MEM_REQUIRE_FUSE "mounts, because fusermount3 is not installed: install fuse3"
elif ((EUID == 0)) && ! (: <>/dev/fuse) 2>/dev/null; then
    # For an ordinary user fusermount3 opens it.
    missing_or_fail S3MEM_REQUIRE_FUSE "mounts, because not even root may open /dev/fuse: start the container with '--device /dev/fuse --cap-add SYS_ADMIN'"
else
    note "/dev/fuse is there"
fi

section "Python packages"
if python_environment; then
    note "$S3MEM_TEST_PYTHON"
else
    missing_or_fail S3MEM_REQUIRE_PROGRAMS "programs on a mount, because $PYTHON_MISSING"
fi

section "MinIO"
unset S3MEM_TEST_MINIO_PROGRAM S3MEM_TEST_MINIO_URL
unset S3MEM_TEST_MINIO_ACCESS_KEY S3MEM_TEST_MINIO_SECRET_KEY
if minio_find && minio_start; then
    note "MinIO answers at $S3MEM_TEST_MINIO_URL"
else
    missing_or_fail S3MEM_REQUIRE_MINIO "MinIO cannot be had ($MINIO_MISSING): the integration tests run on the in-process server only"
fi

section "cargo test"
run_tests "$@"
