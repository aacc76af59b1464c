# shellcheck shell=bash disable=SC2034 # the reasons are read by the script that sources this
# MinIO: found or built, started, stopped. Sourced after common.sh, never run.
#
# MinIO publishes no binaries any more: `go install` of a commit is its own
# recommended way. S3MEM_MINIO=PATH uses a program that is already there.

# In full: a proxy of Go modules may not know how to find it by its commit alone.
MINIO_VERSION=v0.0.0-20260212201848-7aac2a2c5b7c

MINIO_PROGRAM=
MINIO_MISSING=
MINIO_PID=
MINIO_DIR=

# Sets MINIO_PROGRAM, or returns 1 with the reason in MINIO_MISSING.
minio_find() {
    if [[ -n ${S3MEM_MINIO:-} ]]; then
        MINIO_PROGRAM=$S3MEM_MINIO
        [[ -x $MINIO_PROGRAM ]] && return 0
        MINIO_MISSING="S3MEM_MINIO names $MINIO_PROGRAM, which is no program"
        return 1
    fi
    MINIO_PROGRAM="$S3MEM_CACHE/bin/minio-$MINIO_VERSION"
    [[ -x $MINIO_PROGRAM ]] && return 0
    if ! command -v go >/dev/null; then
        MINIO_MISSING="building it needs go, which is not installed"
        return 1
    fi
    note "building MinIO $MINIO_VERSION (minutes, once; the log is $S3MEM_CACHE/minio-build.log)"
    if ! with_lock minio minio_build; then
        MINIO_MISSING="go install failed: $(tail -n 1 "$S3MEM_CACHE/minio-build.log" | sed 's/^[[:space:]]*//')"
        return 1
    fi
}

minio_build() {
    # Another run may have built it while we waited for the lock.
    [[ -x $MINIO_PROGRAM ]] && return 0
    local building="$S3MEM_CACHE/minio-building"
    rm -rf "$building"
    mkdir -p "$building" "$S3MEM_CACHE/bin"
    GOBIN="$building" go install "github.com/minio/minio@$MINIO_VERSION" \
        >"$S3MEM_CACHE/minio-build.log" 2>&1 || {
        rm -rf "$building"
        return 1
    }
    mv "$building/minio" "$MINIO_PROGRAM"
    rmdir "$building"
}

# Starts it on a loopback port of its own choice and exports what the tests
# read. Returns 1 with the reason in MINIO_MISSING.
minio_start() {
    MINIO_DIR=$(mktemp -d "${TMPDIR:-/tmp}/s3mem-minio.XXXXXX")
    local access secret port attempt
    access=$(minio_random_hex 8)
    secret=$(minio_random_hex 16)
    for attempt in 1 2 3 4 5; do
        # Below 32768: the kernel gives those ports to nobody by itself.
        port=$((16384 + (RANDOM * 16383) / 32767))
        minio_answers "$port" / && continue
        minio_launch "$port" "$access" "$secret"
        if minio_wait "$port"; then
            export S3MEM_TEST_MINIO_PROGRAM=$MINIO_PROGRAM
            export S3MEM_TEST_MINIO_URL="http://127.0.0.1:$port"
            export S3MEM_TEST_MINIO_ACCESS_KEY=$access
            export S3MEM_TEST_MINIO_SECRET_KEY=$secret
            return 0
        fi
        minio_end_process
        note "MinIO did not start on port $port (attempt $attempt)"
    done
    MINIO_MISSING="it did not start: $(tail -n 1 "$MINIO_DIR/log" 2>/dev/null)"
    minio_stop
    return 1
}

minio_launch() {
    mkdir -p "$MINIO_DIR/data"
    MINIO_ROOT_USER=$2 MINIO_ROOT_PASSWORD=$3 MINIO_BROWSER=off MINIO_UPDATE=off \
        HOME="$MINIO_DIR" "$MINIO_PROGRAM" server --address "127.0.0.1:$1" \
        "$MINIO_DIR/data" >"$MINIO_DIR/log" 2>&1 </dev/null &
    MINIO_PID=$!
}

# Up to 30 s for a disk that is busy; over at once if the process has ended.
minio_wait() {
    local tries
    for ((tries = 0; tries < 150; tries++)); do
        kill -0 "$MINIO_PID" 2>/dev/null || return 1
        minio_answers "$1" /minio/health/ready 200 && return 0
        sleep 0.2
    done
    return 1
}

# minio_answers PORT PATH [STATUS]: by bash alone, since curl may be missing.
minio_answers() {
    local status=
    {
        exec 8<>"/dev/tcp/127.0.0.1/$1" || return 1
    } 2>/dev/null
    printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$2" >&8
    read -r -t 5 -u 8 _ status _ || true
    exec 8>&-
    [[ $status == "${3:-$status}" ]]
}

minio_random_hex() {
    od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'
}

minio_end_process() {
    [[ -n $MINIO_PID ]] || return 0
    kill "$MINIO_PID" 2>/dev/null || true
    wait "$MINIO_PID" 2>/dev/null || true
    MINIO_PID=
}

# Safe to call twice, and from a trap.
minio_stop() {
    minio_end_process
    if [[ -n $MINIO_DIR ]]; then
        rm -rf "$MINIO_DIR"
        MINIO_DIR=
    fi
}
