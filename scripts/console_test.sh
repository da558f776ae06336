#!/usr/bin/env bash
# Tests the console: its modules and its interface with Node alone, and the page in a real browser
# where there is one. It says what it leaves out, and why.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/console_test.sh [--unit] [--real] [--help]

Tests src/http/console. Needs Node 20 or newer; the browser is Debian's package
chromium, or the program that CONSOLE_BROWSER names. The driver of the browser,
playwright-core, is installed by `npm ci` as tests/console/package-lock.json says,
when it is not there yet. What cannot run here is left out with a line SKIPPED,
and the exit code is 77 if the rest passed.

  --unit   only what needs no browser
  --real   the browser tests against five real servers instead of the mock ones; the
           program is target/debug/coracle, or the one that CONSOLE_BINARY names
USAGE
}

skip() {
    echo "console_test: SKIPPED: $1"
}

has_unit_only=no
for argument in "$@"; do
    case "$argument" in
        --unit) has_unit_only=yes ;;
        --real) export CONSOLE_CLUSTER=real ;;
        --help)
            usage
            exit 0
            ;;
        *)
            echo "console_test: unknown argument $argument" >&2
            usage >&2
            exit 2
            ;;
    esac
done

cd "$(dirname "$0")/../tests/console"

if ! command -v node >/dev/null; then
    skip "all tests of the console: there is no node (Debian: apt-get install nodejs npm)"
    exit 77
fi
if ! node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)'; then
    skip "all tests of the console: node $(node --version) is too old, 20 is needed"
    exit 77
fi

echo "console_test: the modules"
node --test --test-timeout=60000 --test-reporter=dot unit/
echo "console_test: the interface"
node --test --test-timeout=60000 --test-reporter=dot contract.test.mjs

if [[ $has_unit_only == yes ]]; then
    skip "the browser tests: --unit was given"
    exit 0
fi
browser=$(node -e 'import("./browser.mjs").then((it) => console.log(it.findBrowser() ?? ""))')
if [[ -z $browser ]]; then
    skip "the browser tests: there is no browser (Debian: apt-get install chromium)"
    exit 77
fi
if [[ ! -d node_modules/playwright-core ]] && ! npm ci --no-audit --no-fund --silent; then
    skip "the browser tests: playwright-core could not be installed (npm ci in tests/console)"
    exit 77
fi

echo "console_test: the page, in $browser"
node --test --test-timeout=120000 --test-concurrency=1 --test-reporter=spec browser/*.test.mjs
