#!/usr/bin/env bash
# Readers, siblings, writers and faults on one mount, for so many minutes: every byte is checked,
# and in the end memory, open files and requests are back where they were.
#
#     scripts/soak.sh            two minutes
#     scripts/soak.sh 20         twenty
#
# Where nothing can be mounted it says so on a line that starts with NOT TESTED, which with
# S3MEM_REQUIRE_FUSE=1 is a failure instead.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# shellcheck source=scripts/lib/common.sh
source scripts/lib/common.sh

minutes=${1:-2}
[[ $minutes =~ ^[1-9][0-9]{0,3}$ ]] || fail "usage: scripts/soak.sh [MINUTES]"

S3MEM_TEST_NOT_RUN=$(mktemp)
export S3MEM_TEST_NOT_RUN
trap 'tell_not_run "$S3MEM_TEST_NOT_RUN"; rm -f "$S3MEM_TEST_NOT_RUN"' EXIT

section "Soak"
S3MEM_SOAK_SECONDS=$((minutes * 60)) \
    cargo test --release --locked --test it mounted::soak -- --ignored --nocapture
