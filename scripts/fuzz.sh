#!/usr/bin/env bash
# Runs the fuzz targets of fuzz/: image headers, tiles and the layouts of views, the texts
# that others write (keys, listings, requests), and entries of caches, from any bytes. Arguments are names of targets; without any, all are run:
# scripts/fuzz.sh jp2_header
#
# Each target gets a set number of inputs, made from the same seed and the test images
# alone: a commit that passes once passes again. To look for something new, give each
# target time instead, from another seed and with all that was learned before:
# S3MEM_FUZZ_SECONDS=3600 scripts/fuzz.sh image
#
# A finding is a failure; the input that shows it is kept in fuzz/artifacts, and
# what the fuzzer learned in fuzz/corpus. Seeds are the test images and
# fuzz/seeds. Needs a nightly
# compiler; without one it is said on a line that starts with NOT TESTED, which with
# S3MEM_REQUIRE_FUZZ=1 is a failure instead.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# shellcheck source=scripts/lib/common.sh
source scripts/lib/common.sh

CARGO_FUZZ_VERSION=0.13.1
CARGO_FUZZ_ROOT="$S3MEM_CACHE/cargo-fuzz-$CARGO_FUZZ_VERSION"
# One input may take so long, and the process so much memory.
INPUT_SECONDS=25
MEMORY_MIB=2048

# No sanitizer of addresses: the code has no `unsafe`. What is looked for is a
# panic, a law that does not hold, a hang, and memory without bound.
build=(--sanitizer none)

# A finding up to this size is printed, so that it can be taken from a log.
PRINTED_BYTES=16384

seconds=${S3MEM_FUZZ_SECONDS:-}
log=$(mktemp)
scratch=$(mktemp -d)
trap 'rm -rf "$log" "$scratch"' EXIT

cargo_fuzz() {
    PATH="$CARGO_FUZZ_ROOT/bin:$PATH" cargo +nightly fuzz "$@"
}

install_cargo_fuzz() {
    [[ -x $CARGO_FUZZ_ROOT/bin/cargo-fuzz ]] ||
        cargo install --quiet --locked --root "$CARGO_FUZZ_ROOT" "cargo-fuzz@$CARGO_FUZZ_VERSION"
}

# The packages of a lock file, as name and version.
locked() {
    awk '$1 == "name" { name = $3 } $1 == "version" && name { print name, $3 }' "$1" | sort
}

# What is fuzzed is what the program is made of.
check_versions() {
    local own='^"(arbitrary|hayro-jpeg2000|jobserver|libfuzzer-sys|s3mem-fuzz)" ' others
    others=$(comm -23 <(locked fuzz/Cargo.lock | grep -Ev "$own") <(locked Cargo.lock))
    if [[ -n $others ]]; then
        printf '%s\n' "$others"
        fail "fuzz/Cargo.lock has other versions than Cargo.lock: 'cp Cargo.lock fuzz/' and run again"
    fi
}

seeds() {
    case $1 in
        image) printf '%s\n' tests/support/images tests/support/jpeg2000 ;;
        xml_document) printf '%s\n' fuzz/seeds/xml_document ;;
        jp2_*) printf '%s\n' tests/support/jpeg2000 ;;
    esac
}

# How many inputs a target gets: about half a minute's worth.
inputs() {
    case $1 in
        image) echo 60000 ;;
        jp2_forms) echo 60000 ;;
        jp2_header) echo 800000 ;;
        jp2_oracle) echo 8000 ;;
        jp2_parts) echo 30000 ;;
        jp2_rewrap) echo 30000 ;;
        jp2_windows) echo 4000 ;;
        layout_npy) echo 500000 ;;
        layout_png) echo 150000 ;;
        layout_tiff) echo 12000 ;;
        cache_entries) echo 150000 ;;
        # Texts of others: these take seconds.
        command_line) echo 500000 ;;
        http_request) echo 300000 ;;
        key_names) echo 150000 ;;
        messages) echo 150000 ;;
        xml_document) echo 150000 ;;
        *) fail "scripts/fuzz.sh does not say how many inputs $1 gets" ;;
    esac
}

# show_findings TARGET: what was found since this script began, for a log.
show_findings() {
    local input
    while read -r input; do
        note "$input: base64 -d <<<'$(base64 -w 0 "$input")' >input"
    done < <(find "fuzz/artifacts/$1" -type f -newer "$scratch" -size -"$PRINTED_BYTES"c 2>/dev/null)
}

# run_target TARGET: one line of what came of it; 1 if something was found.
run_target() {
    local target=$1 corpus="fuzz/corpus/$1" folders effort
    if [[ -n $seconds ]]; then
        effort=(-max_total_time="$seconds" -seed="$RANDOM")
    else
        corpus="$scratch/$1"
        effort=(-runs="$(inputs "$target")" -seed=1)
    fi
    mkdir -p "$corpus"
    mapfile -t folders < <(seeds "$target")
    if ! cargo_fuzz run "${build[@]}" "$target" "$corpus" "${folders[@]}" -- "${effort[@]}" \
        -timeout="$INPUT_SECONDS" -rss_limit_mb="$MEMORY_MIB" -print_final_stats=1 >"$log" 2>&1; then
        grep -m 1 -A 3 'panicked at\|ERROR: libFuzzer\|memory allocation of' "$log" || true
        tail -n 20 "$log"
        show_findings "$target"
        note "$target: FOUND SOMETHING"
        return 1
    fi
    note "$target: $(sed -n 's/^Done \(.*\)(s)$/\1s/p' "$log"), nothing found"
}

section "Fuzzing"
if ! cargo +nightly --version >/dev/null 2>&1; then
    missing_or_fail S3MEM_REQUIRE_FUZZ "fuzzing, because there is no nightly compiler: rustup toolchain install nightly"
    exit 0
fi
if ! with_lock cargo-fuzz install_cargo_fuzz; then
    missing_or_fail S3MEM_REQUIRE_FUZZ "fuzzing, because cargo-fuzz $CARGO_FUZZ_VERSION could not be installed"
    exit 0
fi
check_versions
if ! cargo_fuzz build "${build[@]}" >"$log" 2>&1; then
    tail -n 40 "$log"
    fail "the fuzz targets do not compile"
fi

targets=("$@")
if ((${#targets[@]} == 0)); then
    mapfile -t targets < <(cargo_fuzz list)
fi
found=0
for target in "${targets[@]}"; do
    run_target "$target" || found=1
done
((found == 0)) || fail "the fuzzer found something: its inputs are in fuzz/artifacts"
