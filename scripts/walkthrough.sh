#!/usr/bin/env bash
# shellcheck disable=SC2016 # backticks are Markdown here
#
# Writes docs/walkthrough.md: what somebody who has only the manual does on a machine that has
# never seen s3mem, and what the machine says to each step.
#
#     scripts/walkthrough.sh              as root; makes the machine by debootstrap (a minute)
#     S3MEM_ROOT=DIR scripts/walkthrough.sh     in a root that was made so before
#
# The machine is a folder with a minimal Debian. S3MEM_PROGRAM and S3MEM_DEMO name programs that
# are built elsewhere; the demo plays the S3 server.
set -euo pipefail

root_of_project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root_of_project"
# shellcheck source=scripts/lib/common.sh
source scripts/lib/common.sh

program=${S3MEM_PROGRAM:-target/release/s3mem}
demo=${S3MEM_DEMO:-target/release/examples/demo}
document=docs/walkthrough.md
for built in "$program" "$demo"; do
    [[ -x $built ]] || fail "$built is missing: cargo build --release --locked --bin s3mem --example demo"
done
((EUID == 0)) || fail "only root can make a machine of its own"

# In a mount namespace of its own, so that whatever is left of a machine goes with this script.
if [[ -z ${S3MEM_WALKTHROUGH:-} ]]; then
    export S3MEM_WALKTHROUGH=1
    exec unshare --mount --propagation private "$0" "$@"
fi

machine=${S3MEM_ROOT:-}
if [[ -z $machine ]]; then
    command -v debootstrap >/dev/null || debian_packages debootstrap
    machine=$(mktemp -d /tmp/s3mem-machine.XXXXXX)
    note "making a machine in $machine"
    debootstrap --variant=minbase --include=attr,ca-certificates,man-db bookworm "$machine" \
        >"$machine.log" 2>&1 || fail "debootstrap failed: see $machine.log"
fi

server=
finish() {
    [[ -z $server ]] || kill "$server" 2>/dev/null || true
    [[ -z ${told:-} ]] || rm -f "$told"
}
trap finish EXIT

mount -t proc proc "$machine/proc"
mount --rbind /dev "$machine/dev"
mount -t tmpfs tmpfs "$machine/run"
cp /etc/resolv.conf "$machine/etc/resolv.conf"
install -m 755 "$program" "$machine/usr/local/bin/s3mem"
# As on every machine that has been booted.
ln -sf ../proc/self/mounts "$machine/etc/mtab"
chroot "$machine" useradd --create-home --shell /bin/bash ada 2>/dev/null || true
rm -rf "$machine/home/ada" && chroot "$machine" install -d -o ada -g ada /home/ada
chroot "$machine" apt-get remove -y -q fuse3 >/dev/null 2>&1 || true

told=$(mktemp)
"$demo" --serve >"$told" &
server=$!
for ((tries = 0; tries < 100; tries++)); do
    grep -q SECRET "$told" && break
    sleep 0.1
done
endpoint=$(sed -n 's/^export AWS_ENDPOINT_URL=//p' "$told")
key=$(sed -n 's/^export AWS_ACCESS_KEY_ID=//p' "$told")
secret=$(sed -n 's/^export AWS_SECRET_ACCESS_KEY=//p' "$told")
[[ -n $secret ]] || fail "the demo's server did not start"

say() {
    printf '%s\n\n' "$*" >>"$document"
}

# on WHO COMMAND: what they type, and what comes. The status is told if it is not 0.
on() {
    local who=$1 command=$2 prompt='$' output code=0
    [[ $who == root ]] && prompt='#'
    output=$(chroot "$machine" su - "$who" -c "export PAGER=cat MANWIDTH=100; $command" 2>&1) || code=$?
    {
        printf '```console\n%s %s\n' "$prompt" "$command"
        # What is long is cut on the right, as on a screen.
        [[ -z $output ]] || printf '%s\n' "$output" | expand | cut -c 1-180
        ((code == 0)) || printf '[exit status %d]\n' "$code"
        printf '```\n\n'
    } >>"$document"
}

ada() { on ada "$1"; }

cat >"$document" <<'END'
# A walk through s3mem, with the manual alone

Ada has a minimal Debian 12 and the program, and has never seen s3mem. She mounts a bucket, sees what that does and costs, and finds out what is wrong. Below stands each thing that she types and what the machine says, as it came; [scripts/walkthrough.sh](../scripts/walkthrough.sh) makes the machine and writes this page. The server is the demo's (`cargo run --release --example demo -- --serve`), which has a part of Sentinel-2's bucket.

`$` is Ada, `#` is root. Long lines are cut.

## Find the manual

END

ada 's3mem --version'
ada 's3mem -h'
say 'There is a manual with a page for each command:'
on root 's3mem man /usr/local/share/man/man1 && man -w s3mem-doctor'
ada 'man s3mem-doctor | head -n 24'

say '## Is this machine ready?'
ada 's3mem doctor'
say 'One program is missing, and the doctor says how to get it. Root does so:'
on root 'apt-get install -y -q fuse3 2>&1 | tail -n 1'
ada 's3mem doctor | tail -n 1'

say '## Is the bucket?'
ada 's3mem doctor sentinel-s2-l1c ~/s2'
say 'The folder is missing, and credentials are. Her administrator has given her a key and the address of the server:'
ada 'mkdir -p ~/s2 ~/.aws'
ada "printf '%s\n' '[default]' 'aws_access_key_id = $key' 'aws_secret_access_key = ${secret:0:4}...' > ~/.aws/credentials"
# The whole of it is nobody's business, not even in a demo.
chroot "$machine" su - ada -c "sed -i 's|= ${secret:0:4}...|= $secret|' ~/.aws/credentials"
ada "printf '%s\n' '[default]' 'endpoint_url = $endpoint' > ~/.aws/config"
ada 's3mem doctor sentinel-s2-l1c ~/s2'
say 'Nothing is wrong any more. The warning tells her that some objects will have other names than their keys, and how they are written.'

say '## Mount'
ada 's3mem mount sentinel-s2-l1c ~/s2'
ada 'ls ~/s2 ~/s2/tiles/10/S/DG/2015/12/7/0'
say 'The files are those of the bucket. Each image has siblings besides, which are made when they are read:'
ada 'cd ~/s2/tiles/10/S/DG/2015/12/7/0 && head -c 400 B04.jp2.json'
ada 'cd ~/s2/tiles/10/S/DG/2015/12/7/0 && cp B04.jp2.preview.png ~ && ls -l ~/B04.jp2.preview.png'
ada 'cd ~/s2/tiles/10/S/DG/2015/12/7/0 && getfattr -d B04.jp2'
say 'She may not write, and the manual says which flag would allow it:'
ada 'touch ~/s2/x'
ada 'man s3mem-mount | grep -A 8 -m 1 -e "--writes <"'

say '## What does it do?'
ada 'head -c 100M ~/s2/mosaics/2015/10SDG.raw | md5sum'
ada 's3mem status ~/s2'
say 'Which program reads the bucket empty stands at the end: the busiest files, and who opened them. The same for scripts, and live (here for five seconds, as lines, because there is no terminal):'
ada "s3mem status ~/s2 --json | tr ',' '\n' | grep -m 3 -E 'get_requests|get_bytes|list_requests'"
ada 'timeout 5 s3mem status ~/s2 --watch'

say '## What does it cost?'
say 'The server is not AWS, so nobody knows its prices. The manual says: `--prices FILE`. With a list of three prices:'
ada 's3mem umount ~/s2'
ada "printf '%s\n' 'date = \"2026-01-31\"' 'currency = \"EUR\"' '[[region]]' 'names = [\"*\"]' 'put_per_1000 = 0.005' 'get_per_1000 = 0.0004' 'egress_per_gb = 0.09' > ~/prices.toml"
ada 's3mem mount sentinel-s2-l1c ~/s2 --prices ~/prices.toml'
ada 'head -c 200M ~/s2/mosaics/2015/10SDG.raw | md5sum'
ada "s3mem status ~/s2 | grep -E '^ *(requests|cost|latency)'"
say '200 MiB that leave the server cost nearly two cents, and the requests hardly anything. The second reader pays nothing, because the bytes are in memory:'
ada 'head -c 200M ~/s2/mosaics/2015/10SDG.raw | md5sum'
ada "s3mem status ~/s2 | grep -E '^ *(requests|cost|from memory)'"

say '## What is wrong?'
say 'An old key:'
ada 's3mem umount ~/s2; sed -i s/AKID/AKIA/ ~/.aws/credentials; s3mem mount sentinel-s2-l1c ~/s2'
ada "s3mem doctor sentinel-s2-l1c ~/s2 | grep -A 1 '^problem'"
ada 'sed -i s/AKIA/AKID/ ~/.aws/credentials'
say 'A bucket that is misspelled:'
ada 's3mem mount sentinel-s2-l1 ~/s2'
say 'A flag that is misspelled:'
ada 's3mem mount sentinel-s2-l1c ~/s2 --memry 1G'
say 'A proxy that is not there:'
ada "HTTP_PROXY=http://127.0.0.1:1 s3mem doctor sentinel-s2-l1c --request-timeout 2 | grep -A 1 -E '^problem'"
say 'A file that is no image has no siblings. What the mount has to say is in its log:'
ada 's3mem mount sentinel-s2-l1c ~/s2 --log-file ~/log && ls ~/s2/strange >/dev/null; cat ~/s2/readme.txt.json; cat ~/log'
say 'Why is a program slow? A trace has each call and each request with its time, for https://ui.perfetto.dev:'
ada 's3mem umount ~/s2'
ada 's3mem mount sentinel-s2-l1c ~/s2 --trace-file ~/trace.json && cat ~/s2/readme.txt && s3mem umount ~/s2'
ada 'grep readme.txt ~/trace.json'
say 'A program still stands in the mount:'
ada 's3mem mount sentinel-s2-l1c ~/s2; (cd ~/s2 && exec sleep 5) & sleep 1; s3mem umount ~/s2'
say 'The program has ended meanwhile:'
sleep 5
ada 's3mem umount ~/s2'

say '## What stays'
ada 's3mem status; ls -A ~/s2'
say 'Nothing is mounted. On the disk are only the picture that she copied, and the log and the trace that she asked for.'

note "$document is written"
