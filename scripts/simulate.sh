#!/usr/bin/env bash
# Simulates whole clusters by seed on all cores; see docs/internals/simulation.md.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/simulate.sh [--seeds N] [--first SEED] [--minutes M] [--replay SEED] [--help]

Simulates a cluster for each seed, on all cores: what goes wrong in it is drawn from
the seed, and everything that Raft and the protocol promise is checked. Prints its
progress, a summary, and the seeds that failed; exits with 1 if there were any.

  --seeds N      so many seeds (default: 1000)
  --first SEED   the first of them (default: 1000)
  --minutes M    begin no further seed after so long
  --replay SEED  run this one alone, and tell all that happens
  --help         this text
USAGE
}

fail() {
    echo "simulate: $1" >&2
    usage >&2
    exit 2
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
seeds=1000
first=1000
minutes=
replay=

while [ $# -gt 0 ]; do
    case $1 in
        --seeds | --first | --minutes | --replay)
            case ${2:-} in
                '' | *[!0-9]*) fail "$1 needs a number" ;;
            esac
            case $1 in
                --seeds) seeds=$2 ;;
                --first) first=$2 ;;
                --minutes) minutes=$2 ;;
                --replay) replay=$2 ;;
            esac
            shift 2
            ;;
        --help)
            usage
            exit 0
            ;;
        *) fail "unknown option $1" ;;
    esac
done

cd "$root"
run=(cargo test --quiet --release --test simulation)
if [ -n "$replay" ]; then
    CORACLE_SEED=$replay "${run[@]}" replay -- --ignored --nocapture
else
    CORACLE_SEEDS=$seeds CORACLE_FIRST=$first CORACLE_MINUTES=$minutes \
        "${run[@]}" soak -- --ignored --nocapture
fi
