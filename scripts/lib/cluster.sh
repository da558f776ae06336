# A cluster of ours for measuring, in a temporary directory; to be sourced. Whoever sources
# it sets root and program first, then calls build, make_dir, new_cluster.
# shellcheck shell=bash

coracle=
binary=
dir=
config=
tables= # more of servers.toml
launcher=() # what servers are started by, if they are not started as they are
ids=()
pids=()  # of our servers, by id
declare -A other=() # what else was started, by any name

say() { printf '%s: %s\n' "${program:?}" "$*" >&2; }

fail() {
    say "$*"
    exit 2
}

# The release build of these sources: coracle, and as servers too unless binary is set.
build() {
    cargo build --release --quiet --manifest-path "${root:?}/Cargo.toml"
    coracle=${CARGO_TARGET_DIR:-$root/target}/release/coracle
    binary=${binary:-$coracle}
}

# Removed at the end, when all that was started is ended.
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

# The shell's own word of a killed job is dropped.
end_all() {
    local pid
    for pid in "$@"; do kill -KILL "$pid" 2>/dev/null || true; done
    for pid in "$@"; do wait "$pid" 2>/dev/null || true; done
}

# Sets first_port: so many ports in a row, below those that the system hands out, that nobody
# listens at.
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
    done
    printf '%s' "$tables"
}

start_server() {
    "${launcher[@]}" "$binary" serve --config "$config" --id "$1" --log-level warn >>"$dir/$1.log" 2>&1 &
    pids[$1]=$!
}

kill_server() { end_all "${pids[$1]}"; }

# A fresh one of so many servers, in place of the one before.
new_cluster() {
    local id
    end_all "${pids[@]}"
    pids=()
    rm -rf -- "$dir/data"
    mapfile -t ids < <(seq "$1")
    find_ports $((2 * $1))
    write_config >"$config"
    for id in "${ids[@]}"; do start_server "$id"; done
    wait_until_caught_up
}

# The columns of `coracle status` are id, role, term, commit, applied, lag ...
leader() {
    "$coracle" status --config "$config" |
        awk '$2 == "leader" && $3 >= term { id = $1; term = $3 } END { print id }'
}

# Waits until all servers have applied what is committed.
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

# `coracle bench`; whoever needs its pid runs load_command instead.
bench_command() { load_command=("$coracle" bench --config "$config" --json); }
bench() {
    bench_command
    "${load_command[@]}" "$@"
}

# The first number of this name in a JSON object.
field() { grep -o "\"$1\":[0-9.]*" <<<"$2" | head -n 1 | cut -d : -f 2; }

# How many errors it tells of.
errors() { grep -o '"errors":{[^}]*}' <<<"$1" | grep -o ':[0-9]*' | awk -F : '{ n += $2 } END { print n + 0 }'; }

# Sums over the processes named.
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

# Of the numbers on stdin: the median; or the least, median and greatest.
median() { sort -g | awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'; }
spread() { sort -g | awk '{ v[NR] = $1 } END { printf "%s / %s / %s", v[1], v[int((NR + 1) / 2)], v[NR] }'; }

# Microseconds since 1970.
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
