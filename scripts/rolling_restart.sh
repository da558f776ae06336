#!/usr/bin/env bash
# Restarts all servers of a cluster one after the other while 32 clients write and read, by SIGTERM
# and by SIGKILL (docs/adr/0028), and checks that nobody was told anything wrong.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/rolling_restart.sh [--seconds S] [--rounds N] [--program BINARY] [--debug] [--keep]
                                  [--help]

Builds these sources, and starts five servers and 32 clients, whose writes all carry `once`. Then
it stops each server by SIGTERM and starts it again, the leader last, in two rounds. It does the
same with another cluster whose servers are killed.

For each round it prints the longest time without an acknowledged write, the longest time of one
command, the changes of leader (as many as terms have begun), and the commands that failed although
their client followed redirects and retried for five seconds; and for each cluster whether the
history is linearizable, the stores are equal, and the members are those of the beginning.

  --seconds S       time of the load after each restart (0.5)
  --rounds N        restarts all servers N times (2)
  --program BINARY  a program that is there already
  --debug           a debug build: it is built in less time
  --keep            keeps the directory with the logs although nothing has failed
  --help            this text

Exits with 0 when each round of SIGTERMs had one change of leader, no gap of 100 ms or longer, and no
command that failed, and when nothing is wrong with either cluster; with 1 when something is (the
directory with its logs is then kept); with 2 after a usage error.
USAGE
}

# shellcheck source=scripts/lib/drill.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/drill.sh"
run_drill rolling_restart "$@"
