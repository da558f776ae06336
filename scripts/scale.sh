#!/usr/bin/env bash
# Measures throughput, latency and memory by the number of clients, the size of values, the
# number of keys and the number of servers; and the effect of slow readers on other clients.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/scale.sh [--seconds S] [--fill-seconds S] [--only SECTION] [--quick]
                        [--binary FILE] [--write-docs] [--help]

For every point starts fresh servers in a temporary directory, loads them with
`coracle bench`, and prints tables. All temporary files are removed at the end.

  --seconds S       duration of each load in seconds (3)
  --fill-seconds S  time limit for writing the keys before a load, in seconds; a point whose
                    keys cannot be written in that time is left out (600)
  --only SECTION    clients, values, keys, servers or slow (all of them)
  --quick           loads of 0.5 s, 3 s to write keys, and few points: to see that it works
  --binary FILE     the servers' binary, if not the release build of these sources
  --write-docs      put plots into docs/plots, and the tables into docs/performance.md
  --help            this text
USAGE
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=scale
# shellcheck source=scripts/lib/cluster.sh
. "$root/scripts/lib/cluster.sh"

seconds=3
fill_seconds=600
only=
quick=no
write_docs=no

while [ $# -gt 0 ]; do
    case $1 in
        --seconds | --fill-seconds | --only | --binary)
            [ $# -ge 2 ] || fail "$1 needs a value"
            name=${1#--}
            declare "${name//-/_}=$2"
            shift
            ;;
        --quick) quick=yes seconds=0.5 fill_seconds=3 ;;
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
    '' | clients | values | keys | servers | slow) ;;
    *) fail "--only knows clients, values, keys, servers and slow, not $only" ;;
esac

if [ $write_docs = yes ] && [ -n "$only" ]; then
    fail "--write-docs writes all sections, so it does not go with --only"
fi

# Loads a fresh cluster of $3 servers with puts, then with gets, and appends a line to the
# section's file: x; commands per second and p99 in ms of the puts, then of the gets; resident
# MB a server after the puts, then after the gets; errors. The other arguments are bench's.
point() {
    local section=$1 x=$2 servers=$3 puts gets put_kb get_kb
    shift 3
    say "$section: $x"
    new_cluster "$servers"
    if ! fill; then return; fi
    puts=$(bench --warmup-s 0.3 --duration-s "$seconds" "$@")
    put_kb=$(resident_kb "${pids[@]}")
    gets=$(bench --warmup-s 0.3 --duration-s "$seconds" --read-percent 100 --timeout-ms 60000 "$@")
    get_kb=$(resident_kb "${pids[@]}")
    awk -v x="$x" -v put="$(field per_second "$puts")" -v put_p99="$(field p99_us "$puts")" \
        -v get="$(field per_second "$gets")" -v get_p99="$(field p99_us "$gets")" \
        -v put_mb="$((put_kb / servers))" -v get_mb="$((get_kb / servers))" \
        -v errors="$(($(errors "$puts") + $(errors "$gets")))" 'BEGIN {
            printf "%d %.1f %.3f %.1f %.3f %.1f %.1f %d\n", x, put, put_p99 / 1000, get,
                get_p99 / 1000, put_mb / 1024, get_mb / 1024, errors
        }' >>"$dir/$section"
}

# Writes keys_to_fill keys with values of 16 bytes, if keys_to_fill is set. Returns false when
# they are not written in time.
fill() {
    local filling left
    if [ -z "${keys_to_fill:-}" ]; then return; fi
    bench_command
    "${load_command[@]}" --clients 64 --pipeline 16 --distribution sequential --value-bytes 16 \
        --keys "$keys_to_fill" --count "$keys_to_fill" >/dev/null &
    filling=$! other[filling]=$!
    left=$((fill_seconds * 10))
    while kill -0 "$filling" 2>/dev/null; do
        if [ $left = 0 ]; then
            end_all "$filling"
            say "$keys_to_fill keys were not written in $fill_seconds s: left out"
            return 1
        fi
        left=$((left - 1))
        sleep 0.1
    done
    wait "$filling"
}

print_table() {
    local section=$1 what=$2
    echo "| $what | puts a second | p99 ms | gets a second | p99 ms | resident MB a server, after puts | after gets | errors |"
    echo "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    awk '{ printf "| %d | %d | %.2f | %d | %.2f | %d | %d | %d |\n", $1, $2, $3, $4, $5, $6, $7, $8 }' \
        "$dir/$section"
}

# Draws three plots of a section into docs/plots. $1: the section, $2: the variable in the
# titles, $3: the label of the x axis.
plot() {
    local section=$1 of=$2 x=$3 file=$root/docs/plots/scale-$1
    mkdir -p "$root/docs/plots"
    chart "$file-rate.svg" "Throughput by $of" "$x" "commands a second" 2 4
    chart "$file-p99.svg" "99th percentile of the latency by $of" "$x" "ms" 3 5
    chart "$file-memory.svg" "Resident memory by $of" "$x" "MB a server" 6 7
    {
        echo
        echo "![throughput](plots/scale-$section-rate.svg)"
        echo "![99th percentile](plots/scale-$section-p99.svg)"
        echo "![memory](plots/scale-$section-memory.svg)"
    } >>"$dir/plots.$section"
}

chart() {
    {
        printf 'title\t%s\nx\t%s\ny\t%s\nlog\n' "$2" "$3" "$4"
        awk -v puts="$5" -v gets="$6" '{
            printf "point\tputs\t%s\t%s\npoint\tgets\t%s\t%s\n", $1, $puts, $1, $gets
        }' "$dir/$section"
    } | "$coracle" bench --chart "$1"
}

# Prints the points of a section: $1, the few, with --quick, and otherwise $2, all.
points() { if [ $quick = yes ]; then echo "$1"; else echo "$2"; fi; }

scale_clients() {
    local clients
    for clients in $(points "1 64 1000" "1 4 16 64 256 1000 2000 5000"); do
        point clients "$clients" 5 --clients "$clients"
    done
}

# Large values have fewer keys, so that all servers fit into the memory of one machine.
scale_values() {
    local bytes keys
    for bytes in $(points "16 4096 1048576" "16 64 256 1024 4096 16384 65536 262144 1048576"); do
        keys=$((64 * 1048576 / bytes))
        if [ $keys -gt 10000 ]; then keys=10000; fi
        point values "$bytes" 5 --clients 16 --value-bytes "$bytes" --keys $keys
    done
}

scale_keys() {
    local keys
    for keys in $(points "1000 100000" "1000 10000 100000 1000000 10000000"); do
        keys_to_fill=$keys
        point keys "$keys" 5 --clients 64 --value-bytes 16 --keys "$keys"
        keys_to_fill=
    done
}

scale_servers() {
    local servers
    for servers in 1 3 5 7; do point servers "$servers" "$servers" --clients 64; done
}

# Measures the other connections while a tenth of all connections reads slowly.
scale_slow() {
    local clients json percent
    clients=$(points 1000 5000)
    {
        echo "| $clients connections, half gets | per second | get p99 ms of the others | put p99 ms | resident MB a server | errors |"
        echo "| --- | ---: | ---: | ---: | ---: | ---: |"
    } >"$dir/slow"
    for percent in 0 10; do
        say "slow: $percent % of $clients"
        new_cluster 5
        json=$(bench --clients "$clients" --slow-percent $percent --read-percent 50 \
            --warmup-s 2 --duration-s "$seconds")
        awk -v percent=$percent -v rate="$(field per_second "$json")" \
            -v get="$(field p99_us "$json")" -v put="$(field p99_us "${json#*\"writes\":}")" \
            -v kb="$(resident_kb "${pids[@]}")" -v errors="$(errors "$json")" 'BEGIN {
                printf "| %s of them slow | %d | %.2f | %.2f | %d | %d |\n",
                    percent ? percent " %" : "none", rate, get / 1000, put / 1000,
                    kb / 1024 / 5, errors
            }' >>"$dir/slow"
    done
}

# Measures a section. $1: its name, $2: its heading, $3: the variable in the titles of its
# plots, $4: the label of their x axis.
section() {
    local section=$1 heading=$2 of=${3:-} x=${4:-}
    if [ -n "$only" ] && [ "$only" != "$section" ]; then return; fi
    : >"$dir/$section"
    "scale_$section"
    if [ "$section" != slow ] && [ $write_docs = yes ]; then plot "$section" "$of" "$x"; fi
    {
        echo "### $heading"
        echo
        if [ "$section" = slow ]; then cat "$dir/slow"; else print_table "$section" "$x"; fi
        if [ -e "$dir/plots.$section" ]; then cat "$dir/plots.$section"; fi
        echo
    } | tee -a "$dir/tables"
}

build
make_dir
echo "$(machine); servers and load on the one machine, $seconds s a load." | tee "$dir/tables"
echo | tee -a "$dir/tables"
section clients "Clients" "number of clients" "clients"
section values "Bytes of a value" "size of values, 16 clients" "bytes"
section keys "Keys" "number of keys, 64 clients, values of 16 bytes" "keys"
section servers "Servers" "number of servers, 64 clients" "servers"
section slow "Slow readers"

if [ "$write_docs" = yes ]; then
    write_docs scale "$dir/tables"
fi
