#!/usr/bin/env bash
# Makes what a package installs beside the program: man pages and completions for shells.
set -euo pipefail

if [ $# != 2 ] || [ "$1" = --help ]; then
    cat <<'USAGE'
usage: scripts/package_assets.sh PROGRAM DIR

Asks PROGRAM for its man pages and completions, and writes them to DIR/man, DIR/coracle.bash,
DIR/coracle.zsh and DIR/coracle.fish. For `cargo deb` DIR is target/release/assets.
USAGE
    [ "${1:-}" = --help ]
    exit
fi

program=$(realpath "$1")
mkdir -p "$2/man"
"$program" man "$2/man"
# As Debian wants them: without a time, so that each build makes the same bytes.
gzip --best --no-name --force "$2"/man/*.1
for shell in bash zsh fish; do "$program" completions $shell >"$2/coracle.$shell"; done
