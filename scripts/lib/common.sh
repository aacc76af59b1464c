# shellcheck shell=bash
# What the scripts share: headings, the cache folder, and Debian packages.
# Sourced, never run.

# What is expensive to make (MinIO, Python packages, cargo-deny) is kept here
# between runs. Deleting the folder costs time and nothing else.
S3MEM_CACHE="${S3MEM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/s3mem}"
mkdir -p "$S3MEM_CACHE"

section() {
    printf '\n== %s\n' "$*"
}

note() {
    printf '   %s\n' "$*"
}

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# missing_or_fail VARIABLE SENTENCE: what cannot be had is said in a line of its
# own; where the variable is 1, as in continuous integration, it is a failure.
missing_or_fail() {
    local variable=$1 sentence=$2
    if [[ ${!variable:-} == 1 ]]; then
        fail "$sentence ($variable=1)"
    fi
    printf 'NOT TESTED: %s\n' "$sentence"
}

# tell_not_run FILE: how many tests did not run, for each reason that is a line of
# the file as often as it kept a test from running.
tell_not_run() {
    local count why
    sort "$1" | uniq -c | while read -r count why; do
        printf 'NOT TESTED: %d test%s %s\n' "$count" "$( ((count == 1)) || echo s)" "$why"
    done
}

# debian_packages PACKAGE...: installs them where we are root on a Debian
# machine; otherwise says what to install and returns 1.
debian_packages() {
    if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
        note "To install what is missing, as root: apt-get install $*"
        return 1
    fi
    local log="$S3MEM_CACHE/apt.log"
    note "installing $*"
    if ! {
        apt-get update &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
    } >"$log" 2>&1; then
        tail -n 15 "$log"
        return 1
    fi
}

# with_lock NAME COMMAND...: two runs at once must not build the same thing.
with_lock() {
    local name=$1
    shift
    (
        flock 9
        "$@"
    ) 9>"$S3MEM_CACHE/$name.lock"
}
