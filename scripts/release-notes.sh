#!/usr/bin/env bash
# Prints what CHANGELOG.md says of a version: scripts/release-notes.sh 0.1.0
# Of what comes next: scripts/release-notes.sh Unreleased
set -euo pipefail

if (($# != 1)); then
    printf 'usage: %s VERSION\n' "$0" >&2
    exit 2
fi
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# From the heading "## [VERSION]" to the next heading of its kind, or to the links.
notes=$(awk -v heading="## [$1]" '
    /^## / { inside = index($0, heading) == 1; next }
    /^\[[^]]*\]: / { inside = 0 }
    inside
' "$root/CHANGELOG.md")
if [[ -z ${notes//[[:space:]]/} ]]; then
    printf 'CHANGELOG.md says nothing of %s\n' "$1" >&2
    exit 1
fi
# Without the blank lines around it: $(...) has taken those at the end.
printf '%s\n' "${notes#$'\n'}"
