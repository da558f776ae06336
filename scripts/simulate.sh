#!/usr/bin/env bash
# Simulates whole clusters by seed on all cores; see docs/internals/simulation.md.
# Takes --help.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Told with each failure: a seed is a run of one commit.
CORACLE_COMMIT=$(git describe --always --dirty 2>/dev/null || echo "no commit")
export CORACLE_COMMIT
exec cargo run --quiet --profile simulation --example simulate -- "$@"
