#!/usr/bin/env bash
# Runs five servers whose wall clocks are wrong by an hour, by years and by a day, kills leaders
# until each of these has led, and checks that no key and no client of `once` goes early, and that
# keys go within a second of their time (docs/adr/0020).
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/wall_clocks.sh [--rounds N] [--binary FILE] [--help]

Starts five servers in a temporary directory, under libfaketime: server 1 is an hour ahead,
server 2 is in 2038, server 3 is a day back, and 4 and 5 are right. Then it kills the leader
and starts it again, round after round, until servers 1, 2 and 3 have all led. In each round it
looks at a key of an hour, at a command that was executed once, at keys of 3 seconds, and
at the store's clock. It exits with 1 when one of them is wrong. All files are removed at the end.

  --rounds N     maximum number of rounds (60)
  --binary FILE  the binary, if not the release build of these sources
  --help         this text
USAGE
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=wall_clocks
# shellcheck source=scripts/lib/cluster.sh
. "$root/scripts/lib/cluster.sh"

rounds=60
while [ $# -gt 0 ]; do
    case $1 in
        --rounds | --binary)
            [ $# -ge 2 ] || fail "$1 needs a value"
            declare "${1#--}=$2"
            shift
            ;;
        --help)
            usage
            exit 0
            ;;
        *) fail "unknown option $1" ;;
    esac
    shift
done

library=$(find /usr/lib* /usr/local/lib* -name libfaketime.so.1 2>/dev/null | head -n 1)
[ -n "$library" ] || fail "it needs libfaketime (Debian and Ubuntu: apt-get install libfaketime)"
wrong=("" "+1h" "@2038-01-19 00:00:00" "-1d" "+0" "+0")

# The seconds that a key with a short time to live has, and the longest time after which it may
# still be there, in milliseconds.
short=3
late_ms=1000
# The resolution of /proc/uptime in milliseconds.
resolution_ms=10

# Starts a server with its wrong wall clock. Only the wall clock is changed.
start_server() {
    LD_PRELOAD=$library FAKETIME=${wrong[$1]} DONT_FAKE_MONOTONIC=1 "$binary" serve \
        --config "$config" --id "$1" --log-level warn >>"$dir/$1.log" 2>&1 &
    pids[$1]=$!
}

# Prints the milliseconds since this machine was started.
up_ms() {
    local up
    read -r up _ </proc/uptime
    echo "$((10#${up/./} * 10))"
}

# Sends command $2 to server $1 and prints the reply.
ask() {
    local fd
    exec {fd}<>"/dev/tcp/127.0.0.1/$((first_port + 2 * $1 - 2))" || return 1
    printf '%s\r\nquit\r\n' "$2" >&"$fd"
    tr -d '\r' <&"$fd"
    exec {fd}>&-
}

# Sends command $1 to one server after the other, until the leader has answered, and prints the
# reply. The command may be executed more than once.
execute() {
    local id reply tries=0
    while :; do
        for id in "${ids[@]}"; do
            reply=$(ask "$id" "$1" 2>/dev/null) || continue
            case $reply in
                '' | ERR_REDIRECT* | ERR_NO_LEADER* | ERR_TIMEOUT* | ERR_BUSY*) ;;
                *)
                    printf '%s\n' "$reply"
                    return
                    ;;
            esac
        done
        tries=$((tries + 1))
        [ $tries -lt 1000 ] || fail "nobody answers: $1"
        sleep 0.01
    done
}

status_of() { ask "$1" status | awk -v name="$2" '$1 == name { print $2 }'; }

mistakes=0
wrong_is() {
    say "WRONG: $*"
    mistakes=$((mistakes + 1))
}

# Sets a key of $short seconds. Prints the times before and after, in milliseconds.
set_short() {
    local before
    before=$(up_ms)
    execute "set $1 $short 1"$'\r\nx' >/dev/null
    echo "$before $(up_ms)"
}

# Waits until a key is gone, and prints when the last answer that had it was asked for, and when
# the first that had not was there.
wait_until_gone() {
    local seen asked
    seen=$(up_ms)
    while :; do
        asked=$(up_ms)
        case $(execute "get $1") in
            ERR_NOT_FOUND*) break ;;
            *) seen=$asked ;;
        esac
        sleep 0.02
    done
    echo "$seen $(up_ms)"
}

# Checks that a key of $short seconds went in time. $1: its name; $2, $3: the times before and
# after it was set; $4: the time of outages since, in milliseconds, in which the store's clock
# stood still; without it, only that the key did not go early is checked.
check_short() {
    local name=$1 before=$2 after=$3 outage=${4:-} seen gone
    read -r seen gone < <(wait_until_gone "$name")
    if [ $((gone - before + resolution_ms)) -lt $((short * 1000)) ]; then
        wrong_is "$name was gone after $((gone - before)) ms"
    fi
    if [ -n "$outage" ] && [ $((seen - after)) -gt $((short * 1000 + late_ms + outage)) ]; then
        wrong_is "$name was there after $((seen - after)) ms"
    fi
    last_ms=$((gone - before))
}

if [ -n "$binary" ]; then coracle=$binary; else build; fi
make_dir
say "five servers under $library"
began=$(up_ms)
new_cluster 5
for id in "${ids[@]}"; do
    printf 'server %d: its wall clock shows %s\n' "$id" \
        "$(date --utc --date "@$(($(status_of "$id" wall_clock_ms) / 1000))" '+%F %T UTC')"
done

execute "set hour 3600 1"$'\r\nx' >/dev/null
hour_set=$(up_ms)
first=$(execute "once me 1 set once 0 4"$'\r\nmine')
execute "set once 0 5"$'\r\nother' >/dev/null
latest_clock=0
declare -A has_led=()
longest=0 shortest=999999

for round in $(seq "$rounds"); do
    old=$(leader)
    has_led[$old]=yes
    read -r over_before over_after < <(set_short "over-$round")
    kill_server "$old"
    retry=$(execute "once me 1 set once 0 4"$'\r\nmine')
    new=$(leader 2>/dev/null)
    start_server "$old"
    [ "$retry" = "$first" ] || wrong_is "the retry was answered with $retry, and not with $first"
    case $(execute "get once") in
        "VALUE 5"*) ;;
        *) wrong_is "the retry was executed again" ;;
    esac

    left=$(execute "getm hour" | awk 'NR == 1 { print $3 }')
    passed=$(($(up_ms) - hour_set))
    if [ -z "$left" ]; then
        wrong_is "the key of an hour is gone after $passed ms"
    elif [ $((left * 1000 + passed + resolution_ms)) -lt 3600000 ]; then
        wrong_is "the key of an hour has $left s left after $passed ms"
    fi

    check_short "over-$round" "$over_before" "$over_after"
    over_ms=$last_ms
    wait_until_caught_up
    read -r before after < <(set_short "calm-$round")
    check_short "calm-$round" "$before" "$after" 0
    if [ "$last_ms" -gt "$longest" ]; then longest=$last_ms; fi
    if [ "$last_ms" -lt "$shortest" ]; then shortest=$last_ms; fi

    clock=$(status_of "$(leader)" store_clock_ms)
    if [ "$clock" -lt "$latest_clock" ]; then wrong_is "the store's clock fell to $clock ms"; fi
    if [ "$clock" -gt $(($(up_ms) - began + resolution_ms)) ]; then
        wrong_is "the store's clock is $clock ms, which is more than has passed"
    fi
    latest_clock=$clock
    printf 'round %d: %d killed, %s leads; keys of %d s went after %d ms (with a failover) and %d ms; ' \
        "$round" "$old" "${new:-?}" "$short" "$over_ms" "$last_ms"
    printf 'the hour has %s s left; the store'\''s clock %d ms, passed %d ms\n' \
        "$left" "$clock" "$(($(up_ms) - began))"
    has_led[$(leader)]=yes
    if [ -n "${has_led[1]:-}" ] && [ -n "${has_led[2]:-}" ] && [ -n "${has_led[3]:-}" ]; then break; fi
done

for id in 1 2 3; do
    if [ -z "${has_led[$id]:-}" ]; then wrong_is "server $id never led in $rounds rounds: try again"; fi
done
printf 'leaders: %s; keys of %d s without a failover went after %d to %d ms; wrong: %d\n' \
    "$(printf '%s\n' "${!has_led[@]}" | sort | paste -sd ' ')" "$short" "$shortest" "$longest" "$mistakes"
[ "$mistakes" = 0 ]
