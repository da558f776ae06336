#!/usr/bin/env python3
"""Runs the server of a systemd unit as the unit says, on a machine without systemd.

usage: run_unit.py UNIT

It follows User, Group, UMask, LimitNOFILE, StateDirectory, Environment, EnvironmentFile and
ExecStart, and listens at NOTIFY_SOCKET in place of systemd. Each message of the server is a line on
standard output. SIGTERM is passed on; the exit code is that of the server. The sandbox of the unit
is left out: only systemd itself can make it.
"""

import os
import pwd
import re
import resource
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile


def settings_of(path):
    """The settings of the section [Service]: a list of values for each name, in order."""
    section, settings = None, {}
    with open(path, encoding="utf-8") as lines:
        for line in map(str.strip, lines):
            if line.startswith("["):
                section = line
            elif section == "[Service]" and line and line[0] not in "#;":
                name, value = line.split("=", 1)
                settings.setdefault(name, []).append(value)
    return settings


def environment_of(settings):
    """The variables that the server gets: later ones replace earlier ones."""
    variables = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    assignments = [word for value in settings.get("Environment", []) for word in shlex.split(value)]
    for path in settings.get("EnvironmentFile", []):
        may_be_absent = path.startswith("-")
        path = path.removeprefix("-")
        if may_be_absent and not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as lines:
            assignments += [line.strip() for line in lines if re.match(r"\s*[A-Za-z_]\w*=", line)]
    variables.update(assignment.split("=", 1) for assignment in assignments)
    return variables


def words_of(command, variables):
    """The words of ExecStart: ${NAME} is put in as it is, a word $NAME becomes many or none."""
    words = []
    for word in shlex.split(command):
        if re.fullmatch(r"\$\w+", word):
            words += shlex.split(variables.get(word[1:], ""))
        else:
            words.append(re.sub(r"\$\{(\w+)\}", lambda it: variables.get(it[1], ""), word))
    return words


def limit_open_files(count):
    """Limits the open files of this process, which the server inherits. Root in a container may
    not be allowed more than the container has."""
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
    except (PermissionError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def main(path):
    settings = settings_of(path)
    one = {name: values[-1] for name, values in settings.items()}
    user = pwd.getpwnam(one["User"])
    state = os.path.join("/var/lib", one["StateDirectory"])
    os.makedirs(state, exist_ok=True)
    os.chmod(state, int(one["StateDirectoryMode"], 8))
    os.chown(state, user.pw_uid, user.pw_gid)
    variables = environment_of(settings)
    limit_open_files(int(one["LimitNOFILE"]))

    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o711)
        notify_path = os.path.join(directory, "notify")
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(notify_path)
        os.chmod(notify_path, 0o666)
        variables["NOTIFY_SOCKET"] = notify_path
        variables["WATCHDOG_USEC"] = str(int(one["WatchdogSec"]) * 1_000_000)
        server = subprocess.Popen(
            words_of(one["ExecStart"], variables),
            env=variables,
            cwd="/",
            user=user.pw_uid,
            group=user.pw_gid,
            extra_groups=[],
            umask=int(one["UMask"], 8),
            stdin=subprocess.DEVNULL,
        )
        signal.signal(signal.SIGTERM, lambda *_: server.send_signal(signal.SIGTERM))
        while True:
            readable, _, _ = select.select([notify], [], [], 0.1)
            if readable:
                print(notify.recv(4096).decode().strip(), flush=True)
            elif server.poll() is not None:
                return server.returncode


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
