# shellcheck shell=bash disable=SC2034 # the reasons are read by the script that sources this
# Programs that cargo builds for the tests, in the cache folder. Sourced after
# common.sh, never run.

declare -A CARGO_PROGRAMS=(
    [fsx]=0.3.2
    [pjdfstest]=0.2.2
)

CARGO_MISSING=

# cargo_program NAME: puts it on the PATH, or returns 1 with the reason in
# CARGO_MISSING.
cargo_program() {
    local name=$1 version=${CARGO_PROGRAMS[$1]}
    local root="$S3MEM_CACHE/$name-$version"
    if [[ ! -x $root/bin/$name ]]; then
        note "building $name $version (a minute, once; the log is $root.log)"
        if ! with_lock "$name" cargo_build "$name" "$version" "$root"; then
            CARGO_MISSING="cargo install failed: $(tail -n 1 "$root.log")"
            return 1
        fi
    fi
    PATH="$root/bin:$PATH"
    export PATH
}

cargo_build() {
    local name=$1 version=$2 root=$3
    [[ -x $root/bin/$name ]] && return 0
    cargo install --quiet --locked --root "$root" "$name@$version" >"$root.log" 2>&1
}
