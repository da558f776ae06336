#!/usr/bin/env bash
# Puts historical bugs back into a copy of the tree, one at a time, and shows which check notices
# each of them and after how many seeds. It writes the tables of docs/mutants.md.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/mutants.sh [BUG] [--seeds N] [--first SEED] [--replay SEED] [--trace]
                          [--known] [--threads N] [--write-docs]
       scripts/mutants.sh --tests [BUG] [--write-docs]
       scripts/mutants.sh --check | --copy
       scripts/mutants.sh --edit FILE

Copies the tree to target/mutants/tree, applies the patches of tests/mutants to the copy,
which then holds all bugs, each of them inactive, and activates one after the other. Exits
with 1 if one was not noticed. The tree itself is never changed, and no server can be built
from the copy.

  BUG            only this bug, say B18
  --seeds N      maximum number of seeds a bug (default: 2000)
  --first SEED   the first seed (default: 1)
  --known        tries the seed of the bug's row in docs/mutants.md before all others: a
                 check of the whole table within a few minutes
  --replay SEED  with BUG: this seed alone; with --trace, prints all events
  --threads N    number of threads (default: one a core)
  --tests        the library's tests have to notice, not the simulation; without BUG: all
                 bugs that the simulation meets too seldom
  --write-docs   writes the table into docs/mutants.md
  --check        all patches apply, and the copy compiles
  --copy         makes the copy and nothing else
  --edit FILE    opens src/FILE as it is in the copy in $EDITOR, and writes its patch anew
                 from the result; hunks that did not apply are opened beside it
  --help         this text
USAGE
}

fail() {
    printf 'mutants: %s\n' "$@" >&2
    exit 1
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
patches=tests/mutants
work=target/mutants
tree=$work/tree

# A hunk's heading names the function that it is in, even where that begins with the hunk.
function_line='^ *\(pub\(([a-z]*)\)\{0,1\} \)\{0,1\}\(const \)\{0,1\}\(async \)\{0,1\}fn [a-z]'
name_functions='
    /^@@/ { heading = $0; next }
    heading != "" {
        if ($0 ~ /^ +(pub(\([a-z]*\))? )?(const )?(async )?fn [a-z]/) {
            name = $0
            sub(/^ +/, " ", name)
            match(heading, /^@@[^@]*@@/)
            heading = substr(heading, 1, RLENGTH) substr(name, 1, 41)
        }
        print heading
        heading = ""
    }
    { print }'

# Prints the patch that makes the file $2 of $1, which is the file $3 of the tree.
diff_of() {
    { diff -U1 -F "$function_line" --label "a/$3" --label "b/$3" "$1" "$2" || [ $? = 1 ]; } |
        awk "$name_functions"
}

# Applies a patch to a file. Hunks that do not fit are left in FILE.rej.
apply() {
    patch --quiet --force --fuzz=0 --no-backup-if-mismatch --reject-file="$2.rej" "$2" "$1" \
        >/dev/null
}

# Prints the headings of hunks that name a function which the file still has, but in which the
# hunk is no longer: with one line of context it may find its lines in another function.
# $1: the patch, $2: the file, $3: the patched file.
strayed() {
    local was is
    diff_of "$2" "$3" "$2" | grep '^@@' | sed 's/^@@[^@]*@@ *//' >"$work/headings"
    while IFS= read -r was && IFS= read -r is <&3; do
        if [ "$was" != "$is" ] && grep -qF -- "$was" "$2"; then printf '%s\n' "$was"; fi
    done < <(grep '^@@' "$1" | sed 's/^@@[^@]*@@ *//') 3<"$work/headings"
}

# Makes the copy. A file is written only when it changes, so that cargo builds only what changed.
make_copy() {
    command -v patch >/dev/null || fail "it needs the program patch (Debian and Ubuntu: apt-get install patch)"
    local next=$work/next patch file path broken=0
    rm -rf "$next"
    mkdir -p "$next" "$tree"
    git ls-files -z --cached --others --exclude-standard |
        while IFS= read -r -d '' path; do
            if [ -e "$path" ]; then printf '%s\0' "$path"; fi
        done | tar --create --null --files-from=- | tar --extract --directory "$next"
    while IFS= read -r patch; do
        file=src/${patch#"$patches/"}
        file=${file%.patch}
        if [ ! -e "$next/$file" ]; then
            echo "mutants: $patch: there is no $file: move the patch to where that code went" >&2
            broken=1
        elif ! apply "$patch" "$next/$file"; then
            echo "mutants: $patch does not apply to $file; these hunks do not fit:" >&2
            cat "$next/$file.rej" >&2
            echo "mutants: mend it with: scripts/mutants.sh --edit ${file#src/}" >&2
            broken=1
        elif [ -n "$(strayed "$patch" "$file" "$next/$file")" ]; then
            echo "mutants: $patch: hunks are not in the functions any more that they name:" >&2
            strayed "$patch" "$file" "$next/$file" >&2
            echo "mutants: look at it with: scripts/mutants.sh --edit ${file#src/}" >&2
            broken=1
        fi
    done < <(find "$patches" -name '*.patch' | LC_ALL=C sort)
    if [ $broken != 0 ]; then exit 1; fi
    mkdir -p "$next/src/mutants"
    cp "$patches/mutants.rs" "$next/src/mutants.rs"
    cp "$patches/table.rs" "$next/src/mutants/table.rs"
    cp "$patches/matrix.rs" "$next/examples/mutants.rs"
    (cd "$next" && find . -type f) | while IFS= read -r path; do
        if ! cmp -s "$next/$path" "$tree/$path"; then
            mkdir -p "$tree/$(dirname "$path")"
            cp "$next/$path" "$tree/$path"
        fi
    done
    (cd "$tree" && find . -type f) | while IFS= read -r path; do
        if [ ! -e "$next/$path" ]; then rm "$tree/$path"; fi
    done
    rm -rf "$next"
}

# Runs cargo on the copy; its builds have a directory of their own.
in_copy() {
    local command=$1
    shift
    cargo "$command" --manifest-path "$tree/Cargo.toml" --target-dir "$work/build" "$@"
}

# The names in the table, and those that the patches use, have to be the same; the compiler
# finds only the names that are not in the table.
check() {
    local unused
    make_copy
    unused=$(comm -23 \
        <(sed -n 's/^    \([BCMSVW][0-9]*[a-z]*\): ".*/\1/p' "$patches/table.rs" | sort) \
        <(find "$patches" -name '*.patch' -exec sed -n '/^+/p' {} + |
            grep -o 'mutant!([A-Za-z0-9]*)' | sed 's/.*(\(.*\))/\1/' | sort -u))
    if [ -n "$unused" ]; then fail "$patches/table.rs has bugs that no patch puts back:" $unused; fi
    cargo fmt --check --manifest-path "$tree/Cargo.toml"
    # In the directory of the other builds, whose crates are checked already.
    cargo check --manifest-path "$tree/Cargo.toml" --target-dir "${CARGO_TARGET_DIR:-target}" \
        --example mutants
}

edit() {
    local file=${1#src/}
    local patch=$patches/$file.patch edited=$work/edit/$file
    if [ ! -f "src/$file" ]; then fail "there is no src/$file"; fi
    mkdir -p "$(dirname "$edited")" "$(dirname "$patch")"
    rm -f "$edited.rej"
    cp "src/$file" "$edited"
    if [ -e "$patch" ] && ! apply "$patch" "$edited"; then
        echo "mutants: hunks that did not apply are in $edited.rej" >&2
        ${EDITOR:-vi} "$edited" "$edited.rej"
    else
        ${EDITOR:-vi} "$edited"
    fi
    # From standard input, it formats this file alone, and not the modules below it.
    rustfmt --edition 2024 --config-path . <"$edited" >"$edited.formatted"
    diff_of "src/$file" "$edited.formatted" "src/$file" >"$patch"
    rm -f "$edited" "$edited.formatted" "$edited.rej"
    if [ -s "$patch" ]; then
        echo "wrote $patch: $(grep -c '^@@' "$patch") hunks" >&2
    else
        rm "$patch"
        echo "src/$file has no bug put back now: removed $patch" >&2
    fi
}

# Replaces the table of docs/mutants.md after the comment $1 by the file $2.
write_table() {
    sed -i -e '/^<!-- '"$1"' -->$/,/^<!-- end -->$/{/^<!-- '"$1"' -->$/r '"$2"'
        /^<!-- '"$1"' -->$/!{/^<!-- end -->$/!d}
    }' docs/mutants.md
}

# Runs the library's tests once for each bug, with the bug put back, and prints which fail.
notice_by_tests() {
    local bug what failed missed=0
    in_copy test --quiet --lib --features testing --no-run >&2
    printf '| bug | put back | noticed by these tests |\n| --- | --- | --- |\n'
    for bug in "$@"; do
        what=$(sed -n "s/^    $bug: \"\(.*\)\",$/\1/p" "$patches/table.rs")
        failed=$(CORACLE_MUTANT=$bug in_copy test --quiet --lib --features testing 2>&1 |
            sed -n 's/^    \([a-z_0-9:]*\)$/`\1`/p' | sort -u) || true
        if [ -z "$failed" ]; then missed=$((missed + 1)) failed="**none**"; fi
        printf '| %s | %s | %s |\n' "$bug" "$what" "$(head -n 2 <<<"$failed" | paste -sd ' ')"
    done
    printf '\n%d bugs put back, %d not noticed\n' $# $missed
    [ $missed = 0 ]
}

# Prints the table of the bugs that the tests have to notice.
tests_table() {
    local left
    if [ $# = 0 ]; then
        left=$(sed -n '/^pub const LEFT_TO_TESTS/,/^};/p' "$patches/table.rs" |
            grep -o '\b[BCMSVW][0-9][0-9]*[a-z]*\b' | paste -sd ' ')
        IFS=' ' read -ra left <<<"$left"
        set -- "${left[@]}"
    fi
    notice_by_tests "$@"
}

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
        --check)
            check
            exit 0
            ;;
        --copy)
            make_copy
            exit 0
            ;;
        --edit)
            edit "${2:?"--edit needs a file below src"}"
            exit 0
            ;;
        --write-docs) write_docs=1 ;;
        --tests) tests=1 ;;
        --known | --trace) options+=("$1") ;;
        --seeds | --first | --replay | --threads)
            options+=("$1" "${2:?"$1 needs a number"}")
            shift
            ;;
        B* | C* | M* | S* | V* | W*) bug=("$1") ;;
        *)
            echo "mutants: unknown option $1" >&2
            usage >&2
            exit 2
            ;;
    esac
    shift
done

make_copy
if [ -n "$tests" ]; then
    heading="tests table"
    run=(tests_table "${bug[@]}")
else
    heading=table
    run=(in_copy run --quiet --profile simulation --example mutants -- "${options[@]}" "${bug[@]}")
fi
if [ -z "$write_docs" ]; then
    "${run[@]}"
    exit
fi
table=$(mktemp)
trap 'rm -f "$table"' EXIT
status=0
"${run[@]}" >"$table" || status=$?
write_table "$heading" "$table"
cat "$table"
exit "$status"
