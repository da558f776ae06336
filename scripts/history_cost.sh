#!/usr/bin/env bash
# Measures what the history of changes costs a put: these sources with and without a history,
# and an older build, in turn.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/history_cost.sh OLD_BINARY [--new BINARY]... [--rounds R] [--seconds S]
                               [--full S] [--gets] [--help]

Starts five servers of OLD_BINARY, five of the release build of these sources, and five of
these with keep_revisions = 0. Each cluster is loaded with puts (values of 256 bytes) until
its history is full. Then all of them are loaded in turn, with 64 and with 256 clients. The
medians over all rounds are printed with their ratios to those of OLD_BINARY in the same
round, and the middle half of these: the machine's own speed changes from minute to minute.
OLD_BINARY is to be one from before there was a history; docs/performance_history.md has its
commit.

  --new BINARY  another build instead of that of these sources; may be repeated
  --rounds R    number of rounds (12)
  --seconds S   time of each load (1.5)
  --full S      time of the puts before (45); after four seconds the history is full, and
                after the second snapshot the log has its size, too
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
rounds=12
seconds=1.5
full=45
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
        --gets)
            for clients in 64 256; do
                loads+=("gets, $clients clients|--clients $clients --read-percent 100")
            done
            ;;
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
if [ ${#builds[@]} = 0 ]; then builds=("new=$coracle"); fi
make_dir

# The variants: name|binary|tables of servers.toml.
variants=("old|$old|")
for build in "${builds[@]}"; do
    name=${build%%=*} new=${build#*=}
    variants+=("$name|$new|" "$name, no history|$new|"$'\n[history]\nkeep_revisions = 0\n')
done

# Starts the cluster of a variant, and fills its history.
declare -A servers=() # the pids of a variant's servers, by its number
top=$dir
trap 'dir=$top; clean_up' EXIT
start_variant() {
    local number=$1 id
    IFS='|' read -r -d '' _ binary tables <<<"${variants[$number]}" || true
    tables=${tables%$'\n'}
    use_variant "$number"
    mkdir "$dir"
    pids=() # those of the variant before go on
    new_cluster 5
    servers[$number]=${pids[*]}
    for id in "${ids[@]}"; do other[$number.$id]=${pids[$id]}; done
    bench --clients 64 --warmup-s 0 --duration-s "$full" >/dev/null
}
use_variant() { dir=$top/$1 config=$top/$1/servers.toml; }

# Prints how many of the processes with these pids have huge pages.
in_huge_pages() {
    local pid
    for pid in "$@"; do awk '/^AnonHugePages/ { print ($2 > 0) }' "/proc/$pid/smaps_rollup"; done |
        awk '{ sum += $1 } END { print sum }'
}

# Loads a variant in a round: rate, CPU us of a command, resident MB a server, and the number of
# servers that have huge pages, which with glibc 2.36 is luck (docs/adr/0041).
measure() {
    local number=$1 load=$2 round=$3 json cpu of
    use_variant "$number"
    read -ra of <<<"${servers[$number]}"
    cpu=$(cpu_ticks "${of[@]}")
    # shellcheck disable=SC2086 # several words
    json=$(bench --warmup-s 0.2 --duration-s "$seconds" ${loads[$load]#*|})
    cpu=$(($(cpu_ticks "${of[@]}") - cpu))
    if [ "$(errors "$json")" != 0 ]; then say "errors: $json"; fi
    awk -v rate="$(field per_second "$json")" -v kb="$(resident_kb "${of[@]}")" \
        -v commands="$(($(field commands "$json") + $(field commands_uncounted "$json")))" \
        -v cpu_us="$((cpu * 1000000 / ticks_per_second))" -v huge="$(in_huge_pages "${of[@]}")" \
        'BEGIN { printf "%s %.2f %.1f %d\n", rate, cpu_us / commands, kb / 1024 / 5, huge }' \
        >"$top/$number.$load.$round"
}

for number in "${!variants[@]}"; do
    say "fills the history of ${variants[$number]%%|*}"
    start_variant "$number"
done
for load in "${!loads[@]}"; do
    say "${loads[$load]%%|*}"
    for round in $(seq "$rounds"); do
        order=("${!variants[@]}")
        # The last one of a round may find a warmer machine, so the order changes.
        if [ $((round % 2)) = 0 ]; then
            mapfile -t order < <(printf '%s\n' "${order[@]}" | sort -rn)
        fi
        for number in "${order[@]}"; do measure "$number" "$load" "$round"; done
    done
done

column() { awk -v n="$3" 'FNR == 1 { print $n }' "$top/$1.$2."* | median; }
ratios() {
    local round
    for round in $(seq "$rounds"); do
        paste -d ' ' "$top/$1.$2.$round" "$top/0.$2.$round"
    done | awk -v n="$3" '{ printf "%.3f\n", $n / $(n + 4) }' | sort -g |
        awk '{ v[NR] = $1 } END {
            printf "%s (%s to %s)", v[int((NR + 1) / 2)], v[int((NR + 3) / 4)], v[int((3 * NR + 1) / 4)]
        }'
}

machine
echo
echo "| build | load | per second | ratio (middle half) | CPU us | ratio (middle half) | MB a server | in huge pages |"
echo "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
for number in "${!variants[@]}"; do
    for load in "${!loads[@]}"; do
        echo "| ${variants[$number]%%|*} | ${loads[$load]%%|*} | $(column "$number" "$load" 1)" \
            "| $(ratios "$number" "$load" 1) | $(column "$number" "$load" 2)" \
            "| $(ratios "$number" "$load" 2) | $(column "$number" "$load" 3)" \
            "| $(column "$number" "$load" 4) of 5 |"
    done
done
