#!/usr/bin/env bash
# Runs a command beside a fresh MinIO server and stops the server when it ends:
#
#     scripts/minio.sh cargo test --release --locked minio
#
# The command finds the server in S3MEM_TEST_MINIO_URL, and the credentials in
# S3MEM_TEST_MINIO_ACCESS_KEY and S3MEM_TEST_MINIO_SECRET_KEY.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/common.sh
source "$here/lib/common.sh"
# shellcheck source=scripts/lib/minio.sh
source "$here/lib/minio.sh"

if (($# == 0)); then
    fail "say which command to run, for example: scripts/minio.sh bash"
fi

trap minio_stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if ! minio_find || ! minio_start; then
    fail "MinIO cannot be had here: $MINIO_MISSING"
fi
note "MinIO answers at $S3MEM_TEST_MINIO_URL"
"$@"
