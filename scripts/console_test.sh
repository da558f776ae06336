#!/bin/sh
# Tests the console: its modules and the mock of its interface with Node alone, and the page in a
# real browser where there is one. It says what it leaves out, and why.
#
#   scripts/console_test.sh            all that can run here
#   scripts/console_test.sh --unit     without a browser
#
# Needs node 20.19 or newer. The browser is Debian's package chromium, or the one that
# CONSOLE_BROWSER names; it is driven by playwright-core, which is installed by `npm ci` from
# tests/console/package-lock.json when it is not there yet.
set -eu

cd "$(dirname "$0")/../tests/console"

skip() {
    echo "console_test: SKIPPED: $1"
}

if ! command -v node >/dev/null 2>&1; then
    skip "all tests of the console: there is no node (Debian: apt-get install nodejs npm)"
    exit 0
fi
if ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)'; then
    skip "all tests of the console: node $(node --version) is too old, 20 is needed"
    exit 0
fi

echo "console_test: modules"
node --test --test-timeout=60000 --test-reporter=dot unit/
echo "console_test: interface"
node --test --test-timeout=60000 --test-reporter=dot contract.test.mjs

if [ "${1:-}" = "--unit" ]; then
    skip "the browser tests: --unit was given"
    exit 0
fi
browser=$(node -e 'import("./browser.mjs").then((it) => console.log(it.findBrowser() ?? ""))')
if [ -z "$browser" ]; then
    skip "the browser tests: there is no browser (Debian: apt-get install chromium)"
    exit 0
fi
if [ ! -d node_modules/playwright-core ] && ! npm ci --no-audit --no-fund --silent; then
    skip "the browser tests: playwright-core could not be installed (npm ci in tests/console)"
    exit 0
fi

echo "console_test: browser $browser"
node --test --test-timeout=120000 --test-concurrency=1 --test-reporter=spec browser/*.test.mjs
