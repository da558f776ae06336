#!/usr/bin/env bash
# Tests the Debian package on this machine: it is built, checked, installed, started as its unit
# says, written to, upgraded, read from and purged.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/package_test.sh [--binary FILE] [--keep FILE] [--help]

Builds the package twice, the second time with a higher version, and installs it on this machine,
which must be a Debian without it: the user coracle and the directories /etc/coracle and
/var/lib/coracle must not be there. In the end all of them are removed. It needs root, dpkg, apt-get,
python3 and cargo-deb (cargo install cargo-deb); lintian and systemd-analyze check the package where
they are there. What cannot run here is left out with a line SKIPPED, and the exit code is 77.

  --binary FILE  package this program instead of a release build
  --keep FILE    keep the package there
  --help         this text
USAGE
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
binary=''
keep=''
skipped=no
unit_pid=''

say() { printf 'package_test: %s\n' "$*"; }
fail() {
    say "FAILED: $*" >&2
    exit 1
}
skip_all() {
    say "SKIPPED: all of it: $*"
    exit 77
}

while [ $# -gt 0 ]; do
    case $1 in
        --binary | --keep)
            [ $# -ge 2 ] || fail "$1 needs a value"
            if [ "$1" = --binary ]; then binary=$2; else keep=$2; fi
            shift
            ;;
        --help)
            usage
            exit 0
            ;;
        *)
            usage >&2
            exit 2
            ;;
    esac
    shift
done

for tool in dpkg apt-get python3 cargo-deb systemd-sysusers; do
    command -v "$tool" >/dev/null || skip_all "there is no $tool"
done
[ "$(id -u)" = 0 ] || skip_all "only root installs packages"
for path in /etc/coracle /etc/default/coracle /var/lib/coracle /run/coracle.env /usr/bin/coracle; do
    [ ! -e $path ] || skip_all "$path is there: this test would remove a real server"
done
! getent passwd coracle >/dev/null || skip_all "the user coracle is there"

dir=$(mktemp -d)
chmod 755 "$dir"

clean_up() {
    if [ -n "$unit_pid" ]; then kill -KILL "$unit_pid" "$(server_pid)" 2>/dev/null || true; fi
    dpkg --purge coracle >/dev/null 2>&1 || true
    rm -rf /var/lib/coracle /run/coracle.env "$dir"
    if getent passwd coracle >/dev/null; then userdel coracle; fi
}
server_pid() { cat "/proc/$unit_pid/task/$unit_pid/children" 2>/dev/null || true; }
trap clean_up EXIT

# --- the package --------------------------------------------------------------------------------

if [ -z "$binary" ]; then
    cargo build --quiet --release --bin coracle --manifest-path "$root/Cargo.toml"
    binary=${CARGO_TARGET_DIR:-$root/target}/release/coracle
fi
release=$dir/target/release
mkdir -p "$release"
cp "$binary" "$release/coracle"
"$root/scripts/package_assets.sh" "$release/coracle" "$release/assets"

version=$("$release/coracle" --version | cut -d ' ' -f 2)
for revision in 1 2; do
    (cd "$root" && CARGO_TARGET_DIR=$dir/target cargo deb --quiet --offline --no-build \
        --no-dbgsym --strip --deb-version "$version-$revision" --output "$dir/coracle_$revision.deb" >/dev/null)
done
if [ -n "$keep" ]; then cp "$dir/coracle_1.deb" "$keep"; fi
say "built two versions of the package, of $(stat -c %s "$dir/coracle_1.deb") bytes each"

if command -v lintian >/dev/null; then
    lintian --allow-root --fail-on error --tag-display-limit 0 "$dir/coracle_1.deb" ||
        fail "lintian finds errors"
    say "lintian finds no error"
else
    say "SKIPPED: there is no lintian"
    skipped=yes
fi

# Prints the files and directories whose names have the name of the package. The index of man pages
# is not the package's.
named_files() {
    find /etc /lib/systemd /usr /var/cache /var/lib /run -xdev -name '*coracle*' \
        -not -path '/var/cache/man/*' -prune -print 2>/dev/null | sort
}
named_files >"$dir/files_before"

install_package() {
    apt-get install --yes --quiet "$dir/coracle_$1.deb" >"$dir/apt.log" 2>&1 ||
        fail "the package cannot be installed: $(cat "$dir/apt.log")"
    [ "$(dpkg-query --show --showformat '${Version}' coracle)" = "$version-$1" ] ||
        fail "version $version-$1 is not installed"
    say "installed $version-$1"
}

# --- the first start ----------------------------------------------------------------------------

install_package 1
unit=$(dpkg --listfiles coracle | grep '/coracle\.service$')
config=/etc/coracle/servers.toml
getent passwd coracle >/dev/null || fail "the user coracle was not made"
conffiles=$(dpkg-query --show --showformat '${Conffiles}\n' coracle | grep -o '/etc/[^ ]*' | sort | xargs)
[ "$conffiles" = "$config /etc/default/coracle" ] ||
    fail "these are the conffiles: $conffiles"
coracle config --config $config >/dev/null
bash -n /usr/share/bash-completion/completions/coracle
grep -q '^#compdef coracle' /usr/share/zsh/vendor-completions/_coracle
grep -q 'complete -c coracle' /usr/share/fish/vendor_completions.d/coracle.fish
for page in coracle coracle-get coracle-member-add; do
    zgrep -q '^\.SH EXAMPLES' "/usr/share/man/man1/$page.1.gz" || fail "$page(1) has no example"
done
say "the settings are valid; man pages and completions are there"

if command -v systemd-analyze >/dev/null; then
    verified=$(systemd-analyze verify --man=no "$unit" 2>&1) || fail "the unit: $verified"
    ! grep coracle <<<"$verified" || fail "systemd-analyze complains of the unit"
    say "systemd-analyze finds no fault with the unit; $(systemd-analyze security --offline=yes \
        --no-pager "$unit" | grep -o 'Overall exposure level.*')"
else
    say "SKIPPED: there is no systemd-analyze"
    skipped=yes
fi

# Ports that nobody has, in the file of the administrator: an upgrade has to leave it alone.
python3 - $config <<'PYTHON'
import re, socket, sys

listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
text = open(sys.argv[1]).read()
for key, listener in zip(["client_port", "log_port", "http_port"], listeners):
    text = re.sub(rf"(?m)^{key} = \d+", f"{key} = {listener.getsockname()[1]}", text, count=1)
open(sys.argv[1], "w").write(text)
PYTHON
edited=$(sha256sum $config)

# Starts the server as the unit says; $1 is the message that is waited for, or `end`.
start() {
    local looks=0
    : >"$dir/notify.log"
    python3 "$root/scripts/lib/run_unit.py" "$unit" >"$dir/notify.log" 2>"$dir/server.log" &
    unit_pid=$!
    until grep -q "$1" "$dir/notify.log"; do
        if ! kill -0 "$unit_pid" 2>/dev/null; then
            [ "$1" = end ] && return
            fail "the server has ended: $(cat "$dir/server.log")"
        fi
        looks=$((looks + 1))
        [ $looks -lt 600 ] || fail "waited in vain for $1: $(cat "$dir/server.log")"
        sleep 0.1
    done
}
stop() {
    kill -TERM "$unit_pid"
    wait "$unit_pid" || fail "the server ended with $?: $(cat "$dir/server.log")"
    unit_pid=''
    grep -q '^STOPPING=1' "$dir/notify.log" || fail "the server did not say that it stops"
}

start end
code=0
wait "$unit_pid" || code=$?
unit_pid=''
[ $code = 1 ] || fail "a server without data began by itself, or ended with $code"
grep -q -- --new-cluster "$dir/server.log" || fail "it does not say what to do: $(cat "$dir/server.log")"
say "a server without data does not begin a cluster by itself, and says what to do"

# Systemd is not asked to start it: it may not run here.
if command -v systemctl >/dev/null; then systemctl --quiet enable coracle; fi
echo CORACLE_OPTIONS=--new-cluster >/run/coracle.env
start READY=1
rm /run/coracle.env
[ "$(stat -c %U "/proc/$(server_pid | tr -d ' ')")" = coracle ] || fail "it does not run as coracle"
coracle set --config $config greeting hello >/dev/null
say "started as the unit says, was ready, and took a write"

# --- upgrade and purge --------------------------------------------------------------------------

install_package 2
[ "$(sha256sum $config)" = "$edited" ] || fail "the upgrade has changed $config"
[ "$(coracle get --config $config greeting)" = hello ] || fail "the server does not go on"
# Systemd would start it anew now.
stop
start READY=1
[ "$(coracle get --config $config greeting)" = hello ] || fail "the write is gone"
stop
say "the upgrade left the settings and the data as they were"

[ "$(stat -c '%U %a' /var/lib/coracle)" = 'coracle 750' ] || fail "others can read the data"
dpkg --remove coracle >"$dir/dpkg.log" 2>&1
[ "$(sha256sum $config)" = "$edited" ] || fail "removal has touched $config"
dpkg --purge coracle >"$dir/dpkg.log" 2>&1
grep -q 'the data is kept in /var/lib/coracle' "$dir/dpkg.log" || fail "purge does not say what stays"
left=$(comm -13 "$dir/files_before" <(named_files))
[ "$left" = /var/lib/coracle ] || fail "this is left: $left"
[ -d /var/lib/coracle/1/log ] || fail "purge has removed the data"
say "purge left nothing but the data and the user"

[ $skipped = no ] || exit 77
say "passed"
