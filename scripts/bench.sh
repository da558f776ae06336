#!/usr/bin/env bash
# Measures a fresh cluster of five servers on this machine: throughput, latency, CPU, memory
# and disk use, and the outage when its leader is killed. On demand it also measures etcd.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/bench.sh [--seconds S] [--rounds R] [--kills N] [--quick] [--binary FILE]
                        [--against etcd] [--batch] [--write-docs] [--help]
       scripts/bench.sh --failover N [--stop] [--against etcd] [--binary FILE]

Starts five servers in a temporary directory, loads them with `coracle bench` (values of
256 bytes, 10,000 keys of 8 bytes) and prints a table; then, on fresh servers with 100,000
entries, restarts all of them, and kills the leader under load a number of times. All files
are removed at the end.

  --seconds S    duration of each load in seconds (3)
  --rounds R     number of runs of all loads; the medians are printed (3)
  --kills N      number of times that the leader is killed (10)
  --quick        loads of 0.5 s, one round, 2 kills, 10,000 entries: to see that it works
  --binary FILE  the servers' binary, if not the release build of these sources
  --against etcd also load five members of etcd, in turn with the servers, and print the
                 ratios; when etcd is not on PATH, say so and measure the servers only
  --batch        start all servers, etcd's too, under the kernel's policy for batch jobs
                 (SCHED_BATCH, by chrt): docs/operations.md says when that is right
  --write-docs   also put the tables into docs/performance.md
  --failover N   only kill the leader under load, N times, and print all times from the
                 kill to the first put that another server acknowledges
  --stop         stop it instead (SIGSTOP): its connections stay, and nothing is reset
  --help         this text
USAGE
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=bench
# shellcheck source=scripts/lib/cluster.sh
. "$root/scripts/lib/cluster.sh"
# shellcheck source=scripts/lib/etcd.sh
. "$root/scripts/lib/etcd.sh"

seconds=3
rounds=3
kills=10
entries=100000
against=
write_docs=no
failover=
signal=KILL
policy=

while [ $# -gt 0 ]; do
    case $1 in
        --seconds | --rounds | --kills | --binary | --against | --failover)
            [ $# -ge 2 ] || fail "$1 needs a value"
            declare "${1#--}=$2"
            shift
            ;;
        --quick) seconds=0.5 rounds=1 kills=2 entries=10000 ;;
        --write-docs) write_docs=yes ;;
        --stop) signal=STOP ;;
        --batch) launcher=(chrt --batch 0) policy=", all of them under SCHED_BATCH" ;;
        --help)
            usage
            exit 0
            ;;
        *) fail "unknown option $1" ;;
    esac
    shift
done
case $against in
    '' | etcd) ;;
    *) fail "--against knows etcd, not $against" ;;
esac
if [ $signal = STOP ]; then
    [ -n "$failover" ] || fail "--stop goes with --failover"
    [ -z "$against" ] || fail "--stop stops only our own leader, not etcd's"
fi

systems=(coracle)
if [ -n "$against" ] && has_etcd; then systems+=(etcd); fi

# The operations on a system, which is coracle or etcd.
system_pids() { if [ "$1" = etcd ]; then echo "${etcd_pids[@]}"; else echo "${pids[@]}"; fi; }
system_fresh() { if [ "$1" = etcd ]; then new_etcd_cluster; else new_cluster 5; fi; }
system_leader() { if [ "$1" = etcd ]; then etcd_leader; else leader; fi; }
system_start() { if [ "$1" = etcd ]; then start_member "$2"; else start_server "$2"; fi; }
system_settle() { if [ "$1" = etcd ]; then sleep 1; else wait_until_caught_up; fi; }
system_load() {
    local system=$1
    shift
    if [ "$system" = etcd ]; then etcd_load "$@"; else bench "$@"; fi
}

# The loads: name|arguments.
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

# Runs a load and appends a line to its file: commands per second, p50, p99 and p99.9 in us,
# CPU us a command, resident MB a server, disk bytes a put. The latencies of a mixed load are
# those of its gets.
run_load() {
    local system=$1 number=$2 name=$3 args=$4 servers cpu disk json commands puts
    say "$system: $name"
    read -ra servers <<<"$(system_pids "$system")"
    cpu=$(cpu_ticks "${servers[@]}") disk=$(disk_bytes "${servers[@]}")
    # shellcheck disable=SC2086 # several words
    json=$(system_load "$system" --warmup-s 0.5 --duration-s "$seconds" $args)
    cpu=$(($(cpu_ticks "${servers[@]}") - cpu)) disk=$(($(disk_bytes "${servers[@]}") - disk))
    commands=$(($(field commands "$json") + $(field commands_uncounted "$json")))
    case $args in
        *"--read-percent 100"*) puts=0 ;;
        *"--read-percent 90"*) puts=$((commands / 10)) ;;
        *) puts=$commands ;;
    esac
    if [ "$(errors "$json")" != 0 ]; then
        say "errors in \"$name\": $(sed 's/.*"errors":{\([^}]*\)}.*/\1/' <<<"$json")"
    fi
    awk -v rate="$(field per_second "$json")" -v p50="$(field p50_us "$json")" \
        -v p99="$(field p99_us "$json")" -v p999="$(field 'p99\.9_us' "$json")" \
        -v cpu_us="$((cpu * 1000000 / ticks_per_second))" -v commands="$commands" \
        -v kb="$(resident_kb "${servers[@]}")" -v disk="$disk" -v puts="$puts" 'BEGIN {
            print rate, p50, p99, p999, commands ? cpu_us / commands : 0, kb / 1024 / 5,
                puts ? disk / puts : 0
        }' >>"$dir/$system.load.$number"
}

column() { awk -v n="$3" '{ print $n }' "$dir/$1.load.$2" | median; }

print_loads() {
    local number name
    echo "| load | per second | p50 ms | p99 ms | p99.9 ms | CPU s per 100,000, all servers | resident MB a server | bytes written a put, all servers |"
    echo "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for number in "${!loads[@]}"; do
        name=${loads[$number]%%|*}
        awk -v name="$name" -v rate="$(column coracle "$number" 1)" \
            -v p50="$(column coracle "$number" 2)" -v p99="$(column coracle "$number" 3)" \
            -v p999="$(column coracle "$number" 4)" -v cpu="$(column coracle "$number" 5)" \
            -v mb="$(column coracle "$number" 6)" -v disk="$(column coracle "$number" 7)" 'BEGIN {
                printf "| %s | %d | %.2f | %.2f | %.2f | %.2f | %.1f | %s |\n", name, rate,
                    p50 / 1000, p99 / 1000, p999 / 1000, cpu / 10, mb, disk ? int(disk) : "-"
            }'
    done
}

# Kills or stops the leader under load. Appends the milliseconds from then to the first put
# that another server acknowledges. A separate writer with one connection sends this put: a
# connection of the load may still read a reply of the dead leader after another connection has
# seen it die.
run_failover() {
    local system=$1 old servers load writer killed until lasting=3 patience=()
    # A member of etcd answers a request that it has forwarded to a dead leader after 7 s.
    if [ "$system" = etcd ]; then lasting=6 patience=(--silence-ms-max 100); fi
    # A client notices a stopped server only by its silence.
    if [ $signal = STOP ]; then patience=(--silence-ms-max 25); fi
    old=$(system_leader "$system")
    read -ra servers <<<"$(system_pids "$system")"
    if [ "$system" = etcd ]; then etcd_load_command; else bench_command; fi
    "${load_command[@]}" --clients 16 --duration-s $lasting >/dev/null &
    load=$! other[load]=$!
    "${load_command[@]}" --clients 1 --duration-s $lasting "${patience[@]}" >"$dir/writer" &
    writer=$! other[writer]=$!
    sleep 1
    killed=$(now_us)
    if [ $signal = STOP ]; then
        kill -STOP "${servers[old - 1]}"
    else
        end_all "${servers[old - 1]}"
    fi
    wait "$writer"
    if [ $signal = STOP ]; then
        kill -CONT "${servers[old - 1]}"
    else
        system_start "$system" "$old"
    fi
    wait "$load"
    unset 'other[load]' 'other[writer]'
    until=$(grep -o '"until_unix_us":[0-9]*' "$dir/writer" | cut -d : -f 2 |
        awk -v killed="$killed" '$1 > killed { print; exit }' || true)
    if [ -n "$until" ]; then
        awk -v us=$((until - killed)) 'BEGIN { printf "%.1f\n", us / 1000 }' >>"$dir/$system.failovers"
    else
        echo none >>"$dir/$system.failovers.none"
        say "$system: no put was acknowledged for $((lasting - 1)) s after the leader was gone"
    fi
    system_settle "$system"
}

run_failovers() {
    local system=$1 times=$2 kill
    : >"$dir/$system.failovers"
    for kill in $(seq "$times"); do
        say "$system: leader $kill of $times"
        run_failover "$system"
    done
}

# Kills and starts all five servers of a fresh cluster that holds $entries entries. Writes the
# milliseconds from the start to the first answered get into $dir/SYSTEM.restart.
run_restart() {
    local system=$1 servers number started
    say "$system: restart with $entries entries"
    system_fresh "$system"
    # The load of etcd cannot pipeline.
    if [ "$system" = etcd ]; then
        etcd_load --clients 256 --count "$entries" >/dev/null
    else
        bench --clients 64 --pipeline 16 --count "$entries" --distribution sequential >/dev/null
    fi
    system_settle "$system"
    read -ra servers <<<"$(system_pids "$system")"
    end_all "${servers[@]}"
    started=$(now_us)
    for number in 1 2 3 4 5; do system_start "$system" "$number"; done
    system_load "$system" --clients 1 --read-percent 100 --count 1 >/dev/null
    echo $((($(now_us) - started) / 1000)) >"$dir/$system.restart"
    system_settle "$system"
}

print_rest() {
    local floor
    floor=$("$coracle" bench --floor "$dir")
    echo "| what | |"
    echo "| --- | ---: |"
    echo "| kill -9 of the leader to the first put elsewhere, ms, min / median / max of $(wc -l <"$dir/coracle.failovers") | $(spread <"$dir/coracle.failovers") |"
    echo "| start of all five with $entries entries to the first linearizable read, ms | $(cat "$dir/coracle.restart") |"
    echo "| floor: fdatasync of an overwrite, us | $(field fdatasync_us "$floor") |"
    echo "| floor: a round trip over the loopback, us | $(field loopback_round_trip_us "$floor") |"
}

# Prints a row of the comparison: measure, value of etcd, value of Coracle, and how many times
# better Coracle is.
ratio() {
    awk -v what="$1" -v etcd="$2" -v ours="$3" -v more_is_better="$4" 'BEGIN {
        better = more_is_better ? (etcd ? ours / etcd : 0) : (ours ? etcd / ours : 0)
        printf "| %s | %.5g | %.5g | %.1f |\n", what, etcd, ours, better
    }'
}

print_against() {
    local number name pair
    pair() { ratio "$name: $2" "$(column etcd "$number" "$1")" "$(column coracle "$number" "$1")" "$3"; }
    echo "etcd $(etcd_version), five members, in turn with ours:"
    echo
    echo "| measure | etcd | coracle | times better |"
    echo "| --- | ---: | ---: | ---: |"
    for number in "${!loads[@]}"; do
        name=${loads[$number]%%|*}
        if [ ! -e "$dir/etcd.load.$number" ]; then continue; fi
        pair 1 "per second" 1
        pair 3 "p99 us" 0
        pair 5 "CPU us a command, all servers" 0
        case $name in put*) pair 7 "bytes written a put, all servers" 0 ;; esac
    done
    # The memory was measured during the last load that both systems have.
    name="after all loads"
    number=6
    pair 6 "resident MB a server" 0
    ratio "kill -9 of the leader to the first put elsewhere, ms, median" \
        "$(median <"$dir/etcd.failovers")" "$(median <"$dir/coracle.failovers")" 0
    ratio "start with $entries entries to the first linearizable read, ms" \
        "$(cat "$dir/etcd.restart")" "$(cat "$dir/coracle.restart")" 0
}

build
if [ ${#systems[@]} = 2 ]; then build_etcd_bench; fi
make_dir

if [ -n "$failover" ]; then
    for system in "${systems[@]}"; do
        system_fresh "$system"
        run_failovers "$system" "$failover"
        echo "$system, from SIG$signal of the leader to the first put elsewhere, ms, in order:"
        sort -g "$dir/$system.failovers" | paste -sd ' '
        echo "min / median / max of $(wc -l <"$dir/$system.failovers"): $(spread <"$dir/$system.failovers")"
        if [ -e "$dir/$system.failovers.none" ]; then
            echo "and $(wc -l <"$dir/$system.failovers.none") without any"
        fi
    done
    exit
fi

for system in "${systems[@]}"; do system_fresh "$system"; done
for _ in $(seq "$rounds"); do
    for number in "${!loads[@]}"; do
        for system in "${systems[@]}"; do
            args=${loads[$number]#*|}
            # The load of etcd keeps one command in flight on each connection.
            case $system$args in etcd*--pipeline*) continue ;; esac
            run_load "$system" "$number" "${loads[$number]%%|*}" "$args"
        done
    done
done
for system in "${systems[@]}"; do
    run_restart "$system"
    run_failovers "$system" "$kills"
done

{
    echo "$(machine), five servers$policy, and the load on the one machine; medians of $rounds runs of $seconds s."
    echo
    print_loads
    echo
    print_rest
} | tee "$dir/tables"
if [ ${#systems[@]} = 2 ]; then
    echo
    { echo "$(machine)$policy." && print_against; } | tee "$dir/against"
fi

if [ "$write_docs" = yes ]; then
    under=${policy:+ under SCHED_BATCH}
    if [ -z "$under" ]; then write_docs tables "$dir/tables"; fi
    if [ ${#systems[@]} = 2 ]; then write_docs "tables against etcd$under" "$dir/against"; fi
fi
