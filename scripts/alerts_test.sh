#!/usr/bin/env bash
# Tests the alerts of deploy/prometheus and the board of deploy/grafana: by unit tests, and with a
# real Prometheus that scrapes five servers, some of which are killed and started again.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/alerts_test.sh [--debug] [--help]

Checks the rules and the metrics with promtool. Then it starts five servers and a Prometheus, puts
each query of the board to it, kills the leader and another server, and waits until the alerts about
it fire; kills a third one, starts all again, and waits until no alert is left. It needs prometheus, promtool (Debian's package prometheus) and
curl; without them it says what it skips.

  --debug  test the debug build, which the tests have made already
  --help   this text
USAGE
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=alerts_test
# shellcheck source=scripts/lib/cluster.sh
. "$root/scripts/lib/cluster.sh"

# The number of looks, half a second apart, after which something has not happened.
looks_max=240

is_debug=no
while [ $# -gt 0 ]; do
    case $1 in
        --debug) is_debug=yes ;;
        --help)
            usage
            exit 0
            ;;
        *) fail "unknown option $1" ;;
    esac
    shift
done

for tool in promtool prometheus curl; do
    if ! command -v "$tool" >/dev/null; then
        say "skipped: $tool is not on PATH (Debian's package prometheus has promtool and prometheus)"
        exit 0
    fi
done

rules=$root/deploy/prometheus
promtool check config "$rules/prometheus.yml"
promtool test rules "$rules/coracle_alerts_test.yml"

while IFS= read -r alert; do
    grep -qx "### $alert" "$root/docs/operations.md" ||
        fail "docs/operations.md says nothing of the alert $alert"
done < <(sed -n 's/.*- alert: //p' "$rules/coracle_alerts.yml")

if [ $is_debug = yes ]; then
    cargo build --quiet --manifest-path "$root/Cargo.toml"
    coracle=${CARGO_TARGET_DIR:-$root/target}/debug/coracle
    binary=$coracle
else
    build
fi
make_dir
has_http=yes
new_cluster 5

for id in "${ids[@]}"; do
    curl -fsS "http://127.0.0.1:$(http_port "$id")/metrics" | promtool check metrics
done
say "promtool finds no fault with the metrics of five servers"

# The real times of the rules are minutes. Here only the order of things is tested.
sed -E 's/for: .*/for: 2s/' "$rules/coracle_alerts.yml" >"$dir/coracle_alerts.yml"
{
    printf 'global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\n'
    printf 'rule_files:\n  - coracle_alerts.yml\n'
    printf 'scrape_configs:\n  - job_name: coracle\n    static_configs:\n      - targets:\n'
    for id in "${ids[@]}"; do printf '          - 127.0.0.1:%d\n' "$(http_port "$id")"; done
} >"$dir/prometheus.yml"
prometheus_port=$((first_port + 3 * ${#ids[@]}))
(cd "$dir" && exec prometheus --config.file=prometheus.yml --storage.tsdb.path=prometheus \
    --web.listen-address="127.0.0.1:$prometheus_port" >prometheus.log 2>&1) &
other[prometheus]=$!

# Prints the result of a query as JSON, or nothing.
ask() {
    curl -fsS --get --data-urlencode "query=$1" \
        "http://127.0.0.1:$prometheus_port/api/v1/query" 2>/dev/null || true
}

# Prints the names of the alerts that fire, in order.
firing() { ask 'ALERTS{alertstate="firing"}' | grep -o '"alertname":"[A-Za-z]*"' | cut -d '"' -f 4 | sort -u || true; }

# Waits until the command has no error; $1 says for what.
wait_for() {
    local what=$1 looks=0
    shift
    until "$@"; do
        kill -0 "${other[prometheus]}" || fail "Prometheus has ended: $(tail -n 3 "$dir/prometheus.log")"
        looks=$((looks + 1))
        [ $looks -lt $looks_max ] ||
            fail "waited in vain for $what; these alerts fire: $(firing | tr '\n' ' ')"
        sleep 0.5
    done
    say "$what"
}

scrapes() { ask 'sum(up)' | grep -q "\"$1\"\\]"; }
fires() {
    local alert all
    all=$(firing)
    for alert in "$@"; do grep -qx "$alert" <<<"$all" || return 1; done
}
is_silent() { [ -z "$(firing)" ]; }

wait_for "five servers are scraped" scrapes 5
wait_for "no alert fires" is_silent

# Prints the queries of the board, with what Grafana would put in.
board_queries() {
    grep -o '"expr": ".*"' "$root/deploy/grafana/coracle.json" |
        sed -E 's/^"expr": "(.*)"$/\1/; s/\\"/"/g; s/\$job/coracle/g; s/\$__rate_interval/10s/g'
}
count=0
while IFS= read -r query; do
    ask "$query" | grep -q '"status":"success"' || fail "Prometheus does not take this query of the board: $query"
    count=$((count + 1))
done < <(board_queries)
[ $count -gt 30 ] || fail "the board has only $count queries"
say "Prometheus takes all $count queries of the board"

# Each metric by its whole name, as the board and the rules use it.
curl -fsS "http://127.0.0.1:$(http_port 1)/metrics" | sed 's/[{ ].*//' | sort -u >"$dir/served"
{ board_queries && sed -n '/expr:/,/labels:/p' "$rules/coracle_alerts.yml"; } |
    grep -oE '\b(raft|log|client|store|memory|snapshots?|peer|disk|process|coracle)_[a-z_]+' |
    sort -u >"$dir/used"
absent=$(comm -13 "$dir/served" "$dir/used" | tr '\n' ' ')
[ -z "$absent" ] || fail "the board or the rules use metrics that a server does not have: $absent"
say "the servers have all $(wc -l <"$dir/used") metrics of the board and the rules"

first=$(leader)
second=$((first % 5 + 1))
kill_server "$first"
kill_server "$second"
say "killed server $first, which led, and server $second"
wait_for "the loss of two is told: CoracleServerDown, CoracleNoSpareVoter, CoraclePeerDisconnected" \
    fires CoracleServerDown CoracleNoSpareVoter CoraclePeerDisconnected
third=$(leader)
kill_server "$third"
say "killed server $third, the last but two"
wait_for "the loss of the quorum is told: CoracleNoLeader" fires CoracleNoLeader
for id in "$first" "$second" "$third"; do start_server "$id"; done
wait_until_caught_up
wait_for "all are back, and no alert fires" is_silent
say "passed"
