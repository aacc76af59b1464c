# shellcheck shell=bash disable=SC2034 # the reasons are read by the script that sources this
# Prometheus and promtool from their Debian package, unpacked into the cache folder and not
# installed: installed it would be a service, with a port and a user of its own. Sourced after
# common.sh, never run.

PROMETHEUS_MISSING=

# Puts both on the PATH, or returns 1 with the reason in PROMETHEUS_MISSING.
prometheus_find() {
    if command -v promtool >/dev/null && command -v prometheus >/dev/null; then
        return 0
    fi
    local root="$S3MEM_CACHE/prometheus"
    if [[ ! -x $root/usr/bin/promtool ]]; then
        if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
            PROMETHEUS_MISSING="it is unpacked from a Debian package, and this is no Debian"
            return 1
        fi
        note "unpacking prometheus (20 MB, once; the log is $root.log)"
        if ! with_lock prometheus prometheus_unpack "$root"; then
            PROMETHEUS_MISSING="the package could not be had: $(tail -n 1 "$root.log")"
            return 1
        fi
    fi
    PATH="$root/usr/bin:$PATH"
    export PATH
}

prometheus_unpack() {
    local root=$1 building="$1-building"
    [[ -x $root/usr/bin/promtool ]] && return 0
    rm -rf "$building" "$root"
    mkdir -p "$building"
    if ! {
        prometheus_download "$building" ||
            { ((EUID == 0)) && apt-get update && prometheus_download "$building"; }
    } >"$root.log" 2>&1; then
        rm -rf "$building"
        return 1
    fi
    dpkg-deb -x "$building"/prometheus_*.deb "$building" >>"$root.log" 2>&1 || return 1
    rm "$building"/prometheus_*.deb
    mv "$building" "$root"
}

prometheus_download() {
    (cd "$1" && apt-get download prometheus)
}
