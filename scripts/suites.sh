#!/usr/bin/env bash
# Suites of file systems on mounts, in memory and in buckets: pjdfstest, fsx, and what xfstests
# asks. Says how much of each was done, and how many cases passed, which is pinned.
#
#     scripts/suites.sh              as in continuous integration: a minute or two
#     scripts/suites.sh --million    fsx with a million operations instead of 100,000: some 15 minutes
#
# What can't be had here is said as scripts/test.sh says it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# shellcheck source=scripts/lib/common.sh
source scripts/lib/common.sh

case ${1:-} in
    "") ;;
    --million) export S3MEM_TEST_FULL_SIZE=1 ;;
    *) fail "usage: scripts/suites.sh [--million]" ;;
esac

tests=mounted::programs
exec scripts/test.sh --test it -- --nocapture \
    $tests::fsx $tests::pjdfstest $tests::what_xfstests_asks
