# Runs the tests, and one or two that failed beside a thousand others once more.
# shellcheck shell=bash

# The tests that failed, one a line, from what libtest prints at the end of each binary.
failed_tests() {
    awk '/^failures:$/ { listed = 1 }
         /^test result:/ { listed = 0 }
         listed && /^    [A-Za-z0-9_:]+$/ { print $1 }' "$1" | sort -u
}

# How many failed, by the same lines.
failed_count() {
    awk '/^test result: FAILED/ { for (i = 2; i <= NF; i++) if ($i ~ /^failed/) sum += $(i - 1) }
         END { print sum + 0 }' "$1"
}

# Whether each binary of tests that began also came to its end.
all_ended() {
    [[ $(grep -cE '^running [0-9]+ tests?$' "$1") == "$(grep -c '^test result:' "$1")" ]]
}

# `cargo test` with these arguments. Up to two tests that fail run again, alone, and a
# line that starts with UNSTABLE names those that pass then. Three or more do not, nor
# what could not be built, nor a binary that crashed.
run_tests() {
    local log code=0 name failed=() again=("$@")
    log=$(mktemp)
    cargo test --release --locked --no-fail-fast "$@" 2>&1 | tee "$log" || code=$?
    mapfile -t failed < <(failed_tests "$log")
    if ((code != 0)) && ((${#failed[@]} == 1 || ${#failed[@]} == 2)) &&
        ((${#failed[@]} == $(failed_count "$log"))) && all_ended "$log"; then
        section "Once more, alone: ${failed[*]}"
        [[ " $* " == *" -- "* ]] || again+=(--)
        if cargo test --release --locked "${again[@]}" --exact --test-threads 1 "${failed[@]}"; then
            code=0
            for name in "${failed[@]}"; do
                printf 'UNSTABLE: %s failed beside the others and passed alone\n' "$name"
            done
        fi
    fi
    rm -f "$log"
    return "$code"
}
