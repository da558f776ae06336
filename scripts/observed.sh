#!/usr/bin/env bash
# Measures what it costs to be looked at: puts with scrapes and open consoles, and without.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/observed.sh [--clients N] [--seconds S] [--rounds R] [--consoles N]
                           [--binary FILE] [--help]

Five servers take puts. In turn nobody looks at them, or each is scraped once a second and
streams of the console are open, as the page opens them. All of it runs on this machine, also
the load and the readers (curl, one process for each server that is scraped and one for the
streams). A round has both twice, in the order without, with, with, without. Last comes what
the servers work for those who look, with no load: a figure that other programs of the machine
disturb far less than they disturb the puts.

  --clients N    connections of the load (64)
  --seconds S    time of each measurement (4)
  --rounds R     number of rounds (4)
  --consoles N   number of open consoles, each at another server (3)
  --binary FILE  the servers' binary, if not the release build of these sources
  --help         this text
USAGE
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=observed
# shellcheck source=scripts/lib/cluster.sh
. "$root/scripts/lib/cluster.sh"

clients=64
seconds=4
rounds=4
consoles=3
alone_seconds=15

while [ $# -gt 0 ]; do
    case $1 in
        --clients | --seconds | --rounds | --consoles | --binary)
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
command -v curl >/dev/null || fail "curl is not installed"

# Opens the consoles and begins to scrape.
look() {
    local id streams=()
    for id in $(seq "$consoles"); do
        streams+=("http://127.0.0.1:$(http_port "$id")/console/v1/events" -o /dev/null)
    done
    curl --silent --no-buffer --parallel "${streams[@]}" >/dev/null 2>&1 &
    other[streams]=$!
    for id in "${ids[@]}"; do
        curl --silent --rate 60/m -o /dev/null \
            "http://127.0.0.1:$(http_port "$id")/metrics?[1-100000]" &
        other[scrape$id]=$!
    done
}

look_away() {
    end_all "${other[@]}"
    other=()
}

# Measures once. Sets puts to the puts a second, and adds a line to the file of $1.
measure() {
    local result cpu
    if [ "$1" = with ]; then look; fi
    # The first answers are those of new connections. A pause alone makes the puts after it slower,
    # so that there is one in any case.
    sleep 1
    cpu=$(cpu_ticks "${pids[@]}")
    result=$(bench --clients "$clients" --duration-s "$seconds")
    cpu=$(($(cpu_ticks "${pids[@]}") - cpu))
    if [ "$1" = with ]; then look_away; fi
    [ "$(errors "$result")" = 0 ] || fail "the load had errors: $result"
    puts=$(field per_second "$result")
    awk -v puts="$puts" -v ticks="$cpu" -v hz="$ticks_per_second" -v commands="$(field commands "$result")" \
        -v mode="$1" 'BEGIN {
            printf "%-8s %8.0f puts/s %6.1f us of the servers a put\n", mode, puts, ticks / hz / commands * 1e6
        }'
}

# Prints what the servers work in a second without a load, and then with those who look.
measure_alone() {
    local mode cpu from took
    for mode in without with; do
        if [ "$mode" = with ]; then look; fi
        sleep 1
        cpu=$(cpu_ticks "${pids[@]}")
        from=$(now_us)
        sleep "$alone_seconds"
        took=$(($(now_us) - from))
        cpu=$(($(cpu_ticks "${pids[@]}") - cpu))
        if [ "$mode" = with ]; then look_away; fi
        awk -v mode="$mode" -v ticks="$cpu" -v hz="$ticks_per_second" -v took="$took" 'BEGIN {
            printf "%-8s no load, %6.1f ms of the five servers a second\n", mode, ticks / hz / took * 1e9
        }'
    done
}

build
has_http=yes
# A snapshot takes a while of a measurement, and none would have as many as the next one.
tables=$'\n[snapshot]\nentries_max = 100000000\nbytes_max = 17179869184\n'

make_dir
machine
new_cluster 5
# The history is full, and forgets as much as it takes, before anything is counted.
bench --clients 256 --duration-s 8 >/dev/null
for _ in $(seq "$rounds"); do
    declare -A sum=([without]=0 [with]=0)
    for mode in without with with without; do
        measure "$mode"
        sum[$mode]=$(awk -v sum="${sum[$mode]}" -v puts="$puts" 'BEGIN { print sum + puts }')
    done
    awk -v with="${sum[with]}" -v without="${sum[without]}" 'BEGIN { printf "ratio    %8.3f\n", with / without }' |
        tee -a "$dir/ratios"
done
echo "with / without, smallest / median / largest: $(awk '{ print $2 }' "$dir/ratios" | spread)"
measure_alone
