#!/usr/bin/env bash
# Measures how many changes a second come to watches, and beside it the same of etcd.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/watch_fanout.sh [--watches N] [--rate N] [--seconds S] [--rounds R]
                               [--servers N] [--binary FILE] [--help]

Many watches of one prefix, each on a connection of its own, see every write of a steady load.
The rounds alternate between this program and etcd, if it is installed; the load, the watches
and the values are the same, and so is the machine, on which the load runs as well.

  --watches N    number of watches (1,000)
  --rate N       writes a second (1,000)
  --seconds S    time to write (10)
  --rounds R     rounds of each (3)
  --servers N    servers of our cluster (5); etcd has five members
  --binary FILE  the servers' binary, if not the release build of these sources
  --help         this text
USAGE
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=watch_fanout
# shellcheck source=scripts/lib/cluster.sh
. "$root/scripts/lib/cluster.sh"
# shellcheck source=scripts/lib/etcd.sh
. "$root/scripts/lib/etcd.sh"

watches=1000
rate=1000
seconds=10
rounds=3
servers=5

while [ $# -gt 0 ]; do
    case $1 in
        --watches | --rate | --seconds | --rounds | --servers | --binary)
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

value_bytes=16
# Each watch is a file of the load, and one of a server.
ulimit -n $((watches + 1000)) 2>/dev/null || fail "ulimit -n is too low for $watches watches"

build
cargo build --release --quiet --example watch_load \
    --manifest-path "$root/Cargo.toml"
watch_load=${CARGO_TARGET_DIR:-$root/target}/release/examples/watch_load
make_dir
has_etcd && build_etcd_bench

machine
for round in $(seq "$rounds"); do
    echo "round $round, coracle:"
    "$watch_load" --program "$binary" --servers "$servers" --single-writes 0 --idle 0 \
        --watches "$watches" --rate "$rate" --seconds "$seconds" --value-bytes "$value_bytes"
    [ -n "$etcd_bench" ] || continue
    new_etcd_cluster
    echo "round $round, etcd $(etcd_version):"
    "$etcd_bench" --endpoints "$etcd_endpoints" --watches "$watches" --rate "$rate" \
        --duration-s "$seconds" --value-bytes "$value_bytes"
    end_all "${etcd_pids[@]}"
    etcd_pids=()
done
