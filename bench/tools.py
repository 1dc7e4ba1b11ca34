# SPDX-License-Identifier: Apache-2.0
"""Other people's programs that some cases need: where they are, and how to install them."""

import os
import shutil
import subprocess
import sys

PACKAGES = {"redis-server": "redis-server", "redis-benchmark": "redis-tools",
            "nginx": "nginx-light", "wrk": "wrk", "perf": "linux-perf", "strace": "strace",
            "valgrind": "valgrind", "iperf3": "iperf3"}
SERVICES = {"redis-server": "redis-server", "nginx-light": "nginx"}
POLICY = "/usr/sbin/policy-rc.d"


def find(name):
    path = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"
    return shutil.which(name, path=path)


def missing(names):
    return [n for n in names if not find(n)]


def apt_line(names):
    packages = sorted({PACKAGES[n] for n in names})
    return "apt-get install -y --no-install-recommends " + " ".join(packages)


def install(names):
    """Installs what is missing without starting or enabling its services."""
    names = missing(names)
    if not names:
        return
    if os.geteuid() != 0:
        sys.exit("bench/run --install must be root; or run: " + apt_line(names))
    command = apt_line(names).split()
    print("+ " + " ".join(command), file=sys.stderr)
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    with _no_services():
        done = subprocess.run(command, env=env, stdout=sys.stderr, check=False)
    if done.returncode:
        sys.exit("apt-get failed; the cases that need its packages cannot run")
    units = [SERVICES[p] for p in {PACKAGES[n] for n in names} if p in SERVICES]
    if units and find("systemctl"):  # Debian enables them for the next boot
        subprocess.run(["systemctl", "--quiet", "disable", *units], stderr=subprocess.DEVNULL,
                       check=False)


class _no_services:
    """While it lasts, a policy forbids packages to start services; then the old state returns."""

    def __enter__(self):
        self.saved = None
        if os.path.lexists(POLICY):
            self.saved = POLICY + ".before-berth-bench"
            os.rename(POLICY, self.saved)
        with open(POLICY, "w", encoding="ascii") as f:
            f.write("#!/bin/sh\nexit 101\n")
        os.chmod(POLICY, 0o755)

    def __exit__(self, *_exc):
        if self.saved:
            os.rename(self.saved, POLICY)
        else:
            os.unlink(POLICY)
