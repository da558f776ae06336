#!/usr/bin/env bash
# Measures what a read at a server that does not lead costs, beside one at the leader.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/mode_cost.sh [--rounds R] [--seconds S] [--help]

Starts five servers and loads them with linearizable gets, in turn: all connections at the
leader, all at one follower, spread over the four followers, and spread over all five, each
with 16, 64 and 256 connections (examples/mode_load). Prints the rate, the CPU time that the
five servers take together for a get, and the median of its ratios to that of the leader in
the same round.

  --rounds R    number of rounds (7)
  --seconds S   time of each load (2)
  --help        this text
USAGE
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=mode_cost
# shellcheck source=scripts/lib/cluster.sh
. "$root/scripts/lib/cluster.sh"

rounds=7
seconds=2
while [ $# -gt 0 ]; do
    case $1 in
        --help)
            usage
            exit 0
            ;;
        --rounds | --seconds)
            declare "${1#--}=${2:?"$1 needs a number"}"
            shift
            ;;
        *)
            usage >&2
            exit 2
            ;;
    esac
    shift
done
build
cargo build --release --quiet --manifest-path "$root/Cargo.toml" --example mode_load
make_dir
new_cluster 5
bench --clients 64 --warmup-s 0 --duration-s 2 >/dev/null # wakes all parts

mapfile -t all < <(awk '/^client_port/ { print "127.0.0.1:" $3 }' "$config")
led=$(leader)
followers=("${all[@]}")
unset "followers[$((led - 1))]"
followers=("${followers[@]}")

# Loads servers: $1 connections in mode $2, to the addresses that follow. Prints the rate and the
# CPU us of a get.
measure() {
    local connections=$1 mode=$2 cpu line
    shift 2
    cpu=$(cpu_ticks "${pids[@]}")
    line=$("${coracle%/*}/examples/mode_load" --mode "$mode" --connections "$connections" \
        --duration-s "$seconds" "$@")
    cpu=$(($(cpu_ticks "${pids[@]}") - cpu))
    awk -v gets="${line%% *}" -v s="$seconds" -v cpu_us="$((cpu * 1000000 / ticks_per_second))" \
        'BEGIN { printf "%.0f %.2f\n", gets / s, cpu_us / gets }'
}

for round in $(seq "$rounds"); do
    say "round $round of $rounds"
    for connections in 16 64 256; do
        measure "$connections" leader "${all[$((led - 1))]}" >"$dir/leader.$connections.$round"
        measure "$connections" any "${followers[0]}" >"$dir/one.$connections.$round"
        measure "$connections" any "${followers[@]}" >"$dir/four.$connections.$round"
        measure "$connections" any "${all[@]}" >"$dir/five.$connections.$round"
    done
done
if [ "$(leader)" != "$led" ]; then fail "another server leads now: nothing is comparable"; fi

column() { awk -v n="$2" 'FNR == 1 { print $n }' "$dir/$1".* | median; }
ratio() {
    for round in $(seq "$rounds"); do
        paste -d ' ' "$dir/$1.$2.$round" "$dir/leader.$2.$round"
    done | awk '{ printf "%.3f\n", $2 / $4 }' | median
}

machine
echo
echo "| connections | at | per second | CPU us of a get | ratio to the leader's |"
echo "| ---: | --- | ---: | ---: | ---: |"
declare -A places=([leader]="the leader" [one]="one follower" [four]="four followers"
    [five]="all five")
for connections in 16 64 256; do
    for place in leader one four five; do
        echo "| $connections | ${places[$place]} | $(column "$place.$connections" 1)" \
            "| $(column "$place.$connections" 2) | $(ratio "$place" "$connections") |"
    done
done
