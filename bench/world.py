# SPDX-License-Identifier: Apache-2.0
"""Where a benchmark's programs run: on the kernel's loopback or in berth hosts.

A World makes Runs. A Run is one round of one case: a fresh place (a network namespace of its own,
or a berth network of its own), the processes started in it, and their end. Leaving a Run's `with`
block ends every process that it started, by its process id, whatever happened inside.
"""

import fcntl
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

TIMEOUT_S = 60  # of one process or one awaited line


class BenchError(Exception):
    """A case could not be run; its text is for the reader of the table."""


class Process:
    """A child in a session of its own; its output in a pipe, its errors kept for messages."""

    def __init__(self, argv, env, name, stdin=False):
        self.name = name  # of the program itself, whatever stands in front of it
        self.err = tempfile.TemporaryFile()
        try:
            self.p = subprocess.Popen(
                argv, env=env, start_new_session=True, bufsize=0,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=self.err)
        except OSError as e:
            raise BenchError(f"{argv[0]}: {e.strerror}") from e
        self.pid = self.p.pid
        self.text = ""
        self.switches = None  # context switches of the process and its children, once it has ended

    def _read(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self.p.stdout], [], [], left)[0]:
            raise self.error(f"nothing more within {TIMEOUT_S} s")
        data = os.read(self.p.stdout.fileno(), 65536)
        self.text += data.decode(errors="replace")
        return bool(data)

    def wait_for(self, pattern):
        """Reads standard output until a match; returns it."""
        deadline = time.monotonic() + TIMEOUT_S
        while not (m := re.search(pattern, self.text)):
            if not self._read(deadline):
                raise self.error(f"ended before it said '{pattern}'")
        return m

    def wait_end(self, deadline=None):
        """Reads to the end, waits, checks the exit status, returns what the process wrote."""
        deadline = deadline or time.monotonic() + TIMEOUT_S
        while self._read(deadline):
            pass
        while not self.reap():
            if time.monotonic() > deadline:
                raise self.error(f"did not end within {TIMEOUT_S} s")
            time.sleep(0.001)
        if self.p.returncode:
            raise self.error(f"exit status {self.p.returncode}")
        return self.text

    def reap(self):
        """True once the process has ended; takes its resource usage then."""
        if self.p.returncode is not None:
            return True
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        if not pid:
            return False
        self.p.returncode = os.waitstatus_to_exitcode(status)
        self.switches = usage.ru_nvcsw + usage.ru_nivcsw
        return True

    def error(self, what):
        self.err.seek(0)
        lines = self.err.read().decode(errors="replace").strip().splitlines()
        return BenchError(f"{self.name}: {what}" + (f" ({lines[-1]})" if lines else ""))

    def end(self):
        """Ends the process and what it started in its session: asks, waits a second, insists."""
        for sig, wait_s in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 5.0)):
            if self.reap():
                break
            try:
                os.killpg(self.pid, sig)  # its group is its own: start_new_session
            except ProcessLookupError:
                pass
            deadline = time.monotonic() + wait_s
            while not self.reap() and time.monotonic() < deadline:
                time.sleep(0.002)
        for f in (self.p.stdin, self.p.stdout, self.err):
            if f:
                f.close()


class Run:
    """Base of both kinds. `server` and `client` are roles: on berth, two hosts."""

    is_berth = False
    addr = "127.0.0.1"

    def __init__(self, world, one_cpu):
        self.world = world
        self.one_cpu = one_cpu  # a CPU that everything is pinned to (berthd too), or None
        self.procs = []
        self.dir = None

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        for p in reversed(self.procs):
            p.end()
        if self.dir:
            shutil.rmtree(self.dir, ignore_errors=True)

    def prefix(self, role):
        raise NotImplementedError

    def port(self, wanted):
        return wanted

    def sysctl(self, role, name, value):
        """A setting of the role's host, before anything is started in it."""
        raise NotImplementedError

    def command(self, role, argv, cpu=None):
        outer = ["taskset", "-c", str(self.one_cpu)] if self.one_cpu is not None else []
        inner = ["taskset", "-c", str(cpu)] if cpu is not None and self.one_cpu is None else []
        return outer + self.prefix(role) + inner + argv

    def start(self, role, argv, cpu=None, around=(), stdin=False):
        """Starts a program in the role's host; `around` (perf, strace) goes in front of all."""
        name = f"{role} {os.path.basename(argv[0])}"
        return self.start_raw([*around, *self.command(role, argv, cpu)], stdin, name)

    def start_raw(self, argv, stdin=False, name=None):
        p = Process(argv, self.world.env, name or os.path.basename(argv[0]), stdin)
        self.procs.append(p)
        return p

    def prepare(self):
        """Makes sure that everything shared by the run's programs is up (berthd)."""

    def temp_dir(self):
        if not self.dir:
            self.dir = tempfile.mkdtemp(prefix="berth-bench-")
            os.chmod(self.dir, 0o755)
        return self.dir

    def berthd(self):
        return None


class KernelRun(Run):
    """On loopback: in a network namespace made for this run when root, else on the real one."""

    def __init__(self, world, one_cpu):
        super().__init__(world, one_cpu)
        self.holder = None

    def __enter__(self):
        if self.world.namespaces:
            # a namespace may be refused an algorithm (EPERM for a restricted one): what is then in
            # force is read back, so that the report never names another
            script = ('ip link set lo up || exit 1; f=/proc/sys/net/ipv4/tcp_congestion_control; '
                      '[ -z "$1" ] || echo "$1" >$f; echo "ready $(cat $f)"; exec cat')
            self.holder = self.start_raw(["unshare", "-n", "--", "sh", "-c", script, "sh",
                                          self.world.wanted_cc], stdin=True)
            try:
                self.world.cc = self.holder.wait_for(r"ready (\w+)\n").group(1)
            except BaseException:
                self.__exit__()
                raise
        return self

    def sysctl(self, role, name, value):
        if not self.holder:
            raise BenchError("needs root: settings of the real loopback are not ours to change")
        script = 'echo "$1" >/proc/sys/"$2"'
        self.start(role, ["sh", "-c", script, "sh", value, name.replace(".", "/")]).wait_end()

    def prefix(self, role):
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--"] if self.holder else []

    def port(self, wanted):
        if self.holder:
            return wanted
        with socket.socket() as s:  # the real loopback: `wanted` may be somebody's
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]


class BerthRun(Run):
    """Two hosts of a berth network made for this run."""

    is_berth = True
    addr = "10.1.0.1"
    hosts = {"server": ("a", "10.1.0.1"), "client": ("b", "10.1.0.2"), "keeper": ("k", "10.1.0.3")}

    def __init__(self, world, one_cpu):
        super().__init__(world, one_cpu)
        world.count += 1
        self.network = f"bench-{os.getpid()}-{world.count}"
        self.settings = []  # of the client's host

    def __exit__(self, *exc):
        super().__exit__(*exc)
        self.world.wait_gone(self.network)

    def prefix(self, role, network=None):
        host, ip = self.hosts[role]
        settings = self.settings if role == "client" else []
        return [self.world.berth, "run", "--network", network or self.network, "--host", host,
                "--ip", ip, *settings, "--"]

    def sysctl(self, role, name, value):
        assert role == "client"
        self.settings += ["--sysctl", f"{name}={value}"]

    def prepare(self):
        self.start("keeper", ["sh", "-c", "echo ready && exec cat"], stdin=True).wait_for("ready")

    def berthd(self):
        pid = self.world.berthd_of(self.network)
        if not pid:
            raise BenchError("no berthd holds the network's lock")
        return pid


class KernelWorld:
    def __init__(self, name, wanted_cc, namespaces):
        self.name = name
        self.wanted_cc = wanted_cc
        self.cc = None  # in force in the namespaces, as read back there
        self.env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
        self.namespaces = namespaces and os.geteuid() == 0
        if self.namespaces:
            try:
                with KernelRun(self, None):
                    pass
            except BenchError:
                self.namespaces = False  # no `ip`, or not allowed here

    def run(self, one_cpu=None):
        return KernelRun(self, one_cpu)

    def close(self):
        pass


class BerthWorld:
    name = "berth"

    def __init__(self, berth):
        self.berth = berth
        self.count = 0
        # the table is a mapped file: it belongs in memory, as in the places berth itself prefers
        parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.runtime = tempfile.mkdtemp(prefix="berth-bench-", dir=parent)
        self.env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
        self.env["BERTH_RUNTIME_DIR"] = self.runtime

    def check(self):
        """None if berth works here, else why not."""
        try:
            with self.run() as run:
                run.start("server", ["/bin/true"]).wait_end()
        except BenchError as e:
            return str(e)
        return None

    def run(self, one_cpu=None):
        return BerthRun(self, one_cpu)

    def berthd_of(self, network):
        """The process that has the network's lock file open; networks here are all ours."""
        lock = os.path.join(self.runtime, network, "lock")
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                for fd in os.listdir(f"/proc/{pid}/fd"):
                    if os.readlink(f"/proc/{pid}/fd/{fd}") == lock:
                        return int(pid)
            except OSError:
                continue  # gone, or not ours to look at
        return None

    def _alive(self, network):
        try:
            with open(os.path.join(self.runtime, network, "lock"), "rb") as f:
                fcntl.flock(f, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def wait_gone(self, network):
        """berthd goes with its last user; the next round must not share the machine with it. One
        that stays is told to go: the runtime directory, so the network, is this benchmark's own."""
        deadline = time.monotonic() + 2
        while self._alive(network):
            time.sleep(0.01)
            if time.monotonic() > deadline:
                pid = self.berthd_of(network)
                if not pid:
                    return
                os.kill(pid, signal.SIGKILL if time.monotonic() > deadline + 2 else signal.SIGTERM)
                time.sleep(0.1)

    def close(self):
        for network in os.listdir(self.runtime):
            self.wait_gone(network)
        shutil.rmtree(self.runtime, ignore_errors=True)
