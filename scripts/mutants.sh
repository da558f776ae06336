#!/usr/bin/env bash
# Puts historical bugs back, one at a time, and shows what notices each of them and
# after how many seeds; see docs/mutants.md, whose table this is.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/mutants.sh [BUG] [--seeds N] [--first SEED] [--replay SEED] [--trace]
                          [--write-docs] [--help]
       scripts/mutants.sh --tests [BUG] [--write-docs]

Builds the simulation with the bugs in it, each asleep, and wakes one after the other.
Exits with 1 if one was not noticed. With --tests it is the library's tests that have to
notice: those bugs that the simulation meets too seldom.

  BUG            only this one, say B18
  --seeds N      at most so many seeds a bug (default: 2000)
  --first SEED   the first of them (default: 1)
  --replay SEED  with BUG: this seed alone; with --trace telling all that happens
  --write-docs   writes the table into docs/mutants.md
  --help         this text
USAGE
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bug=()
options=(--seeds 2000 --first 1)
write_docs=
tests=
while [ $# -gt 0 ]; do
    case $1 in
        --help)
            usage
            exit 0
            ;;
        --write-docs) write_docs=1 ;;
        --tests) tests=1 ;;
        --trace) options+=("$1") ;;
        --seeds | --first | --replay)
            options+=("$1" "${2:?"$1 needs a number"}")
            shift
            ;;
        B* | S*) bug=("$1") ;;
        *)
            echo "mutants: unknown option $1" >&2
            usage >&2
            exit 2
            ;;
    esac
    shift
done

cd "$root"

# The first table of docs/mutants.md that has this beginning is replaced by a file.
write_table() {
    sed -i -e '/^<!-- '"$1"' -->$/,/^<!-- end -->$/{/^<!-- '"$1"' -->$/r '"$2"'
        /^<!-- '"$1"' -->$/!{/^<!-- end -->$/!d}
    }' docs/mutants.md
}

# Runs the library's tests with each bug put back in all of them, and prints which fail.
notice_by_tests() {
    local bug what failed missed=0
    local build=(cargo --config 'build.rustflags=["--cfg","mutants"]' test --quiet --lib
        --features testing --target-dir target/mutants)
    "${build[@]}" --no-run >&2
    printf '| bug | put back | noticed by these tests |\n| --- | --- | --- |\n'
    for bug in "$@"; do
        what=$(sed -n "s/^    $bug: \"\(.*\)\",$/\1/p" src/mutants/table.rs)
        failed=$(CORACLE_MUTANT=$bug "${build[@]}" 2>&1 | sed -n 's/^    \([a-z_0-9:]*\)$/`\1`/p' | sort -u)
        if [ -z "$failed" ]; then missed=$((missed + 1)) failed="**none**"; fi
        printf '| %s | %s | %s |\n' "$bug" "$what" "$(head -n 2 <<<"$failed" | paste -sd ' ')"
    done
    printf '\n%d bugs put back, %d not noticed\n' $# $missed
    [ $missed = 0 ]
}

if [ -n "$tests" ]; then
    if [ ${#bug[@]} = 0 ]; then
        left=$(sed -n '/LEFT_TO_TESTS/,/};/s/^    &\[\(.*\)\]$/\1/p' src/mutants/table.rs)
        IFS=', ' read -ra bug <<<"$left"
    fi
    table=$(mktemp)
    trap 'rm -f "$table"' EXIT
    status=0
    notice_by_tests "${bug[@]}" | tee "$table" || status=$?
    if [ -n "$write_docs" ]; then write_table "tests table" "$table"; fi
    exit "$status"
fi

# A directory of its own: no other build may meet a file that was built so.
run=(cargo --config 'build.rustflags=["--cfg","mutants"]' run --quiet --profile simulation
    --target-dir target/mutants --example simulate -- "${options[@]}" --mutants "${bug[@]}")
if [ -z "$write_docs" ]; then
    exec "${run[@]}"
fi
table=$(mktemp)
trap 'rm -f "$table"' EXIT
status=0
"${run[@]}" >"$table" || status=$?
write_table table "$table"
cat "$table"
exit "$status"
