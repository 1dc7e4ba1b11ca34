# SPDX-License-Identifier: Apache-2.0
"""TCP over wires. A good one: two hosts whose bytes travel in packets, against two of the kernel's
network namespaces joined by veth. A bad one: the kernel at both ends, berth at both ends, and one of each. The wire is the
same code (link/pair.c) every time: between two TAP devices for the kernel (bench/tap_pair.c), between two
hosts for berth, between a host and a TAP device for both. Each round has a seed of its own."""

import json
import os

from cases import HIGH, Case, Metric, values
from world import BenchError

WORDS = ["loss", "1%", "delay", "20ms"]
SERVER, CLIENT = "10.7.0.1", "10.7.0.2"
seeds = {"kernel": 0, "berth": 0}


def holder(run):
    """A network namespace for this run: the process that holds it."""
    p = run.start_raw(["unshare", "-n", "sh", "-c", "ip link set lo up && echo ready && exec sleep 1000"])
    p.wait_for("ready")
    return p


def netns(run):
    """Its path."""
    return f"/proc/{holder(run).pid}/ns/net"


def address(run, where, addr):
    script = f"ip address add {addr}/24 dev w0 && ip link set w0 up"
    run.start_raw(["nsenter", f"--net={where}", "sh", "-c", script]).wait_end()


def inside(where, argv):
    return ["nsenter", f"--net={where}", "--", *argv]


def bulk(run, cfg, server, client, congestion=()):
    """MB/s as the receiver counts them."""
    listening = run.start_raw([*server, "iperf3", "-s", "-1", "--forceflush"])
    listening.wait_for("listening")
    text = run.start_raw([*client, "iperf3", "-J", "-c", SERVER, "-t", str(cfg.n(20)), *congestion]).wait_end()
    out = json.loads(text)
    if "error" in out:
        raise BenchError(out["error"])
    listening.wait_end()
    return out["end"]["sum_received"]["bits_per_second"] / 8e6


def kernel_to_kernel(run, cfg, seed):
    ends = netns(run), netns(run)
    program = os.path.join(cfg.bin, "tap_pair")
    run.start_raw([program, "w0", *ends, str(seed), *WORDS]).wait_for("ready")
    address(run, ends[0], SERVER)
    address(run, ends[1], CLIENT)
    # A namespace may not set an algorithm for all; a socket of root's may have any.
    return bulk(run, cfg, inside(ends[0], []), inside(ends[1], []), ("-C", "cubic"))


def pinned(run):
    """What stands in front of a command, where everything is on one CPU."""
    return [] if run.one_cpu is None else ["taskset", "-c", str(run.one_cpu)]


def host(run, name, addr):
    argv = [*pinned(run), run.world.berth, "run", "--network", run.network, "--host", name, "--ip", f"{addr}/24", "--"]
    run.start_raw([*argv, "sh", "-c", "echo ready && exec cat"], stdin=True).wait_for("ready")
    return argv


def link(run, *words):
    run.start_raw([run.world.berth, "link", "set", "--network", run.network, *words]).wait_end()


def berth_to_berth(run, cfg, seed):
    server, client = host(run, f"s{seed}", SERVER), host(run, f"c{seed}", CLIENT)
    link(run, f"s{seed}", f"c{seed}", *WORDS)
    return bulk(run, cfg, server, client)


def with_kernel(run, cfg, seed, sends):
    """The host is the sender, or the receiver, and the kernel the other."""
    run.network += "-k"
    where = netns(run)
    name = f"{'s' if sends else 'r'}{seed}"
    inner = host(run, name, CLIENT if sends else SERVER)
    link(run, name, "tap", "w0", "netns", where, *WORDS)
    address(run, where, SERVER if sends else CLIENT)
    outer = inside(where, [])
    if sends:
        return bulk(run, cfg, outer, inner)
    return bulk(run, cfg, inner, outer, ("-C", "cubic"))


def wire(run, cfg, case):
    if os.geteuid() != 0:
        raise BenchError("needs root: network namespaces and TAP devices")
    kind = "berth" if run.is_berth else "kernel"
    seeds[kind] += 1
    if not run.is_berth:
        return {"bulk": kernel_to_kernel(run, cfg, seeds[kind])}
    if case.args["how"] == "both":
        return {"bulk": berth_to_berth(run, cfg, seeds[kind])}
    return {"bulk": with_kernel(run, cfg, seeds[kind], case.args["how"] == "sends")}


def on_a_good_wire(run, cfg, server, client, case):
    """A program of this folder over it: the line of its client."""
    args = [*case.args["words"], *(f"{k}={cfg.n(v)}" for k, v in case.args["scaled"].items())]
    program = os.path.join(cfg.bin, case.args["program"])
    listening = run.start_raw([*server, program, "server", f"--addr={SERVER}", *args])
    port = listening.wait_for(r"ready (\d+)").group(1)
    out = values(run.start_raw([*client, program, "client", f"--addr={SERVER}", f"--port={port}", *args]).wait_end())
    listening.wait_end()
    return out


def good_wire(run, cfg, case):
    if os.geteuid() != 0:
        raise BenchError("needs root: network namespaces")
    if run.is_berth:
        server, client = host(run, "s", SERVER), host(run, "c", CLIENT)
        link(run, "s", "c", "up")
        return on_a_good_wire(run, cfg, server, client, case)
    ends = [holder(run).pid for _ in range(2)]
    where = [f"/proc/{pid}/ns/net" for pid in ends]
    run.start_raw(inside(where[0], ["ip", "link", "add", "w0", "type", "veth", "peer", "name", "w0", "netns",
                                    str(ends[1])])).wait_end()
    for end, addr in zip(where, (SERVER, CLIENT)):
        address(run, end, addr)
    return on_a_good_wire(run, cfg, inside(where[0], pinned(run)), inside(where[1], pinned(run)), case)


def all_cases():
    how = ("iperf3 for 20 s over a wire that loses 1 % and delays by 20 ms in each direction (link/pair.c), CUBIC, "
           "the receiver's count; ")
    target = ("ratio>=", 1.0)
    good = "two hosts joined by a link that does nothing to packets, against two network namespaces joined by veth, one CPU; "
    return [
        Case("wire-one-way", good + "64 KiB a write",
             [Metric("gb_per_s", "in packets, TCP one way, 64 KiB writes", "GB/s", HIGH, ("ratio>=", 0.7))],
             good_wire, {"program": "tcp_bulk", "words": ["--size=65536", "--cc=reno"], "scaled": {"--ms": 1000}}),
        Case("wire-round-trip", good + "64 bytes there and back",
             [Metric("rtt_ns", "in packets, TCP round trip 64 B", "us", target=("ratio<=", 1.5), per=1000)],
             good_wire, {"program": "tcp_rtt", "words": ["--size=64"], "scaled": {"--iters": 20000}}),
        Case("wire-both", how + "the kernel at both ends, berth at both ends",
             [Metric("bulk", "1 % loss, 40 ms round trip: berth at both ends", "MB/s", HIGH, target)],
             wire, {"how": "both"}, one_cpu=False, needs=("iperf3",)),
        Case("wire-sends", how + "berth sends to the kernel",
             [Metric("bulk", "  berth sends, the kernel receives", "MB/s", HIGH, target)],
             wire, {"how": "sends"}, one_cpu=False, needs=("iperf3",)),
        Case("wire-receives", how + "the kernel sends to berth",
             [Metric("bulk", "  the kernel sends, berth receives", "MB/s", HIGH, target)],
             wire, {"how": "receives"}, one_cpu=False, needs=("iperf3",)),
    ]
