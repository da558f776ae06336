#!/usr/bin/env bash
# Measures a fresh cluster of five servers on this machine: throughput, latency, what
# it costs, and how long it is out when its leader is killed.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/bench.sh [--seconds S] [--rounds R] [--kills N] [--binary FILE]
                        [--write-docs] [--help]

Starts five servers in a temporary directory, loads them with `coracle bench` (values of
256 bytes, 10,000 keys of 8 bytes) and prints a table, then kills the leader under load a
number of times, then restarts all of them. Nothing is left behind.

  --seconds S    how long each load lasts (3)
  --rounds R     how often all loads are run; the medians are printed (3)
  --kills N      how often the leader is killed (10)
  --binary FILE  the servers' binary, if not the release build of these sources
  --write-docs   also put the tables into docs/performance.md
  --help         this text
USAGE
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
seconds=3
rounds=3
kills=10
binary=
write_docs=no

fail() {
    printf 'bench: %s\n' "$*" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
        --seconds | --rounds | --kills | --binary)
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

say() { printf 'bench: %s\n' "$*" >&2; }

cargo build --release --quiet --manifest-path "$root/Cargo.toml"
coracle=${CARGO_TARGET_DIR:-$root/target}/release/coracle
binary=${binary:-$coracle}

dir=$(mktemp -d "${TMPDIR:-/tmp}/coracle-bench.XXXXXX")
config=$dir/servers.toml
ids=(1 2 3 4 5)
pids=() # of each server by id; the first is unused

clean_up() {
    trap '' HUP INT TERM
    local pid
    for pid in "${pids[@]:1}"; do kill -KILL "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]:1}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf -- "$dir"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# Ten ports in a row, below those that the system hands out, that nobody listens at.
find_ports() {
    local port
    while :; do
        first_port=$((10000 + RANDOM % 20000))
        for port in $(seq "$first_port" $((first_port + 9))); do
            if (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue 2; fi
        done
        return
    done
}

write_config() {
    local id
    printf 'cluster = "bench"\ndata_dir = "data"\n'
    for id in "${ids[@]}"; do
        printf '\n[[servers]]\nid = %d\nhostname = "127.0.0.1"\n' "$id"
        printf 'client_port = %d\nlog_port = %d\n' \
            $((first_port + 2 * id - 2)) $((first_port + 2 * id - 1))
    done
}

start_server() {
    "$binary" serve --config "$config" --id "$1" --log-level warn >>"$dir/$1.log" 2>&1 &
    pids[$1]=$!
}

# The shell's own word of a killed job is dropped.
kill_server() {
    kill -KILL "${pids[$1]}"
    wait "${pids[$1]}" 2>/dev/null || true
}

# The columns of `coracle status` are id, role, term, commit, applied, lag ...
leader() { "$coracle" status --config "$config" | awk '$2 == "leader" { id = $1 } END { print id }'; }

# Waits until all servers have applied what is committed.
wait_until_caught_up() {
    while ! "$coracle" status --config "$config" 2>/dev/null |
        awk '$6 == "0" { n++ } $2 == "leader" { led = 1 } END { exit !(led && n == 5) }'; do
        sleep 0.05
    done
}

bench() { "$coracle" bench --config "$config" --json "$@"; }

# The first number of this name in a JSON object.
field() { grep -o "\"$1\":[0-9.]*" <<<"$2" | head -n 1 | cut -d : -f 2; }

# Sums over all servers.
cpu_ticks() {
    local pid
    for pid in "${pids[@]:1}"; do
        sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }'
    done | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}
resident_kb() {
    local pid
    for pid in "${pids[@]:1}"; do awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"; done |
        awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}
disk_bytes() {
    local pid
    for pid in "${pids[@]:1}"; do awk '/^write_bytes/ { print $2 }' "/proc/$pid/io"; done |
        awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

median() { sort -g | awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'; }

# name|bench's arguments
loads=(
    "put, 1 client|--clients 1"
    "put, 64 clients|--clients 64"
    "put, 256 clients|--clients 256"
    "get, 1 client|--clients 1 --read-percent 100"
    "get, 64 clients|--clients 64 --read-percent 100"
    "get, 256 clients|--clients 256 --read-percent 100"
    "90 % get, 64 clients|--clients 64 --read-percent 90"
    "put, 64 clients x 16 in flight|--clients 64 --pipeline 16"
)
ticks_per_second=$(getconf CLK_TCK)

# Runs a load and appends to its file: per second, p50, p99, p99.9 in us, CPU us a command,
# MB resident, disk bytes a put and server, errors. Of a mixed load the latencies are the gets'.
run_load() {
    local number=$1 name=$2 args=$3 cpu disk json commands puts errors
    say "$name"
    cpu=$(cpu_ticks) disk=$(disk_bytes)
    # shellcheck disable=SC2086 # several words
    json=$(bench --warmup-s 0.5 --duration-s "$seconds" $args)
    cpu=$(($(cpu_ticks) - cpu)) disk=$(($(disk_bytes) - disk))
    commands=$(($(field commands "$json") + $(field commands_uncounted "$json")))
    case $args in
        *"--read-percent 100"*) puts=0 ;;
        *"--read-percent 90"*) puts=$((commands / 10)) ;;
        *) puts=$commands ;;
    esac
    errors=$(sed 's/.*"errors":{\([^}]*\)}.*/\1/' <<<"$json")
    if [ -n "$errors" ]; then say "errors in \"$name\": $errors"; fi
    awk -v rate="$(field per_second "$json")" -v p50="$(field p50_us "$json")" \
        -v p99="$(field p99_us "$json")" -v p999="$(field 'p99\.9_us' "$json")" \
        -v cpu_us="$((cpu * 1000000 / ticks_per_second))" -v commands="$commands" \
        -v kb="$(resident_kb)" -v disk="$disk" -v puts="$puts" 'BEGIN {
            print rate, p50, p99, p999, cpu_us / commands, kb / 1024, puts ? disk / puts / 5 : 0
        }' >>"$dir/load.$number"
}

column() { awk -v n="$2" '{ print $n }' "$dir/load.$1" | median; }

print_loads() {
    local number name
    echo "| load | per second | p50 ms | p99 ms | p99.9 ms | CPU us a command | resident MB | disk bytes a put |"
    echo "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for number in "${!loads[@]}"; do
        name=${loads[$number]%%|*}
        awk -v name="$name" -v rate="$(column "$number" 1)" -v p50="$(column "$number" 2)" \
            -v p99="$(column "$number" 3)" -v p999="$(column "$number" 4)" \
            -v cpu="$(column "$number" 5)" -v mb="$(column "$number" 6)" \
            -v disk="$(column "$number" 7)" 'BEGIN {
                printf "| %s | %d | %.2f | %.2f | %.2f | %.1f | %d | %s |\n", name, rate,
                    p50 / 1000, p99 / 1000, p999 / 1000, cpu, mb, disk ? int(disk) : "-"
            }'
    done
}

# Microseconds since 1970.
now_us() { echo "${EPOCHREALTIME/[.,]/}"; }

# Kills the leader under one writer; appends the milliseconds from the kill to the first
# write that another one acknowledges.
run_failover() {
    local old writer killed until
    old=$(leader)
    bench --clients 1 --duration-s 2.5 >"$dir/writer" &
    writer=$!
    sleep 1
    killed=$(now_us)
    kill_server "$old"
    wait "$writer"
    until=$(field until_unix_us "$(cat "$dir/writer")")
    start_server "$old"
    if [ -n "$until" ]; then
        awk -v us=$((until - killed)) 'BEGIN { printf "%.1f\n", us / 1000 }' >>"$dir/failovers"
    else
        say "no write was acknowledged after the leader was killed"
    fi
    wait_until_caught_up
}

# All at once; sets restart_ms, the milliseconds until a get is answered, and entries, how
# many there are to be read from the log.
run_restart() {
    local id started
    entries=$("$coracle" status --config "$config" | awk '$2 == "leader" { print $4 }')
    for id in "${ids[@]}"; do kill_server "$id"; done
    started=$(now_us)
    for id in "${ids[@]}"; do start_server "$id"; done
    bench --clients 1 --read-percent 100 --count 1 >/dev/null
    restart_ms=$((($(now_us) - started) / 1000))
}

print_rest() {
    local floor failovers
    floor=$("$coracle" bench --floor "$dir")
    failovers=$(sort -g "$dir/failovers" |
        awk '{ v[NR] = $1 } END { printf "%s / %s / %s", v[1], v[int((NR + 1) / 2)], v[NR] }')
    echo "| what | |"
    echo "| --- | ---: |"
    echo "| kill -9 of the leader to the next acknowledged write, ms, min / median / max of $(wc -l <"$dir/failovers") | $failovers |"
    echo "| start of all five with $entries entries to the first linearizable read, ms | $restart_ms |"
    echo "| floor: fdatasync of an overwrite, us | $(field fdatasync_us "$floor") |"
    echo "| floor: a round trip over the loopback, us | $(field loopback_round_trip_us "$floor") |"
}

find_ports
write_config >"$config"
for id in "${ids[@]}"; do start_server "$id"; done
wait_until_caught_up

for _ in $(seq "$rounds"); do
    for number in "${!loads[@]}"; do
        run_load "$number" "${loads[$number]%%|*}" "${loads[$number]#*|}"
    done
done
: >"$dir/failovers"
for kill in $(seq "$kills"); do
    say "kill $kill of $kills"
    run_failover
done
say "restart of all"
run_restart

{
    cpu_model=$(awk -F ': *' '/^model name/ { print $2; exit }' /proc/cpuinfo)
    echo "$(nproc) cores of ${cpu_model:-an unknown processor}, Linux $(uname -r | cut -d - -f 1)," \
        "five servers and the load on the one machine; medians of $rounds runs of $seconds s."
    echo
    print_loads
    echo
    print_rest
} | tee "$dir/tables"

if [ "$write_docs" = yes ]; then
    docs=$root/docs/performance.md
    awk -v tables="$dir/tables" '
        /<!-- tables -->/ { 
            print
            print ""
            while ((getline line < tables) > 0) print line
            print ""
            skip = 1
        }
        /<!-- end of tables -->/ { skip = 0 }
        !skip { print }
    ' "$docs" >"$dir/docs"
    cat "$dir/docs" >"$docs"
    say "wrote the tables into docs/performance.md"
fi
