#!/usr/bin/env bash
# Runs every image of a folder through all its siblings on a real mount, and compares
# them with what GDAL, Pillow, tifffile, OpenCV and imagecodecs read:
#
#     scripts/images.sh FOLDER            a table by outcome, and what differs
#     scripts/images.sh --make FOLDER     makes images of many kinds in FOLDER
#     scripts/images.sh --help            further options
#
# The exit status is 1 if a pixel is wrong, or something fails that others read.
# S3MEM_PROGRAM=PATH is the s3mem to mount with; otherwise it is built.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
called_from=$PWD
cd "$root"
# shellcheck source=scripts/lib/common.sh
source scripts/lib/common.sh
# shellcheck source=scripts/lib/python.sh
source scripts/lib/python.sh

# The environment says on standard output what it installs; the table is alone there.
if [[ -z ${S3MEM_TEST_PYTHON:-} ]]; then
    python_environment >&2 || fail "$PYTHON_MISSING"
fi

words=("$@")
if [[ " $* " != *" --make "* && " $* " != *" --help "* && " $* " != *" --mounted "* ]]; then
    if [[ -z ${S3MEM_PROGRAM:-} ]]; then
        cargo build --release --locked --bin s3mem >&2
        S3MEM_PROGRAM=${CARGO_TARGET_DIR:-$root/target}/release/s3mem
    fi
    words+=(--program "$S3MEM_PROGRAM")
fi

cd "$called_from"
export PYTHONDONTWRITEBYTECODE=1
exec "$S3MEM_TEST_PYTHON" "$root/tests/programs/images/harness.py" "${words[@]}"
