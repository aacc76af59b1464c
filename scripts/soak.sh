#!/usr/bin/env bash
# Readers, siblings, writers and faults on one mount, for so many minutes: every byte is checked,
# and in the end memory, open files and requests are back where they were.
#
#     scripts/soak.sh            two minutes
#     scripts/soak.sh 20         twenty
#
# With "away" the server is away instead, refusing and then silent, while programs work on two
# mounts; afterwards both have to be well again.
#
#     scripts/soak.sh away       a minute each
#     scripts/soak.sh away 10    ten seconds each
#
# Where nothing can be mounted it says so on a line that starts with NOT TESTED, which with
# S3MEM_REQUIRE_FUSE=1 is a failure instead.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# shellcheck source=scripts/lib/common.sh
source scripts/lib/common.sh

usage="usage: scripts/soak.sh [MINUTES | away [SECONDS]]"
is_number() { [[ $1 =~ ^[1-9][0-9]{0,3}$ ]] || fail "$usage"; }
if [[ ${1:-} == away ]]; then
    is_number "${2:-60}"
    export S3MEM_AWAY_SECONDS=${2:-60}
    tests=mounted::away
else
    is_number "${1:-2}"
    export S3MEM_SOAK_SECONDS=$((${1:-2} * 60))
    tests=mounted::soak
fi

S3MEM_TEST_NOT_RUN=$(mktemp)
export S3MEM_TEST_NOT_RUN
trap 'tell_not_run "$S3MEM_TEST_NOT_RUN"; rm -f "$S3MEM_TEST_NOT_RUN"' EXIT

section "Soak"
cargo test --release --locked --test it "$tests" -- --ignored --nocapture
