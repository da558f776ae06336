#!/usr/bin/env bash
# Measures these sources and an older build of Coracle in turn, and prints the ratios.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/compare.sh OLD_BINARY [--rounds R] [--seconds S] [--help]

Runs scripts/bench.sh with OLD_BINARY as servers and with the release build of these sources
as servers, in turn, and prints the medians of both and the ratio new / old of each pair. The
machine's own speed changes from minute to minute: only the ratios compare. Every row shows
the smallest and the largest ratio as well; a row is noise when 1 lies between them.

To get an old binary: git worktree add DIR COMMIT, and cargo build --release in DIR.

  --rounds R   number of pairs (5)
  --seconds S  time of each load (2)
  --help       this text
USAGE
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
old=
rounds=5
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
        -*)
            echo "compare: unknown option $1" >&2
            exit 2
            ;;
        *) old=$1 ;;
    esac
    shift
done
if [ ! -x "$old" ]; then
    usage >&2
    exit 2
fi

cargo build --release --quiet --manifest-path "$root/Cargo.toml"
new=${CARGO_TARGET_DIR:-$root/target}/release/coracle
dir=$(mktemp -d "${TMPDIR:-/tmp}/coracle-compare.XXXXXX")
trap 'rm -rf -- "$dir"' EXIT

for round in $(seq "$rounds"); do
    # The second of a pair may find a warmer machine, so the order changes.
    order=(old new)
    if [ $((round % 2)) = 0 ]; then order=(new old); fi
    for build in "${order[@]}"; do
        echo "compare: round $round of $rounds, $build" >&2
        "$root/scripts/bench.sh" --binary "${!build}" --rounds 1 --seconds "$seconds" --kills 3 \
            >"$dir/$build.$round" 2>>"$dir/log" || { tail -n 20 "$dir/log" >&2; exit 1; }
    done
done

# Prints each figure of a run as a line "measure<TAB>value".
figures() {
    awk -F ' *\\| *' '
        /^\| (put|get|90)/ {
            print $2 ": per second\t" $3; print $2 ": p50 ms\t" $4; print $2 ": p99 ms\t" $5
            print $2 ": CPU s per 100,000\t" $7; print $2 ": resident MB a server\t" $8
            if ($9 ~ /^[0-9]/) print $2 ": bytes written a put\t" $9
        }
        /^\| kill -9/ { split($3, spread, " / "); print "kill -9 to the next put, ms, median of 3\t" spread[2] }
        /^\| start of all five/ { print "restart of all five, ms\t" $3 }
    ' "$1"
}

echo "| measure | old, median | new, median | new / old: min | median | max |"
echo "| --- | ---: | ---: | ---: | ---: | ---: |"
for round in $(seq "$rounds"); do
    paste <(figures "$dir/old.$round") <(figures "$dir/new.$round")
done | awk -F '\t' '
    function sort(values, n,    i, j, value) {
        for (i = 2; i <= n; i++) {
            value = values[i]
            for (j = i - 1; j > 0 && values[j] > value; j--) values[j + 1] = values[j]
            values[j + 1] = value
        }
    }
    function median(values, n) {
        sort(values, n)
        return n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2
    }
    $1 != $3 { print "the two runs print different measures: " $1 ", " $3 > "/dev/stderr"; exit 1 }
    !($1 in count) { names[++total] = $1 }
    { n = ++count[$1]; old[$1, n] = $2; new[$1, n] = $4; ratio[$1, n] = $2 ? $4 / $2 : 1 }
    END {
        for (i = 1; i <= total; i++) {
            name = names[i]; n = count[name]
            for (k = 1; k <= n; k++) { a[k] = old[name, k] + 0; b[k] = new[name, k] + 0; r[k] = ratio[name, k] + 0 }
            middle = median(r, n)
            printf "| %s | %.5g | %.5g | %.2f | **%.2f** | %.2f |\n", name, median(a, n), median(b, n), r[1], middle, r[n]
        }
    }'
