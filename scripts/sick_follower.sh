#!/usr/bin/env bash
# Shows what a follower without room for a snapshot costs the leader: its disk stays within
# the bound of docs/operations.md, and the follower catches up by itself when it has room.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/sick_follower.sh [--seconds N] [--keys N] [--binary FILE] [--help]

Starts five servers in a temporary directory. The data directory of the last one is a tmpfs
that is too small for a snapshot. It is stopped until the others no longer have the entries
that it lacks, and started again. Then come writes at full speed. Every ten seconds the size
of the leader's data directory is printed, and at the end the largest of all servers against
the bound of docs/operations.md. Last, the tmpfs is made larger, and the follower has to catch
up.

  --seconds N    seconds of writes (600)
  --keys N       number of keys, with values of 256 bytes (100,000)
  --binary FILE  the servers' binary, if not the release build of these sources
  --help         this text

Exits with 0 when all of that holds, with 1 when it does not, and with 77 when it cannot be
tried here: mounting a tmpfs needs root, or a user namespace (unshare -rm).
USAGE
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=sick_follower
# shellcheck source=scripts/lib/cluster.sh
. "$root/scripts/lib/cluster.sh"

seconds=600
keys=100000
arguments=("$@")

while [ $# -gt 0 ]; do
    case $1 in
        --seconds | --keys | --binary)
            [ $# -ge 2 ] || fail "$1 needs a value"
            declare "${1#--}=$2"
            shift
            ;;
        --help)
            usage
            exit 0
            ;;
        *) fail "unknown option $1" ;;
    esac
    shift
done

# The mount is made in a namespace of its own, and so vanishes with this script.
if [ "${SICK_FOLLOWER_INSIDE:-}" != yes ]; then
    if ! unshare -rm mount -t tmpfs -o size=1m tmpfs /tmp 2>/dev/null; then
        say "skipped: a tmpfs cannot be mounted here (unshare -rm fails)"
        exit 77
    fi
    build
    SICK_FOLLOWER_INSIDE=yes exec unshare -rm "$root/scripts/sick_follower.sh" "${arguments[@]}"
fi

sick=5
bytes_max=$((8 << 20))
segment_bytes=$((2 << 20))
keep_entries=1000
# A snapshot has the values and about 40 bytes more for each key. Its half fits.
small_bytes=$((keys * 296 / 2))
tables="
[snapshot]
entries_max = 50000
bytes_max = $bytes_max

[log]
segment_bytes = $segment_bytes
keep_entries = $keep_entries
"

disagree() {
    say "FAILED: $*"
    exit 1
}

# Prints the value of one line of a server's status.
status_of() {
    local id=$1 name=$2
    exec 9<>"/dev/tcp/127.0.0.1/$((first_port + 2 * id - 2))" || return 1
    printf 'status\r\nquit\r\n' >&9
    tr -d '\r' <&9 | awk -v name="$name" '$1 == name { print $2 }'
    exec 9<&- 9>&-
}

# Files come and go while they are counted.
bytes_of() { { du -sb --apparent-size "$1" 2>/dev/null || true; } | awk '{ n += $1 } END { print n + 0 }'; }
newest_snapshot_bytes() {
    { find "$dir/data/$1/snapshot" -type f -printf '%s\n' 2>/dev/null || true; } | sort -g | tail -n 1
}
mb() { awk -v bytes="$1" 'BEGIN { printf "%.1f", bytes / 1000000 }'; }
put() { bench --clients 64 --pipeline 16 --value-bytes 256 --keys "$keys" "$@"; }

clean_up_mount() {
    end_all "${pids[@]}" "${other[@]}"
    umount "$dir/data/$sick" 2>/dev/null || true
    clean_up
}

start_five() {
    local id
    mapfile -t ids < <(seq 5)
    find_ports 10
    write_config >"$config"
    mkdir -p "$dir/data/$sick"
    mount -t tmpfs -o "size=$small_bytes" tmpfs "$dir/data/$sick"
    for id in "${ids[@]}"; do start_server "$id"; done
    wait_until_caught_up
}

# Leaves the last server behind the beginning of the others' logs, without room for a snapshot.
make_sick() {
    local led tries=0
    put --count 2000 >/dev/null
    wait_until_caught_up
    kill_server "$sick"
    put --distribution sequential --count "$keys" >/dev/null
    put --count "$((3 * keys))" >/dev/null
    start_server "$sick"
    until led=$(leader) &&
        [ "$(status_of "$led" snapshot_refusals 2>/dev/null)" = "$sick:no_room" ]; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || disagree "the leader never said that server $sick has no room"
        sleep 0.1
    done
    say "status of the leader, server $led: snapshot_refusals $sick:no_room"
}

# Sets bound to the largest size of a data directory by docs/operations.md, with a snapshot of
# $1 bytes.
set_bound() {
    local unit=$1
    [ "$unit" -gt $bytes_max ] || unit=$bytes_max
    bound=$((4 * $1 + 5 * unit + keep_entries * 400 + 8 * segment_bytes))
}

# Looks at all servers once a second while the load runs.
watch_load() {
    local id bytes led=none
    local -i looks=0
    while kill -0 "${other[load]}" 2>/dev/null; do
        for id in 1 2 3 4; do
            bytes=$(bytes_of "$dir/data/$id")
            if [ "$bytes" -gt "$largest" ]; then largest=$bytes; fi
            bytes=$(newest_snapshot_bytes $id)
            if [ "${bytes:-0}" -gt "$snapshot" ]; then snapshot=$bytes; fi
        done
        if [ $((looks % 10)) = 0 ]; then
            led=$(leader)
            printf '%5d s: leader %s, %s MB in its directory, last_applied %s\n' "$looks" "$led" \
                "$(mb "$(bytes_of "$dir/data/$led")")" "$(status_of "$led" last_applied || true)"
        fi
        looks+=1
        kill -0 "${pids[$sick]}" 2>/dev/null || disagree "server $sick has ended"
        sleep 1
    done
}

coracle=${CARGO_TARGET_DIR:-$root/target}/release/coracle
binary=${binary:-$coracle}
make_dir
trap clean_up_mount EXIT
start_five
make_sick
bench_command
"${load_command[@]}" --clients 64 --pipeline 16 --value-bytes 256 --keys "$keys" \
    --duration-s "$seconds" >"$dir/load" &
other[load]=$!
largest=0 snapshot=0
watch_load
wait "${other[load]}" || disagree "the load has failed"
unset 'other[load]'
set_bound "$snapshot"
printf 'largest directory: %s MB, bound: %s MB, snapshot: %s MB, writes a second: %.0f, errors: %s\n' \
    "$(mb "$largest")" "$(mb "$bound")" "$(mb "$snapshot")" \
    "$(field per_second "$(cat "$dir/load")")" "$(errors "$(cat "$dir/load")")"
[ "$largest" -le "$bound" ] || disagree "that is above the bound"
led=$(leader)
[ "$(status_of "$sick" last_applied)" -lt "$(status_of "$led" last_applied)" ] ||
    disagree "server $sick was not sick"
mount -o "remount,size=$((20 * small_bytes))" "$dir/data/$sick"
began=$(now_us)
wait_until_caught_up
led=$(leader)
printf 'server %d caught up %d ms after it had room\n' "$sick" $((($(now_us) - began) / 1000))
[ "$(status_of "$sick" store_digest)" = "$(status_of "$led" store_digest)" ] ||
    disagree "server $sick has another store than the leader"
echo "passed"
