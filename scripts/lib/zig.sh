# shellcheck shell=bash
# Zig as a C compiler and linker for other machines and older C libraries, with
# cargo-zigbuild, from PyPI. Sourced after common.sh, never run.

ZIG_PACKAGES=(ziglang==0.17.1 cargo-zigbuild==0.24.1)

# Puts both on the PATH, or fails.
zig_environment() {
    local venv name
    name=$(printf '%s\n' "${ZIG_PACKAGES[@]}" | sha256sum | cut -c 1-16)
    venv="$S3MEM_CACHE/zig-$name"
    if [[ ! -e $venv/complete ]]; then
        note "installing ${ZIG_PACKAGES[*]} (once)"
        with_lock "zig-$name" zig_install "$venv" || fail "zig could not be installed: $(tail -n 1 "$venv.log")"
    fi
    PATH="$venv/bin:$PATH"
    export PATH
}

zig_install() {
    local venv=$1
    [[ -e $venv/complete ]] && return 0
    rm -rf "$venv"
    {
        python3 -m venv "$venv" &&
            "$venv/bin/python" -m pip install --disable-pip-version-check --only-binary :all: "${ZIG_PACKAGES[@]}"
    } >"$venv.log" 2>&1 || return 1
    touch "$venv/complete"
}
