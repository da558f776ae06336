#!/usr/bin/env bash
# Measures a cluster whose log is compacted after snapshots: disk and memory over many writes,
# servers that return after a long absence, and a start from a large snapshot.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/endurance.sh [--writes N] [--away N] [--keys N] [--behind N] [--only SECTION]
                            [--binary FILE] [--write-docs] [--help]

Starts five servers in a temporary directory for each section, and prints the figures. All
files are removed at the end.

  growth   N writes (--writes, 10,000,000) of 100 bytes over 100,000 keys, in ten parts:
           disk and memory of a server after each, and the size of the live data
  comeback one server is stopped and another loses its directory, N writes (--away,
           1,000,000) pass, and both come back under load: the time until they have caught
           up, and the writers' p99 in that time
  restart  a server with a snapshot of N keys (--keys, 1,000,000) and N entries after it
           (--behind, 100,000) is killed and started: the time until it has applied all

  --only SECTION  growth, comeback or restart (all of them)
  --binary FILE   the servers' binary, if not the release build of these sources
  --write-docs    put the figures into docs/performance.md
  --help          this text
USAGE
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=endurance
# shellcheck source=scripts/lib/cluster.sh
. "$root/scripts/lib/cluster.sh"

writes=10000000
away=1000000
keys=1000000
behind=100000
only=
write_docs=no

while [ $# -gt 0 ]; do
    case $1 in
        --writes | --away | --keys | --behind | --only | --binary)
            [ $# -ge 2 ] || fail "$1 needs a value"
            declare "${1#--}=$2"
            shift
            ;;
        --write-docs) write_docs=yes ;;
        --help)
            usage
            exit 0
            ;;
        *) fail "unknown option $1" ;;
    esac
    shift
done
case $only in
    '' | growth | comeback | restart) ;;
    *) fail "--only knows growth, comeback and restart, not $only" ;;
esac
if [ $write_docs = yes ] && [ -n "$only" ]; then
    fail "--write-docs writes all sections, so it does not go with --only"
fi

# Prints the value of one line of a server's status.
status_of() {
    local id=$1 name=$2
    exec 9<>"/dev/tcp/127.0.0.1/$((first_port + 2 * id - 2))" || return 1
    printf 'status\r\nquit\r\n' >&9
    tr -d '\r' <&9 | awk -v name="$name" '$1 == name { print $2 }'
    exec 9<&- 9>&-
}

mb() { awk -v bytes="$1" 'BEGIN { printf "%.1f", bytes / 1000000 }'; }
bytes_of() { du -sb --apparent-size "$@" | awk '{ n += $1 } END { print n }'; }
put() { bench --clients 64 --pipeline 16 --value-bytes 100 "$@"; }

growth() {
    local part json id worst live snapshot log kb errors=0
    new_cluster 5
    echo "| writes | per second | live data MB | log MB | snapshots MB | disk / live | resident MB |"
    echo "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for part in $(seq 10); do
        say "growth, part $part of 10"
        json=$(put --keys 100000 --count $((writes / 10)))
        errors=$((errors + $(errors "$json")))
        wait_until_caught_up
        live=$(status_of 1 store_bytes) worst=0 kb=0
        for id in "${ids[@]}"; do
            if [ "$(bytes_of "$dir/data/$id")" -gt "$worst" ]; then
                worst=$(bytes_of "$dir/data/$id")
                log=$(bytes_of "$dir/data/$id/log")
                snapshot=$(bytes_of "$dir/data/$id/snapshot")
            fi
            kb=$(printf '%s\n' "$kb" "$(resident_kb "${pids[$id]}")" | sort -g | tail -n 1)
        done
        awk -v n=$((writes / 10 * part)) -v rate="$(field per_second "$json")" -v live="$live" \
            -v log_="$log" -v snapshot="$snapshot" -v kb="$kb" 'BEGIN {
                m = 1000000
                printf "| %d | %.0f | %.1f | %.1f | %.1f | %.2f | %.1f |\n", n, rate, live / m,
                    log_ / m, snapshot / m, (log_ + snapshot) / live, kb / 1024
            }'
    done
    echo
    echo "Of the five servers the one with most on disk, and the largest resident size;" \
        "live data as \`store_bytes\` counts it. Errors: $errors."
}

# Waits until server $2 has applied index $3. Prints the milliseconds since $1, a time in us.
catch_up_ms() {
    local began=$1 id=$2 goal=$3 applied
    while :; do
        applied=$(status_of "$id" last_applied 2>/dev/null || true)
        if [ "${applied:-0}" -ge "$goal" ]; then break; fi
        sleep 0.02
    done
    echo $((($(now_us) - began) / 1000))
}

comeback() {
    local led stopped=() id json before during began goal load_pid times=()
    new_cluster 5
    put --keys 100000 --count 200000 >/dev/null
    before=$(bench --clients 64 --value-bytes 100 --keys 100000 --warmup-s 1 --duration-s 5)
    led=$(leader)
    for id in "${ids[@]}"; do
        if [ "$id" != "$led" ] && [ ${#stopped[@]} -lt 2 ]; then stopped+=("$id"); fi
    done
    for id in "${stopped[@]}"; do kill_server "$id"; done
    rm -rf -- "$dir/data/${stopped[1]}"
    say "comeback: $away writes pass"
    json=$(put --keys 100000 --count "$away")
    bench_command
    "${load_command[@]}" --clients 64 --value-bytes 100 --keys 100000 --duration-s 15 \
        >"$dir/during" &
    load_pid=$!
    other[load]=$load_pid
    sleep 1
    goal=$(status_of "$led" commit_index)
    began=$(now_us)
    for id in "${stopped[@]}"; do start_server "$id"; done
    for id in "${stopped[@]}"; do times+=("$(catch_up_ms "$began" "$id" "$goal")"); done
    wait "$load_pid"
    unset 'other[load]'
    during=$(cat "$dir/during")
    wait_until_caught_up
    awk -v away="$away" -v one="${times[0]}" -v other="${times[1]}" \
        -v before="$(field p99_us "$before")" -v during="$(field p99_us "$during")" \
        -v rate="$(field per_second "$before")" -v rate2="$(field per_second "$during")" 'BEGIN {
            print "| what | |\n| --- | ---: |"
            printf "| back after %d writes, under load, until caught up, ms: stopped / emptied | %d / %d |\n", away, one, other
            printf "| p99 of 64 writers, ms: before / meanwhile | %.2f / %.2f |\n", before / 1000, during / 1000
            printf "| their writes a second: before / meanwhile | %.0f / %.0f |\n", rate, rate2
        }'
    for id in "${stopped[@]}"; do
        if [ "$(status_of "$id" store_digest)" != "$(status_of "$led" store_digest)" ]; then
            fail "server $id has another store than the leader"
        fi
    done
}

restart() {
    local id=1 index goal began ms
    tables=$'\n[snapshot]\n'"entries_max = $keys"$'\n'"bytes_max = 1099511627776"$'\n'
    new_cluster 5
    say "restart: $keys keys"
    put --keys "$keys" --distribution sequential --count "$((keys + 1000))" >/dev/null
    while index=$(status_of $id snapshot_index) && [ "$index" -lt "$keys" ]; do sleep 0.2; done
    put --keys "$keys" --count "$((behind - 1000))" >/dev/null
    wait_until_caught_up
    goal=$(status_of $id last_applied)
    kill_server $id
    began=$(now_us)
    start_server $id
    ms=$(catch_up_ms "$began" $id "$goal")
    echo "| what | |"
    echo "| --- | ---: |"
    echo "| start with a snapshot of $(status_of $id keys) keys ($(mb "$(bytes_of "$dir/data/$id/snapshot")") MB)" \
        "and $((goal - index)) entries behind it, until all is applied, ms | $ms |"
    tables=
}

build
make_dir
echo "$(machine), five servers and the load on the one machine." >"$dir/figures"
for section in growth comeback restart; do
    if [ -n "$only" ] && [ "$only" != $section ]; then continue; fi
    echo >>"$dir/figures"
    # The section runs in this shell and not in a pipe: this shell ends the servers.
    $section >>"$dir/figures"
done
cat "$dir/figures"
if [ $write_docs = yes ]; then write_docs endurance "$dir/figures"; fi
