#!/usr/bin/env bash
# Makes what users install, in dist/: wheels, Debian packages, tarballs with a static
# program, and SHA256SUMS.
#
#     scripts/release.sh                       all of them, for x86_64 and aarch64
#     scripts/release.sh --machine x86_64      for this machine alone; may be repeated
#     scripts/release.sh --binary PATH         from a program that is built already
#     ... --out DIR                            into another folder than dist/
#     ... --level 1-9                          packed less hard, which is quicker
#
# A release is built from a clean tree. The same program and sources give the same bytes: times are
# those of the commit (SOURCE_DATE_EPOCH, if set). Paths of this machine are cut out of the program.
# The wheel and the .deb have a program that runs with glibc 2.17 or later, the tarball one
# without any C library (musl).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# shellcheck source=scripts/lib/common.sh
source scripts/lib/common.sh
# shellcheck source=scripts/lib/zig.sh
source scripts/lib/zig.sh

GLIBC=2.17

binary=
out=dist
level=9
machines=()
while (($# > 0)); do
    case $1 in
    --binary) binary=$2 ;;
    --out) out=$2 ;;
    --level) level=$2 ;;
    --machine) machines+=("$2") ;;
    *)
        printf 'usage: %s [--binary PATH] [--machine x86_64|aarch64]... [--out DIR] [--level 1-9]\n' "$0" >&2
        exit 2
        ;;
    esac
    shift 2
done

if [[ -z ${SOURCE_DATE_EPOCH:-} ]]; then
    # Without a history, as in a tarball of the sources, it is when those were written.
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y Cargo.toml)
fi
export SOURCE_DATE_EPOCH

package() {
    python3 scripts/lib/package.py --out "$out" --level "$level" "$@"
}

# build TARGET: prints where the program is. In a target folder of its own: the
# flags would have everything compiled anew in the usual one.
build() {
    local target=$1 folder=$root/target/packages
    rustup target add "${target%.2.*}" >&2
    # No path of this machine is left in the program.
    RUSTFLAGS="--remap-path-prefix=$root=/s3mem --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo" \
        CARGO_INCREMENTAL=0 CARGO_TARGET_DIR="$folder" \
        cargo zigbuild --release --locked --bin s3mem --target "$target" >&2
    printf '%s\n' "$folder/${target%.2.*}/release/s3mem"
}

if [[ -n $binary ]]; then
    section "Packages of $binary"
    package --binary "$binary"
    exit
fi

if [[ -n $(git status --porcelain) ]]; then
    fail "the tree has changes that are not committed; a release is made from a clean one"
fi
zig_environment
for machine in "${machines[@]:-x86_64}" $( ((${#machines[@]} > 0)) || echo aarch64); do
    section "$machine, glibc $GLIBC"
    program=$(build "$machine-unknown-linux-gnu.$GLIBC")
    package --binary "$program" --wheel --deb
    section "$machine, static"
    program=$(build "$machine-unknown-linux-musl")
    package --binary "$program" --tarball
done
