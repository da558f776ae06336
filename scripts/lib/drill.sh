# shellcheck shell=bash
# Runs a drill: builds the servers and the example that has the same name as the script, and gives
# the example its options. The script defines `usage` and calls `run_drill NAME "$@"`.

run_drill() {
    local name=$1
    shift
    local root target program='' profile=release arguments=()
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
    target=${CARGO_TARGET_DIR:-$root/target}

    fail() {
        printf '%s: %s\n' "$name" "$*" >&2
        exit 2
    }

    while [ $# -gt 0 ]; do
        case $1 in
            --program)
                [ $# -ge 2 ] || fail "$1 needs a value"
                program=$2
                shift
                ;;
            --rounds | --seconds)
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
    local builds=$profile
    if [ "$profile" = dev ]; then builds=debug; fi

    if [ -z "$program" ]; then
        cargo build --quiet --profile "$profile" --bin coracle --manifest-path "$root/Cargo.toml"
        program=$target/$builds/coracle
    fi
    [ -x "$program" ] || fail "there is no program $program"
    # The clients and the checks are the same for both builds of the servers.
    cargo build --quiet --example "$name" --manifest-path "$root/Cargo.toml"
    exec "$target/debug/examples/$name" --program "$program" "${arguments[@]}"
}
