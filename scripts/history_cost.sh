#!/usr/bin/env bash
# Measures what the history of changes costs a put: these sources with and without a history,
# and an older build, in turn.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/history_cost.sh OLD_BINARY [--new BINARY]... [--rounds R] [--seconds S]
                               [--full S] [--gets] [--help]

Starts five servers of OLD_BINARY, five of the release build of these sources, and five of
these with keep_revisions = 0, one cluster after the other. Each is loaded with puts (values
of 256 bytes) until its history is full, and then measured with 64 and with 256 clients. The
medians over all rounds are printed with their ratios to those of OLD_BINARY, and the ratios'
spread: the machine's own speed changes from minute to minute. OLD_BINARY is to be one from
before there was a history; docs/performance_history.md has its commit.

  --new BINARY  another build instead of that of these sources; may be repeated
  --rounds R    number of rounds (5)
  --seconds S   time of each load (3)
  --full S      time of the puts before, which fill the history (4)
  --gets        measure gets as well
  --help        this text
USAGE
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=history_cost
# shellcheck source=scripts/lib/cluster.sh
. "$root/scripts/lib/cluster.sh"

old=
builds=()
rounds=5
seconds=3
full=4
loads=("64 clients|--clients 64" "256 clients|--clients 256")
while [ $# -gt 0 ]; do
    case $1 in
        --help)
            usage
            exit 0
            ;;
        --new)
            builds+=("${2:?"--new needs a binary"}")
            shift
            ;;
        --rounds | --seconds | --full)
            declare "${1#--}=${2:?"$1 needs a number"}"
            shift
            ;;
        --gets) loads+=("gets, 64 clients|--clients 64 --read-percent 100" "gets, 256 clients|--clients 256 --read-percent 100") ;;
        -*) fail "unknown option $1" ;;
        *) old=$1 ;;
    esac
    shift
done
if [ ! -x "$old" ]; then
    usage >&2
    exit 2
fi
build
if [ ${#builds[@]} = 0 ]; then builds=("$coracle"); fi
make_dir

# The variants: name|binary|tables of servers.toml.
variants=("old|$old|")
for new in "${builds[@]}"; do
    variants+=("$new|$new|" "$new, no history|$new|"$'\n[history]\nkeep_revisions = 0\n')
done

# Measures a variant in a round: rate, CPU us of a command, resident MB a server.
measure() {
    local number=$1 round=$2 name load json cpu
    IFS='|' read -r -d '' name binary tables <<<"${variants[$number]}" || true
    tables=${tables%$'\n'}
    new_cluster 5
    bench --clients 64 --warmup-s 0 --duration-s "$full" >/dev/null
    for load in "${!loads[@]}"; do
        cpu=$(cpu_ticks "${pids[@]}")
        # shellcheck disable=SC2086 # several words
        json=$(bench --warmup-s 0.3 --duration-s "$seconds" ${loads[$load]#*|})
        cpu=$(($(cpu_ticks "${pids[@]}") - cpu))
        if [ "$(errors "$json")" != 0 ]; then say "errors: $json"; fi
        awk -v rate="$(field per_second "$json")" -v kb="$(resident_kb "${pids[@]}")" \
            -v commands="$(($(field commands "$json") + $(field commands_uncounted "$json")))" \
            -v cpu_us="$((cpu * 1000000 / ticks_per_second))" \
            'BEGIN { printf "%s %.2f %.1f\n", rate, cpu_us / commands, kb / 1024 / 5 }' \
            >"$dir/$number.$load.$round"
    done
}

for round in $(seq "$rounds"); do
    say "round $round of $rounds"
    order=("${!variants[@]}")
    # The last one of a round may find a warmer machine, so the order changes.
    if [ $((round % 2)) = 0 ]; then mapfile -t order < <(printf '%s\n' "${order[@]}" | sort -rn); fi
    for number in "${order[@]}"; do measure "$number" "$round"; done
done

column() { awk -v n="$3" 'FNR == 1 { print $n }' "$dir/$1.$2."* | median; }
ratios() {
    local round
    for round in $(seq "$rounds"); do
        paste -d ' ' "$dir/$1.$2.$round" "$dir/0.$2.$round"
    done | awk -v n="$3" '{ printf "%.3f\n", $n / $(n + 3) }' | spread
}

machine
echo
echo "| build | load | per second | ratio: least / median / most | CPU us | ratio | MB a server |"
echo "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
for number in "${!variants[@]}"; do
    for load in "${!loads[@]}"; do
        echo "| ${variants[$number]%%|*} | ${loads[$load]%%|*} | $(column "$number" "$load" 1)" \
            "| $(ratios "$number" "$load" 1) | $(column "$number" "$load" 2)" \
            "| $(ratios "$number" "$load" 2) | $(column "$number" "$load" 3) |"
    done
done
