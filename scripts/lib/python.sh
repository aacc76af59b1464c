# shellcheck shell=bash disable=SC2034 # the reasons are read by the script that sources this
# The Python that runs tests/programs, with the packages of requirements.txt in
# a virtual environment in the cache folder. Sourced after common.sh, in the
# root of the repository.

PYTHON_MISSING=

# Exports S3MEM_TEST_PYTHON, or returns 1 with the reason in PYTHON_MISSING.
python_environment() {
    local requirements=tests/programs/requirements.txt base name
    unset S3MEM_TEST_PYTHON
    base=$(python_with_venv) || base=
    if [[ -z $base ]] && debian_packages python3-venv; then
        base=$(python_with_venv) || base=
    fi
    if [[ -z $base ]]; then
        PYTHON_MISSING="no python3 of version 3.11 or later that can make virtual environments was found (Debian: python3-venv)"
        return 1
    fi
    # Another Python or another list of packages is another environment.
    name=$({
        "$base" -c 'import sys; print(sys.version, sys.prefix)'
        cat "$requirements"
    } | sha256sum | cut -c 1-16)
    local venv="$S3MEM_CACHE/venv-$name"
    if [[ ! -e $venv/complete ]]; then
        note "installing $requirements (half a minute, once)"
        if ! with_lock "venv-$name" python_build "$base" "$venv" "$requirements"; then
            PYTHON_MISSING="the Python packages could not be installed: $(tail -n 1 "$venv.log")"
            return 1
        fi
    fi
    export S3MEM_TEST_PYTHON="$venv/bin/python"
}

# Prints the first Python that is new enough and has ensurepip, which Debian
# keeps in a package of its own.
python_with_venv() {
    local candidate
    for candidate in python3 /usr/bin/python3; do
        if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
            2>/dev/null; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

python_build() {
    local base=$1 venv=$2 requirements=$3
    [[ -e $venv/complete ]] && return 0
    rm -rf "$venv"
    {
        "$base" -m venv "$venv" &&
            "$venv/bin/python" -m pip install --disable-pip-version-check \
                --only-binary :all: --requirement "$requirements"
    } >"$venv.log" 2>&1 || return 1
    touch "$venv/complete"
}
