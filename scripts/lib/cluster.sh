# A Coracle cluster for measurements, in a temporary directory. A script sets root and program,
# sources this file, and then calls build, make_dir and new_cluster.
# shellcheck shell=bash

coracle=
binary=
dir=
config=
tables= # further tables of servers.toml
has_http=no # whether the servers have HTTP ports
launcher=() # a command that starts each server, if it is not started directly
ids=()
pids=()  # the pids of the servers, by id
declare -A other=() # the pids of other processes, by any name

say() { printf '%s: %s\n' "${program:?}" "$*" >&2; }

fail() {
    say "$*"
    exit 2
}

# Builds the release binary of these sources. The servers run it too, unless binary is set.
build() {
    cargo build --release --quiet --manifest-path "${root:?}/Cargo.toml"
    coracle=${CARGO_TARGET_DIR:-$root/target}/release/coracle
    binary=${binary:-$coracle}
}

# Makes the temporary directory. At the end all processes are ended and it is removed.
make_dir() {
    dir=$(mktemp -d "${TMPDIR:-/tmp}/coracle-$program.XXXXXX")
    config=$dir/servers.toml
    trap clean_up EXIT
    trap 'exit 1' HUP INT TERM
}

clean_up() {
    trap '' HUP INT TERM
    end_all "${pids[@]}" "${other[@]}"
    rm -rf -- "$dir"
}

# Kills processes and waits for them, so that the shell does not report them as killed.
end_all() {
    local pid
    for pid in "$@"; do kill -KILL "$pid" 2>/dev/null || true; done
    for pid in "$@"; do wait "$pid" 2>/dev/null || true; done
}

# Sets first_port to the first of $1 consecutive ports on which no process listens. They are
# below the range that the system gives to outgoing connections.
find_ports() {
    local port
    while :; do
        first_port=$((10000 + RANDOM % 20000))
        for port in $(seq "$first_port" $((first_port + $1 - 1))); do
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
        if [ $has_http = yes ]; then printf 'http_port = %d\n' "$(http_port "$id")"; fi
    done
    printf '%s' "$tables"
}

# Prints the HTTP port of a server.
http_port() { echo $((first_port + 2 * ${#ids[@]} + $1 - 1)); }

start_server() {
    local founds=()
    if [ ${#ids[@]} = 1 ]; then founds=(--new-cluster); fi
    "${launcher[@]}" "$binary" serve --config "$config" --id "$1" "${founds[@]}" --log-level warn >>"$dir/$1.log" 2>&1 &
    pids[$1]=$!
}

kill_server() { end_all "${pids[$1]}"; }

# Starts a fresh cluster of $1 servers, after it has ended the previous one.
new_cluster() {
    local id
    end_all "${pids[@]}"
    pids=()
    rm -rf -- "$dir/data"
    mapfile -t ids < <(seq "$1")
    find_ports $((3 * $1))
    write_config >"$config"
    for id in "${ids[@]}"; do start_server "$id"; done
    wait_until_caught_up
}

# Prints the id of the leader. The columns of `coracle status` are id, role, term, commit,
# applied, lag ...
leader() {
    "$coracle" status --config "$config" |
        awk '$2 == "leader" && $3 >= term { id = $1; term = $3 } END { print id }'
}

# Waits until there is a leader and all servers have applied all committed entries.
wait_until_caught_up() {
    local id tries=0
    while ! "$coracle" status --config "$config" 2>/dev/null | awk -v servers="${#ids[@]}" \
        '$6 == "0" { n++ } $2 == "leader" { led = 1 } END { exit !(led && n == servers) }'; do
        for id in "${ids[@]}"; do
            kill -0 "${pids[$id]}" 2>/dev/null ||
                fail "server $id has ended: $(tail -n 1 "$dir/$id.log")"
        done
        tries=$((tries + 1))
        if [ $tries = 2000 ]; then
            "$coracle" status --config "$config" >&2 || true
            fail "the servers have not caught up with each other after so many looks: $tries"
        fi
        sleep 0.05
    done
}

# Runs `coracle bench`. A caller that needs its pid runs load_command instead.
bench_command() { load_command=("$coracle" bench --config "$config" --json); }
bench() {
    bench_command
    "${load_command[@]}" "$@"
}

# Prints the first number with the name $1 in the JSON object $2.
field() { grep -o "\"$1\":[0-9.]*" <<<"$2" | head -n 1 | cut -d : -f 2; }

# Prints the number of errors in the result $1 of a load.
errors() { grep -o '"errors":{[^}]*}' <<<"$1" | grep -o ':[0-9]*' | awk -F : '{ n += $2 } END { print n + 0 }'; }

# Print sums over the processes with these pids: CPU ticks, resident KiB, bytes written.
cpu_ticks() {
    local pid
    for pid in "$@"; do sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }'; done |
        awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}
resident_kb() {
    local pid
    for pid in "$@"; do awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"; done |
        awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}
disk_bytes() {
    local pid
    for pid in "$@"; do awk '/^write_bytes/ { print $2 }' "/proc/$pid/io"; done |
        awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}
ticks_per_second=$(getconf CLK_TCK)

# Print the median of the numbers on stdin; or the smallest, the median and the largest.
median() { sort -g | awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'; }
spread() { sort -g | awk '{ v[NR] = $1 } END { printf "%s / %s / %s", v[1], v[int((NR + 1) / 2)], v[NR] }'; }

# Prints the microseconds since 1970.
now_us() { echo "${EPOCHREALTIME/[.,]/}"; }

machine() {
    local cpu_model
    cpu_model=$(awk -F ': *' '/^model name/ { print $2; exit }' /proc/cpuinfo)
    echo "$(nproc) cores of ${cpu_model:-an unknown processor}, Linux $(uname -r | cut -d - -f 1)"
}

# Puts a file's contents between <!-- NAME --> and <!-- end of NAME --> of docs/performance.md.
write_docs() {
    local name=$1 contents=$2 docs=$root/docs/performance.md
    grep -q "<!-- $name -->" "$docs" || fail "docs/performance.md has no <!-- $name -->"
    awk -v name="$name" -v contents="$contents" '
        $0 == "<!-- " name " -->" {
            print
            print ""
            while ((getline line < contents) > 0) print line
            print ""
            skip = 1
        }
        $0 == "<!-- end of " name " -->" { skip = 0 }
        !skip { print }
    ' "$docs" >"$dir/docs"
    cat "$dir/docs" >"$docs"
    say "wrote the $name into docs/performance.md"
}
