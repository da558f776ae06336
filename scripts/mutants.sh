#!/usr/bin/env bash
# Puts historical bugs back, one at a time, and shows what notices each of them and
# after how many seeds; see docs/mutants.md, whose table this is.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/mutants.sh [BUG] [--seeds N] [--first SEED] [--replay SEED] [--trace]
                          [--write-docs] [--help]

Builds the simulation with the bugs in it, each asleep, and wakes one after the other.
Exits with 1 if one was not noticed.

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
while [ $# -gt 0 ]; do
    case $1 in
        --help)
            usage
            exit 0
            ;;
        --write-docs) write_docs=1 ;;
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
sed -i -e '/^<!-- table -->$/,/^<!-- end -->$/{/^<!-- table -->$/r '"$table"'
    /^<!-- table -->$/!{/^<!-- end -->$/!d}
}' docs/mutants.md
cat "$table"
exit "$status"
