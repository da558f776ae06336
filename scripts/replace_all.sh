#!/usr/bin/env bash
# Replaces every server of a cluster while 32 clients write and read (docs/adr/0026): adds three new
# servers, removes the five old ones, and checks that nobody was told anything wrong.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/replace_all.sh [--seconds S] [--rounds N] [--program BINARY] [--debug] [--keep]
                              [--help]

Builds these sources, and starts five servers and 32 clients, whose writes all carry `once`. Then
it adds three new servers, with new directories and ports, and removes the five old ones, one by
one; the leader is the third of them. In the end the cluster is three processes that were not there
at the beginning.

It prints the longest time without an acknowledged write, for each step and in all; the number of
acknowledged writes that are lost, and of commands that failed although their client followed
redirects and retried for five seconds; whether the history is linearizable, and the stores equal.

  --seconds S       time of the load after each step (1)
  --rounds N        does all of it N times, each time in a new cluster (1)
  --program BINARY  a program that is there already
  --debug           a debug build: it is built in less time
  --keep            keeps the directory with the logs although nothing has failed
  --help            this text

Exits with 0 when nothing was lost, nothing failed, and no gap was 500 ms or longer; with 1 when
something was (the directory with its logs is then kept); with 2 after a usage error.
USAGE
}

# shellcheck source=scripts/lib/drill.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/drill.sh"
run_drill replace_all "$@"
