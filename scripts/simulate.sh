#!/usr/bin/env bash
# Simulates whole clusters by seed on all cores (docs/internals/simulation.md). --help prints
# the options.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The commit is printed with each failure: a seed means the same run only at one commit.
CORACLE_COMMIT=$(git describe --always --dirty 2>/dev/null || echo "no commit")
export CORACLE_COMMIT
# Without the program and the sixty crates that it alone needs: this build is the longest part of a short run.
exec cargo run --quiet --no-default-features --features testing --profile simulation \
    --example simulate -- "$@"
