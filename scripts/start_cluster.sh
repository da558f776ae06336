#!/usr/bin/env bash
# Runs every server of servers.toml in the foreground, until Ctrl-C or TERM.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/start_cluster.sh [--config FILE] [--fresh [--yes]] [--help]

Runs every server of servers.toml in the foreground and prints where each listens,
its pid, and which one leads. Ctrl-C or TERM stops them all. When a server ends by
itself, the script says so, and the others go on.

  --config FILE  another file than the servers.toml of the sources
  --fresh        delete the servers' data first, after asking
  --yes          do not ask
  --help         this text
USAGE
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
config=$root/servers.toml
fresh=no
yes=no

while [ $# -gt 0 ]; do
    case $1 in
        --config)
            if [ $# -lt 2 ]; then
                echo "start_cluster: --config needs a file" >&2
                usage >&2
                exit 2
            fi
            config=$2
            shift
            ;;
        --fresh) fresh=yes ;;
        --yes) yes=yes ;;
        --help)
            usage
            exit 0
            ;;
        *)
            echo "start_cluster: unknown option $1" >&2
            usage >&2
            exit 2
            ;;
    esac
    shift
done

say() { printf 'start_cluster: %s\n' "$*"; }

# The release binary is built when it is missing or older than its sources.
coracle=${CARGO_TARGET_DIR:-$root/target}/release/coracle
if [ ! -x "$coracle" ] || [ -n "$(find "$root/src" "$root/Cargo.toml" "$root/Cargo.lock" \
    -newer "$coracle" -print 2>/dev/null | head -n 1)" ]; then
    say "building the release binary"
    cargo build --release --quiet --manifest-path "$root/Cargo.toml"
fi

# The binary reads servers.toml, and reports what is wrong with it.
if servers=$("$coracle" config --config "$config"); then :; else exit $?; fi

# A second set of servers on the same data would fail at its locks. This check says so at once.
if "$coracle" status --config "$config" >/dev/null 2>&1; then
    say "servers of $config are running already: stop them first" >&2
    exit 1
fi

ids=() hostnames=() client_ports=() log_ports=() http_ports=() directories=()
while read -r id hostname client_port log_port http_port directory; do
    ids+=("$id")
    hostnames+=("$hostname")
    client_ports+=("$client_port")
    log_ports+=("$log_port")
    http_ports+=("$http_port")
    directories+=("$directory")
done <<<"$servers"

if [ "$fresh" = yes ]; then
    old=()
    for directory in "${directories[@]}"; do
        if [ -d "$directory" ]; then old+=("$directory"); fi
    done
    if [ ${#old[@]} -gt 0 ]; then
        if [ "$yes" = no ]; then
            printf 'start_cluster: delete all data in %s? [y/N] ' "${old[*]}"
            answer=
            read -r answer || true
            case $answer in
                y | Y | yes) ;;
                *)
                    say "nothing was deleted, nothing was started"
                    exit 1
                    ;;
            esac
        fi
        rm -rf -- "${old[@]}"
    fi
fi

# Copies the output of one server. A line that does not name the server, for example of a
# panic, gets its id.
label() {
    local id=$1 line
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
            *" n$id "*) printf '%s\n' "$line" ;;
            *) printf 'n%s | %s\n' "$id" "$line" ;;
        esac
    done
}

pids=()    # the pid of each server, in the order of ids; empty once it has ended
labels=()  # the pid of each server's label
pipes=$(mktemp -d "${TMPDIR:-/tmp}/coracle.XXXXXX")

# Tells the guard below that a server has ended: another process may soon have its pid.
forget() { (echo "$1" >&9) 2>/dev/null || true; }

# Stops all servers by their pids, and waits for them. A second signal does not interrupt it.
stop() {
    trap '' HUP INT TERM PIPE
    local pid waited=0
    for pid in ${pids[@]+"${pids[@]}"}; do
        if [ -n "$pid" ]; then kill -TERM "$pid" 2>/dev/null || true; fi
    done
    for pid in ${pids[@]+"${pids[@]}"}; do
        if [ -z "$pid" ]; then continue; fi
        while kill -0 "$pid" 2>/dev/null && [ $waited -lt 100 ]; do
            sleep 0.1
            waited=$((waited + 1))
        done
        if kill -0 "$pid" 2>/dev/null; then
            say "pid $pid did not stop within 10 s: killing it" || true
            kill -KILL "$pid" 2>/dev/null || true
        fi
        wait "$pid" 2>/dev/null || true
        forget "$pid"
    done
    for pid in ${labels[@]+"${labels[@]}"}; do wait "$pid" 2>/dev/null || true; done
    rm -rf -- "$pipes"
}
trap stop EXIT
trap 'say "stopping" || true; exit 0' INT TERM
trap 'exit 0' HUP PIPE

for position in "${!ids[@]}"; do
    id=${ids[$position]}
    mkfifo "$pipes/$id"
    # The reader of a pipe ignores the signals that end its server, so that the server's last
    # lines are shown.
    (
        trap '' HUP INT TERM
        label "$id"
    ) <"$pipes/$id" &
    labels+=($!)
    "$coracle" serve --config "$config" --id "$id" >"$pipes/$id" 2>&1 &
    pids+=($!)
    http=${http_ports[$position]}
    if [ "$http" = - ]; then http=; else http=", and $http for HTTP"; fi
    say "n$id (pid $!) listens at ${hostnames[$position]}, port ${client_ports[$position]} for" \
        "clients, ${log_ports[$position]} for servers$http"
done

# The guard stops the servers when this script is killed and cannot do it: the end of the script
# is the end of the guard's input. Its input names the servers that have ended already.
exec 9> >(
    trap '' HUP INT TERM
    left=" ${pids[*]} "
    while read -r ended; do left=${left/ $ended / }; done
    for pid in $left; do kill -TERM "$pid" 2>/dev/null; done
    rm -rf -- "$pipes"
)

# Sleeps in a way that a signal interrupts at once. The shell's own message about a killed
# server is dropped: the loop below reports it.
nap() {
    sleep "$1" 9>&- &
    wait $! 2>/dev/null || true
}

# Prints the position of the server that leads, or nothing.
find_leader() {
    local id position
    id=$("$coracle" status --config "$config" 2>/dev/null 9>&- |
        awk '$2 == "leader" && $3 >= term { term = $3; id = $1 } END { print id }') || true
    for position in "${!ids[@]}"; do
        if [ "${ids[$position]}" = "$id" ]; then echo "$position"; fi
    done
}

leader=
running=${#ids[@]}
while [ "$running" -gt 0 ]; do
    for position in "${!ids[@]}"; do
        pid=${pids[$position]}
        if [ -z "$pid" ] || kill -0 "$pid" 2>/dev/null; then continue; fi
        code=0
        wait "$pid" 2>/dev/null || code=$?
        pids[position]=
        forget "$pid"
        running=$((running - 1))
        say "n${ids[$position]} (pid $pid) ended with exit code $code; $running still run"
        if [ "$leader" = "$position" ]; then leader=; fi
    done
    # A server that this script has not started may lead, and its end is not noticed. So the
    # leader is looked up again in that case.
    if [ "$running" -gt 0 ] && { [ -z "$leader" ] || [ -z "${pids[$leader]}" ]; }; then
        found=$(find_leader)
        if [ -n "$found" ] && [ "$found" != "$leader" ]; then
            pid=${pids[$found]:+"pid ${pids[$found]}"}
            say "n${ids[$found]} (${pid:-not started here}) leads;" \
                "clients: ${hostnames[$found]}, port ${client_ports[$found]}"
        fi
        leader=$found
    fi
    nap 0.3
done
say "no server is left" >&2
exit 1
