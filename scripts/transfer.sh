#!/usr/bin/env bash
# Exports many keys and imports them into an empty cluster, with a server killed in each.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/transfer.sh [--keys N] [--help]

Builds the release binary, fills a cluster of five servers on this machine with N keys (a
million), and exports them; the leader is killed with kill -9 meanwhile. Then imports the file into
an empty cluster of five, and kills a leader meanwhile as well. Checks that no key is missing or
differs, and that each was written once, and imports again, which must write nothing. Prints times
and rates. Takes minutes; uses loopback and a temporary directory.

  --keys N   number of keys
  --help     this text
USAGE
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=transfer
keys=1000000

while [ $# -gt 0 ]; do
    case $1 in
        --keys)
            if [ $# -lt 2 ]; then
                echo "transfer: --keys needs a number" >&2
                usage >&2
                exit 2
            fi
            keys=$2
            shift
            ;;
        --help)
            usage
            exit 0
            ;;
        *)
            echo "transfer: unknown option $1" >&2
            usage >&2
            exit 2
            ;;
    esac
    shift
done

# shellcheck source=scripts/lib/cluster.sh
source "$root/scripts/lib/cluster.sh"

# A history that holds all transactions of the import, so that each write can be counted.
tables='
[history]
bytes_max = 0
'

# Prints a file of N keys. Each value is a text of its own; every thousandth key and value is bytes
# that are no text, and every hundredth key expires in a day.
generate() {
    awk -v keys="$keys" 'BEGIN {
        print "{\"format\":\"coracle-export\",\"format_version\":1,\"revision\":1,\"prefix\":\"\"}"
        for (number = 0; number < keys; number++) {
            value = "\"value\":\"value " number "\""
            if (number % 1000 == 7) value = "\"value_base64\":\"/wD+\""
            more = number % 100 == 50 ? ",\"expires_in_s\":86400" : ""
            printf "{\"key\":\"key%08d\",%s%s}\n", number, value, more
        }
        print "{\"end\":true,\"keys\":" keys "}"
    }'
}

# The lines of a file of keys without what may differ between two stores: the revision, the versions
# and the seconds that are left, but not whether a key expires.
comparable() { tail -n +2 "$1" | sed -E 's/,"version":[0-9]+//; s/("expires_in_s":)[0-9]+/\1/'; }

# Kills the leader as soon as the condition holds: a command, asked every few milliseconds.
kill_leader_when() {
    local id
    until "$@"; do sleep 0.02; done
    id=$(leader)
    kill_server "$id"
    say "killed server $id, which led"
    killed=$id
}

is_larger() { [ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -gt "$2" ]; }

# True when a server has more than $1 keys.
has_keys() {
    local id status
    for id in "${ids[@]}"; do
        status=$(ask "$id" status 2>/dev/null) || continue
        [ "$(awk '$1 == "keys" { print $2 + 0 }' <<<"$status")" -le "$1" ] || return 0
    done
    return 1
}

# Sends a command to a server and prints the reply.
ask() {
    local connection
    exec {connection}<>"/dev/tcp/127.0.0.1/$((first_port + 2 * $1 - 2))"
    printf '%s\r\nquit\r\n' "$2" >&"$connection"
    tr -d '\r' <&"$connection"
    exec {connection}>&-
}

build
make_dir
say "$(machine); $keys keys"
generate >"$dir/generated"

new_cluster 5
"$coracle" import --config "$config" "$dir/generated" >"$dir/summary"
echo "fill:         $(cat "$dir/summary")"

killed=
"$coracle" export --config "$config" --output "$dir/exported" >"$dir/summary" &
other[export]=$!
kill_leader_when is_larger "$dir/exported.new" 1000000
wait "${other[export]}" || fail "the export has failed"
unset 'other[export]'
echo "export:       $(cat "$dir/summary") (server $killed was killed)"
cmp <(comparable "$dir/generated") <(comparable "$dir/exported") ||
    fail "the export differs from what was written"

new_cluster 5
"$coracle" import --config "$config" "$dir/exported" >"$dir/summary" &
other[import]=$!
kill_leader_when has_keys $((keys / 4))
wait "${other[import]}" || fail "the import has failed"
unset 'other[import]'
echo "import:       $(cat "$dir/summary") (server $killed was killed)"

"$coracle" export --config "$config" --output "$dir/again" >"$dir/summary"
echo "export again: $(cat "$dir/summary")"
cmp <(comparable "$dir/exported") <(comparable "$dir/again") || fail "the two stores differ"

# All changes since the store was empty: each key is among them once.
"$coracle" set --config "$config" zz-end '' >/dev/null
"$coracle" watch --config "$config" --from 2 --limit $((keys + 1)) --json '' >"$dir/changes"
changes=$(wc -l <"$dir/changes")
written=$(grep -o '"key":"key[0-9]*"' "$dir/changes" | sort -u | wc -l)
tail -n 1 "$dir/changes" | grep -q '"key":"zz-end"' || fail "there are more changes than keys"
[ "$changes" = $((keys + 1)) ] || fail "$changes changes and not $((keys + 1))"
[ "$written" = "$keys" ] || fail "$written different keys are among the changes"

start_server "$killed"
wait_until_caught_up
"$coracle" import --config "$config" "$dir/exported" >"$dir/summary"
echo "import again: $(cat "$dir/summary")"
grep -q ' written=0 ' "$dir/summary" || fail "the second import has written keys"
echo "no key is missing or differs, and each was written once"
