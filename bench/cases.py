# SPDX-License-Identifier: Apache-2.0
"""What is measured. A Case runs once in a Run (world.py) and returns a number for each metric."""

import grp
import os
import pwd
import re
import resource
import signal
import time
from dataclasses import dataclass, field

import tools
from world import BenchError

# what a target compares: (kind, limit); the kinds are in report.py
LOW, HIGH = "lower is better", "higher is better"


@dataclass
class Metric:
    key: str
    label: str
    unit: str
    better: str = LOW
    target: tuple = None
    per: float = 1.0  # the program's number divided by this is in `unit`
    digits: int = 2


@dataclass
class Config:
    bin: str  # directory of the built programs
    cpus: tuple  # one or two CPU numbers
    quick: bool
    berth: str = None

    def n(self, full):
        return full // 10 if self.quick else full


@dataclass
class Case:
    key: str
    how: str  # one sentence for the report
    metrics: list
    measure: object  # (run, cfg, case) -> {metric key: number}
    args: dict = field(default_factory=dict)
    one_cpu: bool = True
    needs: tuple = ()
    max_rounds: int = 99

    def run(self, world, cfg):
        with world.run(cfg.cpus[0] if self.one_cpu else None) as run:
            return self.measure(run, cfg, self)


def values(text):
    return {k: float(v) for k, v in re.findall(r"(\w+)=([0-9.]+)", text)}


def start_pair(run, cfg, case, args, around=((), ())):
    """Starts a program's server, waits until it listens, starts its client."""
    program = os.path.join(cfg.bin, args[0])
    cpus = (cfg.cpus[0], cfg.cpus[0] if case.one_cpu else cfg.cpus[-1])
    where = ["--addr", run.addr]
    server = run.start("server", [program, "server", *where, "--port", str(run.port(5000)),
                                  "--cpu", str(cpus[0]), *args[1:]], around=around[0])
    port = server.wait_for(r"ready (\d+)").group(1)
    client = run.start("client", [program, "client", *where, "--port", port, "--cpu", str(cpus[1]),
                                  *args[1:]], around=around[1], stdin=args[0] == "idle")
    return server, client


def pair(run, cfg, case):
    """A client-server program once; its client's line."""
    n = {k: str(cfg.n(v)) for k, v in case.args.get("scaled", {}).items()}
    args = [*case.args["argv"]] + [w for k, v in n.items() for w in (k, v)]
    server, client = start_pair(run, cfg, case, args)
    out = values(client.wait_end())
    server.wait_end()
    return out


def bind_cost(run, cfg, _case):
    argv = [os.path.join(cfg.bin, "bind_cost"), "--addr", run.addr, "--cpu", str(cfg.cpus[0]),
            "--iters", str(cfg.n(40) + 1), "--conns", "200"]
    return values(run.start("server", argv).wait_end())


def port_cost(run, cfg, _case):
    """The tables alone, in one process; the kernel's cannot be called without its sockets."""
    if not run.is_berth:
        return {}
    argv = [os.path.join(cfg.bin, "port_cost"), *["--quick"] * cfg.quick, "--values"]
    return values(run.start_raw(argv).wait_end())


PORT_RANGE = "net.ipv4.ip_local_port_range"


def many_pair(run, cfg, ports, server_words, client_words, first_port=1):
    """The server of bench/many.c and its client, which starts when every process of it listens."""
    program = os.path.join(cfg.bin, "many")
    where = ["--addr", run.addr, "--port", str(first_port), "--conns", str(ports)]
    server = run.start("server", [program, "server", *where, *server_words])
    held = int(server_words[1]) if len(server_words) > 1 else 0
    processes = held // 15000 + 2 if held else (ports - 1) // 15000 + 1
    server.wait_for(r"(?s)(ready.*){%d}" % processes)
    client = run.start("client", [program, "client", *where, *client_words])
    out = values(client.wait_end())
    server.wait_end()
    return out


def fill(run, cfg, case):
    """connect or bind to port 0 while more and more ports of the client's host are in use."""
    call, ports, (low, high) = (case.args[k] for k in ("call", "ports", "range"))
    run.sysctl("client", PORT_RANGE, f"{low} {high}")
    words = [call, str(low), str(high)]
    if call == "bind":
        argv = [os.path.join(cfg.bin, "many"), "client", "--addr", run.addr, *words]
        if run.is_berth:
            argv[3] = run.hosts["client"][1]
        out = values(run.start("client", argv).wait_end())
    else:
        out = many_pair(run, cfg, ports, ["shared", str(high - low + 1)], words)
    out["flat"] = out["us_999"] / out["us_0"]
    out["fail"] = out["us_1000"] / out["us_0"]
    return out


def look_up(run, cfg, case):
    """The three numbers of sockets in turn, so that their ratio is of one round."""
    run.prepare()
    run.sysctl("client", PORT_RANGE, "61100 65535")
    out = {}
    for n in (1, 1000, 60000):
        words = [case.args["kind"]]
        out[f"us_{n}"] = many_pair(run, cfg, n, words, ["--iters", "2000", *words], 1024)["us"]
    out["flat"] = out["us_60000"] / out["us_1"]
    return out


def redis(run, cfg, _case):
    port = str(run.port(6379))
    server = run.start("server", [
        tools.find("redis-server"), "--port", port, "--bind", run.addr, "--save", "",
        "--appendonly", "no", "--daemonize", "no", "--protected-mode", "no",
        "--dir", run.temp_dir()], cpu=cfg.cpus[0])
    server.wait_for("Ready to accept connections")
    client = run.start("client", [
        tools.find("redis-benchmark"), "-h", run.addr, "-p", port, "-c", "50",
        "-n", str(cfg.n(200000)), "-t", "set,get", "--csv"], cpu=cfg.cpus[-1])
    found = dict(re.findall(r'^"(SET|GET)","([0-9.]+)"', client.wait_end(), re.M))
    if len(found) != 2:
        raise client.error("no figures for SET and GET")
    return {k.lower(): float(v) for k, v in found.items()}


NGINX_CONF = """{user}
daemon off;
worker_processes 1;
pid {dir}/pid;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
	access_log off;
	keepalive_requests 1000000000;
	client_body_temp_path {dir}/body;
	proxy_temp_path {dir}/proxy;
	fastcgi_temp_path {dir}/fastcgi;
	uwsgi_temp_path {dir}/uwsgi;
	scgi_temp_path {dir}/scgi;
	server {{ listen {addr}:{port} backlog=4096; root {dir}/www; }}
}}
"""


def start_nginx(run, cfg, port):
    """As the invoking user, from a directory of its own; the system's nginx is not touched."""
    d = run.temp_dir()
    me = pwd.getpwuid(os.geteuid())
    user = f"user {me.pw_name} {grp.getgrgid(me.pw_gid).gr_name};" if me.pw_uid == 0 else ""
    os.mkdir(f"{d}/www")
    with open(f"{d}/www/f", "w", encoding="ascii") as f:
        f.write("x" * 612)
    with open(f"{d}/conf", "w", encoding="ascii") as f:
        f.write(NGINX_CONF.format(user=user, dir=d, addr=run.addr, port=port))
    server = run.start("server", [tools.find("nginx"), "-p", d, "-c", f"{d}/conf", "-e", "stderr"],
                       cpu=cfg.cpus[0])
    deadline = time.monotonic() + 10
    while not os.path.exists(f"{d}/pid"):  # written once it listens
        if server.reap() or time.monotonic() > deadline:
            raise server.error("did not come up")
        time.sleep(0.005)


def wrk(run, cfg, case):
    port = run.port(8080)
    start_nginx(run, cfg, port)
    client = run.start("client", [
        tools.find("wrk"), "-t1", "-c64", "-d1s" if cfg.quick else "-d" + case.args["time"],
        *case.args["more"], f"http://{run.addr}:{port}/f"], cpu=cfg.cpus[-1])
    text = client.wait_end()
    rate = re.search(r"^Requests/sec:\s+([0-9.]+)", text, re.M)
    bad = re.search(r"^\s*(Socket errors:.*|Non-2xx.*)", text, re.M)
    if bad or not rate:
        raise client.error(bad.group(1) if bad else "no figure")
    return {"rate": float(rate.group(1))}


def status_bytes(pid, *names):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
        found = dict(re.findall(r"^(\w+):\s+(\d+)", f.read(), re.M))
    return sum(int(found[n]) for n in names) * 1024


def meminfo_bytes(name):
    with open("/proc/meminfo", encoding="ascii") as f:
        return int(re.search(rf"^{name}:\s+(\d+)", f.read(), re.M).group(1)) * 1024


def family(pid):
    """The process and its descendants: `berth run` may stay as the program's parent."""
    out = [pid]
    for p in out:
        try:
            with open(f"/proc/{p}/task/{p}/children", encoding="ascii") as f:
                out += [int(c) for c in f.read().split()]
        except OSError:
            continue
    return out


def memory_now(berthd, procs):
    """Waits until the kernel's own figure stands still (it frees lazily), then reads all."""
    last, still = -1, 0
    for _ in range(60):
        slab = meminfo_bytes("Slab")
        still = still + 1 if abs(slab - last) < 65536 else 0
        if still == 5:
            break
        last = slab
        time.sleep(0.1)
    now = {"slab": slab, "available": -meminfo_bytes("MemAvailable")}
    pids = {p for proc in procs for p in family(proc.pid)} - {berthd}
    now["programs"] = sum(status_bytes(p, "RssAnon") for p in pids)
    if berthd:
        now["berthd_own"] = status_bytes(berthd, "RssAnon")
        now["berthd_table"] = status_bytes(berthd, "RssFile", "RssShmem")
    return now


def memory(run, cfg, case):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    n = min(cfg.n(10000) + cfg.quick * 1000, most - 500)
    run.prepare()
    server, client = start_pair(run, cfg, case, ["idle", "--conns", str(n)])
    client.wait_for("ready")
    berthd = run.berthd()
    before = memory_now(berthd, (server, client))
    client.p.stdin.write(b"\n")
    client.wait_for("held")
    after = memory_now(berthd, (server, client))
    out = {k: (after[k] - before[k]) / n for k in after}
    if berthd:
        out["berthd"] = out["berthd_own"] + out["berthd_table"]
    client.p.stdin.close()
    client.p.stdin = None
    client.wait_end()
    server.wait_end()
    return out


def spawn(run, cfg, case):
    """/bin/true, and the same in a berth host, on a network that runs already or starts for it."""
    warm = case.args["warm"]
    # the kernel's side takes part in no network: plain fork, exec, wait
    command = ["/bin/true"]
    iters, network = cfg.n(100 if warm else 10) + 3, run.network if run.is_berth else None
    if run.is_berth:
        if warm:
            run.prepare()
        command = run.prefix("client", network if warm else network + "-@@") + command
    argv = [os.path.join(cfg.bin, "spawn_cost"), "--iters", str(iters),
            "--warmup", "2" if warm else "0", "--cpu", str(cfg.cpus[0]), "--", *command]
    out = values(run.start_raw(argv).wait_end())
    if run.is_berth and not warm:
        for i in range(iters):
            run.world.wait_gone(f"{network}-{i}")
    return out


SYSCALLS = "raw_syscalls:sys_enter"


class Counter:
    """Counts system calls of a command, or of a running process until stop(): perf, else strace."""

    def __init__(self, run):
        self.run, self.files, self.attached = run, [], []
        self.perf = perf_counts_calls(run)
        if not self.perf and not tools.find("strace"):
            raise BenchError("needs perf (as root) or strace: " +
                             tools.apt_line(["perf", "strace"]))

    def words(self):
        path = os.path.join(self.run.temp_dir(), f"calls{len(self.files)}")
        self.files.append(path)
        if self.perf:
            return [tools.find("perf"), "stat", "-x,", "-e", SYSCALLS, "-o", path]
        return [tools.find("strace"), "-f", "-c", "-q", "-o", path]

    def attach(self, pid):
        p = self.run.start_raw([*self.words(), "-p", str(pid)])
        self.attached.append(p)
        time.sleep(0.2)  # neither tool says when it has attached

    def total(self):
        for p in self.attached:
            os.kill(p.pid, signal.SIGINT)
            deadline = time.monotonic() + 5
            while not p.reap() and time.monotonic() < deadline:
                time.sleep(0.01)
        out = 0
        for path in self.files:
            with open(path, encoding="ascii", errors="replace") as f:
                m = re.search(rf"^(\d+),.*{SYSCALLS}" if self.perf else
                              r"^\s*100.00\s+\S+\s+\S+\s+(\d+).* total$", f.read(), re.M)
            if not m:
                raise BenchError(f"no count in the output of {'perf' if self.perf else 'strace'}")
            out += int(m.group(1))
        return out


def perf_counts_calls(run):
    perf = tools.find("perf")
    if not perf:
        return False
    try:
        run.start_raw([perf, "stat", "-e", SYSCALLS, "/bin/true"]).wait_end()
    except BenchError:
        return False
    return True


def switches_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
        return sum(int(n) for n in re.findall(r"ctxt_switches:\s+(\d+)", f.read()))


def calls_once(run, cfg, case, iters):
    """System calls and context switches of a whole run of `iters`: server, client, berthd."""
    argv = [*case.args["argv"], "--warmup", "0", "--iters", str(iters)]
    berthd = run.berthd()
    before = switches_of(berthd) if berthd else 0
    server, client = start_pair(run, cfg, case, argv)
    client.wait_end()
    server.wait_end()
    switches = server.switches + client.switches
    if berthd:
        switches += switches_of(berthd) - before
    counter = Counter(run)
    if berthd:
        counter.attach(berthd)
    server, client = start_pair(run, cfg, case, argv, (counter.words(), counter.words()))
    client.wait_end()
    server.wait_end()
    return counter.total(), switches


def calls(run, cfg, case):
    """From two lengths, so that start and end cancel out."""
    run.prepare()
    short, long = 500, 1500
    a, b = calls_once(run, cfg, case, short), calls_once(run, cfg, case, long)
    return {"calls": (b[0] - a[0]) / (long - short), "switches": (b[1] - a[1]) / (long - short)}


def rtt_cases():
    out = []
    for cpus, where in ((1, "one CPU"), (2, "two CPUs")):
        for epoll in (False, True):
            limit = {(1, False): 0.88, (1, True): 0.82}.get((cpus, epoll), 0.85)
            out.append(Case(
                f"tcp-rtt{'-epoll' * epoll}-{cpus}cpu",
                "64 B there and back on one connection, blocking" +
                (", epoll_wait before each recv" if epoll else ""),
                [Metric("rtt_ns", f"TCP round trip 64 B{', epoll' * epoll}, {where}", "us",
                        target=("ratio<=", limit), per=1000)],
                pair, {"argv": ["tcp_rtt", *["--epoll"] * epoll],
                       "scaled": {"--iters": 60000 // cpus ** 2, "--warmup": 6000}},
                one_cpu=cpus == 1))
    for connected in (False, True):
        out.append(Case(
            "udp-rtt-connected" if connected else "udp-rtt",
            "64 B there and back; " + ("client: connect, send, recv; server: recvfrom, sendto"
                                       if connected else "sendto and recvfrom"),
            [Metric("rtt_ns", f"UDP round trip 64 B{', connected' * connected}, one CPU", "us",
                    target=("ratio<=", 1.1), per=1000)],
            pair, {"argv": ["udp_rtt", *["--connected"] * connected],
                   "scaled": {"--iters": 60000, "--warmup": 6000}}))
    return out


def bulk_cases():
    out = []
    for cpus, where in ((1, "one CPU"), (2, "two CPUs")):
        for kib in (4, 64):
            out.append(Case(
                f"bulk-{kib}k-{cpus}cpu",
                f"one way, writes of {kib} KiB, reads of up to 64 KiB, "
                "TCP_CONGESTION reno asked for by the program",
                [Metric("gb_per_s", f"TCP one way, {kib} KiB writes, {where}", "GB/s", HIGH,
                        ("ratio>=", 1.0) if kib == 64 else None)],
                pair, {"argv": ["tcp_bulk", "--size", str(kib * 1024), "--cc", "reno"],
                       "scaled": {"--ms": 400}}, one_cpu=cpus == 1))
    return out


def connection_cases():
    # together far below the 28,232 ephemeral ports (TIME_WAIT: a minute)
    scaled = {"--iters": 8000, "--warmup": 1000}
    out = []
    for server_closes in (False, True):
        out.append(Case(
            "crr-server-closes" if server_closes else "crr",
            "blocking, one after the other, 64 B each way, the "
            f"{'server' if server_closes else 'client'} closes first",
            [Metric("us", ("the same, the server closes first" if server_closes else
                           "connect, request, response, close"),
                    "us", target=("ratio<=", 0.75))],
            pair, {"argv": ["tcp_crr", *["--server-closes"] * server_closes], "scaled": scaled}))
    for key, conns, request, cpus in (("accept-1", 1, False, 1), ("accept-64", 64, False, 1),
                                      ("crr-64", 64, True, 1), ("crr-64-2cpu", 64, True, 2)):
        what = "connect, request, response, close" if request else "connect, accept, greet, close"
        out.append(Case(
            key, "client and server single-threaded, epoll, non-blocking, "
            f"{conns} connection{'s' * (conns > 1)} in flight: {what}",
            [Metric("per_s", f"{'requests' if request else 'accepts'}, {conns} at once, "
                    f"{'one CPU' if cpus == 1 else 'two CPUs'}", "conn/s", HIGH,
                    ("ratio>=", 1.2) if conns == 64 else None, digits=0)],
            pair, {"argv": ["accept_rate", "--conns", str(conns), *["--request"] * request],
                   "scaled": scaled}, one_cpu=cpus == 1))
    return out


def call_cost_cases():
    return [
        Case("bind", "200 TCP sockets at a time, each call timed over the batch, median batch",
             [Metric("bind_zero_ns", "bind to port 0", "us", target=("abs<=", 10), per=1000),
              Metric("bind_port_ns", "bind to a port", "us", target=("abs<=", 10), per=1000),
              Metric("socket_ns", "socket() before it", "us", per=1000),
              Metric("close_ns", "close() after it", "us", per=1000)], bind_cost),
        Case("connect", "connect() alone, blocking, one CPU, both ends idle otherwise",
             [Metric("us_p50", "connect(), median", "us", target=("abs<=", 9)),
              Metric("us_p99", "connect(), 99th percentile", "us")],
             pair, {"argv": ["connect_cost"], "scaled": {"--iters": 8000, "--warmup": 1000}}),
        Case("port", "the port space alone, in one process, without berthd or sockets; the default "
             "range, one destination",
             [Metric(f"{what}_{fill}", f"{label}, {words}", "ns", digits=0)
              for what, label in (("connect", "port space: connect, disconnect"),
                                  ("bind", "port space: socket, bind to 0, close"))
              for fill, words in (("empty", "no port in use"), ("nearly_full", "99.9 % in use"),
                                  ("full", "refused"))] +
             [Metric("lookup_one", "port space: look-up of the only listener", "ns", digits=0),
              Metric("lookup_many", "port space: look-up of one of 60,000 listeners", "ns",
                     digits=0)], port_cost, max_rounds=3),
    ]


def fill_cases():
    """Each level is a line of the table."""
    out = []
    for call, ports, place in (("connect", 1, "to one destination"),
                               ("connect", 1000, "to 1,000 destinations"),
                               ("bind", 1, "to port 0")):
        for wide, bounds in ((False, (32768, 60999)), (True, (1024, 65535))):
            name = f"fill-{call}{'-1000' * (ports > 1)}{'-wide' * wide}"
            fails = call == "bind" or ports == 1
            metrics = [Metric(f"us_{level}", f"{call} {place}, {level / 10:g} % in use" +
                              (", refused" if fails and level == 1000 else ""), "us",
                              target=("ratio<=", 0.025) if level == 999 and fails else None)
                       for level in (0, 500, 900, 990, 999, 1000)]
            metrics.append(Metric("flat", "  99.9 % against empty", "times", target=("abs<=", 1.3)))
            if fails:
                metrics.append(Metric("fail", "  refused against empty", "times",
                                      target=("abs<=", 1.0)))
            out.append(Case(
                name, f"{call}() {place} while so many of the ports {bounds[0]} to {bounds[1]} are "
                "held by other processes, filled in the order in which Linux gives them away; "
                "median of 100 calls, one CPU", metrics, fill,
                {"call": call, "ports": ports, "range": bounds}, max_rounds=3))
    for kind, call in (("tcp", "connect to one of {} listeners"),
                       ("udp", "sendto to one of {} bound ports")):
        out.append(Case(
            f"fill-lookup-{kind}", "a fresh socket's call to a random one of them; median of 2,000 "
            "calls, one CPU",
            [*(Metric(f"us_{n}", call.format(f"{n:,}"), "us") for n in (1, 1000, 60000)),
             Metric("flat", "  60,000 against one", "times", target=("abs<=", 1.3))],
            look_up, {"kind": kind}, max_rounds=3))
    return out


def program_cases():
    http = ("nginx", "wrk")
    return [
        Case("redis", "redis-benchmark -c 50, no pipelining, server and client on a CPU each, "
             "nothing written to disk",
             [Metric("get", "Redis GET, 50 clients", "req/s", HIGH, ("ratio>=", 1.2), digits=0),
              Metric("set", "Redis SET, 50 clients", "req/s", HIGH, ("ratio>=", 1.2), digits=0)],
             redis, one_cpu=False, needs=("redis-server", "redis-benchmark")),
        Case("wrk", "nginx, one worker, a file of 612 B; wrk -t1 -c64; a CPU each",
             [Metric("rate", "nginx and wrk, keep-alive", "req/s", HIGH, ("ratio>=", 1.25),
                     digits=0)],
             wrk, {"more": [], "time": "2s"}, one_cpu=False, needs=http),
        Case("wrk-close", "the same with Connection: close (the server closes first)",
             [Metric("rate", "nginx and wrk, a connection each", "req/s", HIGH, digits=0)],
             wrk, {"more": ["-H", "Connection: close"], "time": "1s"}, one_cpu=False, needs=http),
    ]


def host_cases():
    out = [
        Case("memory", "10,000 idle connections (2,000 with --quick), both ends together; slab and "
             "MemAvailable of the whole machine, private memory of the programs, berthd's own "
             "memory and the pages of its table",
             [Metric("slab", "kernel memory per connection (slab)", "B", digits=0),
              Metric("available", "MemAvailable taken per connection", "B", digits=0),
              Metric("programs", "memory of the programs per connection", "B", digits=0),
              Metric("berthd", "berthd's memory per connection", "B", target=("abs<=", 400),
                     digits=0),
              Metric("berthd_own", "  of it private", "B", digits=0),
              Metric("berthd_table", "  of it table pages and other maps", "B", digits=0)],
             memory, one_cpu=False, max_rounds=5)]
    for warm in (True, False):
        out.append(Case(
            "start" if warm else "start-cold",
            "/bin/true by posix_spawn to its end, plain and under `berth run`, " +
            ("the network runs already" if warm else "a new network and berthd each time"),
            [Metric("ms_p50", f"start-up of /bin/true{'' if warm else ', new network'}", "ms",
                    target=("diff<=", 10) if warm else None)],
            spawn, {"warm": warm}, one_cpu=False))
    for key, label, argv in (("calls-rtt", "round trip", ["tcp_rtt"]),
                             ("calls-crr", "connection", ["tcp_crr"])):
        out.append(Case(
            key, f"per TCP {label}, client, server and berthd together, one CPU: perf stat "
            "(raw_syscalls) or strace -c for the calls, getrusage for the switches",
            [Metric("calls", f"system calls per {label}", "calls"),
             Metric("switches", f"context switches per {label}", "switches")],
            calls, {"argv": argv}, max_rounds=3))
    return out


def all_cases():
    return (rtt_cases() + bulk_cases() + connection_cases() + call_cost_cases() + fill_cases() +
            program_cases() + host_cases())
