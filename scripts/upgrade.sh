#!/usr/bin/env bash
# Upgrades clusters of two real programs under load: the last commit before a format of the
# cluster (docs/adr/0023), and these sources. Prints a table of rounds, and the refusals.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/upgrade.sh [--rounds N] [--seconds S] [--only ROUND,...] [--format N]
                          [--old BINARY] [--new BINARY] [--debug] [--keep] [--help]

Builds the last commit before the newest format of src/types/format.rs, and these sources.
Then five servers at a time are upgraded from the one to the other while clients write and
read: in each order, back and forth while the format is held, with the leader killed at each
step, with snapshots and backups that the other program reads, and with the old program on
what the new one has written. After each round the history of the clients is linearizable,
all acknowledged writes are there, and the stores of all servers are equal.

  --rounds N        plays all rounds N times (1)
  --seconds S       time of the load after each step (0.5)
  --only ROUND,...  these rounds only, for example R1,R9
  --format N        the upgrade to this format (the newest)
  --old BINARY      an old binary that is there already
  --new BINARY      a binary of these sources that is there already
  --debug           debug builds of both: they are built in less time
  --keep            keeps the directory with the logs although nothing has failed
  --help            this text

The old binary is kept in target/upgrade, by its commit. The old commit is found in the
history of the repository: a shallow clone does not have it. One run takes about three minutes
after the builds. Exits with 0 when all rounds passed, with 1 when one failed (the directory
with its logs is then kept), with 2 after a usage error, and with 77 when the history is
missing.
USAGE
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
formats=src/types/format.rs
old='' new='' format=''
profile=release
arguments=()

say() { printf 'upgrade: %s\n' "$*" >&2; }

fail() {
    say "$@"
    exit 2
}

skip() {
    say "skipped: $*"
    exit 77
}

while [ $# -gt 0 ]; do
    case $1 in
        --old | --new | --format)
            [ $# -ge 2 ] || fail "$1 needs a value"
            declare "${1#--}=$2"
            shift
            ;;
        --rounds | --seconds | --only)
            [ $# -ge 2 ] || fail "$1 needs a value"
            arguments+=("$1" "$2")
            shift
            ;;
        --debug) profile=dev ;;
        --keep) arguments+=("$1") ;;
        --help)
            usage
            exit 0
            ;;
        *) fail "unknown option $1" ;;
    esac
    shift
done

# The directory of target in which cargo puts the builds of the profile.
builds=$profile
if [ "$profile" = dev ]; then builds=debug; fi

# Prints the newest format of these sources.
newest_format() {
    sed -n 's/^ *format: Format(\([0-9]*\)),$/\1/p' "$root/$formats" | sort -n | tail -n 1
}

# Prints the last commit before format $1: the parent of the first commit whose table of formats
# has it.
commit_before() {
    local added before
    git -C "$root" rev-parse --git-dir >/dev/null 2>&1 ||
        skip "these sources are in no git repository, so the commit before format $1 is not known; give --old"
    added=$(git -C "$root" log --reverse --format=%H -S"format: Format($1)," -- "$formats" | head -n 1)
    [ -n "$added" ] || skip "no commit has added format $1 to $formats"
    # The first commit of a shallow clone seems to have added everything, and has no parent.
    before=$(git -C "$root" rev-parse --verify --quiet "$added^") ||
        skip "the history ends at $added, so the commit before format $1 is not known; git fetch --unshallow"
    printf '%s\n' "$before"
}

# Builds the program of the commit $1, unless it is there already, and sets old to it.
build_commit() {
    local commit=$1 work
    old=$target/upgrade/$commit-$builds/coracle
    if [ -x "$old" ]; then return; fi
    work=$target/upgrade/build
    say "builds the old program of ${commit:0:12} ($profile)"
    rm -rf -- "$work"
    mkdir -p "$work/tree" "$(dirname "$old")"
    # A copy, and no worktree: the repository is not told of it, so that nothing has to be
    # cleaned up there when target is removed.
    git -C "$root" archive "$commit" | tar --extract --directory "$work/tree"
    # Most crates of others are those of these sources, and are built once for both. The program
    # itself must not take the place of the newer one.
    CARGO_BUILD_BUILD_DIR=$target cargo build --quiet --locked --profile "$profile" --bin coracle \
        --manifest-path "$work/tree/Cargo.toml" --target-dir "$work/target"
    cp "$work/target/$builds/coracle" "$old.new"
    mv "$old.new" "$old"
    rm -rf -- "$work"
}

format=${format:-$(newest_format)}
[[ $format =~ ^[0-9]+$ && $format -ge 2 ]] || fail "--format needs a number from 2"
if [ -z "$old" ]; then
    commit=$(commit_before "$format") || exit $?
    build_commit "$commit"
fi
[ -x "$old" ] || fail "there is no program $old"
if [ -z "$new" ]; then
    cargo build --quiet --profile "$profile" --bin coracle --manifest-path "$root/Cargo.toml"
    new=$target/$builds/coracle
fi
[ -x "$new" ] || fail "there is no program $new"
say "old: $("$old" --version), new: $("$new" --version), format $((format - 1)) to $format"
# The driver waits most of the time, so its debug build is fast enough.
cargo build --quiet --example upgrade --manifest-path "$root/Cargo.toml"
exec "$target/debug/examples/upgrade" --old "$old" --new "$new" --format "$format" "${arguments[@]}"
