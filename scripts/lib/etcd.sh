# An etcd cluster of five members for measurements. A script sources it after cluster.sh.
# shellcheck shell=bash

etcd_bench=
etcd_endpoints=
etcd_pids=() # the pids of the members, by number
etcd_peers=

# True when etcd is installed.
has_etcd() {
    if ! command -v etcd >/dev/null; then
        say "etcd is not installed, so only our own figures follow:" \
            "its binary has to be on PATH (Debian and Ubuntu: apt-get install etcd-server)"
        return 1
    fi
}

build_etcd_bench() {
    cargo build --release --quiet --example etcd_bench --manifest-path "${root:?}/Cargo.toml"
    etcd_bench=${CARGO_TARGET_DIR:-$root/target}/release/examples/etcd_bench
}

etcd_version() { etcd --version | awk '/^etcd Version/ { print $3 }'; }

start_member() {
    local client=http://127.0.0.1:$((etcd_port + 2 * $1 - 2))
    local peer=http://127.0.0.1:$((etcd_port + 2 * $1 - 1))
    "${launcher[@]}" etcd --name "n$1" --data-dir "$dir/etcd/$1" --logger zap --log-level error \
        --listen-client-urls "$client" --advertise-client-urls "$client" \
        --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" \
        --initial-cluster "$etcd_peers" --initial-cluster-token bench \
        --initial-cluster-state new >>"$dir/etcd.log" 2>&1 &
    etcd_pids[$1]=$!
    other[$1]=$!
}

# Starts a fresh cluster of etcd, after it has ended the previous one.
new_etcd_cluster() {
    local member
    end_all "${etcd_pids[@]}"
    etcd_pids=()
    rm -rf -- "$dir/etcd"
    mkdir -m 700 "$dir/etcd"
    find_ports 10
    etcd_port=$first_port etcd_peers='' etcd_endpoints=''
    for member in 1 2 3 4 5; do
        etcd_peers+=,n$member=http://127.0.0.1:$((etcd_port + 2 * member - 1))
        etcd_endpoints+=,127.0.0.1:$((etcd_port + 2 * member - 2))
    done
    etcd_peers=${etcd_peers#,} etcd_endpoints=${etcd_endpoints#,}
    for member in 1 2 3 4 5; do start_member "$member"; done
    etcd_load --leader >/dev/null
}

etcd_load_command() { load_command=("$etcd_bench" --endpoints "$etcd_endpoints" --json); }
etcd_load() {
    etcd_load_command
    "${load_command[@]}" "$@"
}

# Prints the number of the member that leads.
etcd_leader() {
    local address
    address=$(etcd_load --leader)
    echo $(((${address##*:} - etcd_port) / 2 + 1))
}
