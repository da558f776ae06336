#!/usr/bin/env bash
# Builds a program that depends on the client library alone, and prints the crates that it is made of.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/client_tree.sh [--help]

Makes a small program whose only dependency is

    coracle = { path = "...", default-features = false, features = ["client"] }

builds it without the network and with warnings as errors, so that code which only the server uses
is found, prints the tree of its crates, and runs it. The versions are those of Cargo.lock. The
build is kept in target/client_tree.

Exits with 0 when all is well, and with 1 when a crate of the server or of the command line is in
the tree, when there is a warning, or when the program fails.
USAGE
}

case "$*" in
    '') ;;
    --help) usage && exit ;;
    *) usage >&2 && exit 2 ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}/client_tree
program=$(mktemp -d)
trap 'rm -rf "$program"' EXIT

cat >"$program/Cargo.toml" <<TOML
[package]
name = "coracle-user"
version = "0.1.0"
edition = "2024"

[dependencies]
coracle = { path = "$root", default-features = false, features = ["client"] }

[workspace]
TOML
mkdir "$program/src"
# No server is at this address: the program shows that the client does something, and what it says.
cat >"$program/src/main.rs" <<'RUST'
use std::time::Duration;

use coracle::client::blocking::Client;
use coracle::client::{Error, Options};

fn main() {
    let options = Options { deadline: Duration::from_millis(100), ..Options::default() };
    match Client::connect(["127.0.0.1:1"], options) {
        Err(Error::Unavailable { last }) => println!("as expected: {last}"),
        other => panic!("no server is there, and the client says {other:?}"),
    }
}
RUST
cp "$root/Cargo.lock" "$program"

cd "$program"
export CARGO_TARGET_DIR=$target RUSTFLAGS='-D warnings'
cargo build --offline
cargo tree --offline --edges normal
crates=$(cargo tree --offline --edges normal --prefix none | sed 's/ .*//' | sort -u)
echo "$(wc -l <<<"$crates") crates, of which two are coracle and the program"

# One crate for each thing that a client has no use for: actors, HTTP, metrics, files, the screen.
servers='actix actix-rt axum clap env_logger hyper prometheus-client ratatui rmp-serde tar toml'
for name in $servers; do
    if ! grep -q "^name = \"$name\"$" "$root/Cargo.lock"; then
        echo "client_tree.sh: $name is no dependency any more: take it off the list in this script" >&2
        exit 1
    elif grep -qx "$name" <<<"$crates"; then
        echo "client_tree.sh: the client depends on $name, which is a crate of the server" >&2
        exit 1
    fi
done
"$target/debug/coracle-user"
