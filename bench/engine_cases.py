# SPDX-License-Identifier: Apache-2.0
"""The engine alone against lwIP, in one process each: bench/engine/cost.c with either stack. In the
table lwIP's figures stand in the kernel's column. doc/benchmarks-engine.md explains them."""

import os
import re
import subprocess

import tools
from cases import HIGH, Case, Metric, values
from world import BenchError

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "engine")


def program(run, cfg, large=False):
    where = os.path.join(cfg.bin, "engine")
    if run.is_berth:
        return os.path.join(where, "engine_berth")
    built = subprocess.run([os.path.join(HERE, "build-lwip"), where], capture_output=True,
                           text=True, check=False)
    if built.returncode != 0:
        raise BenchError("lwIP: " + (built.stderr.strip().splitlines() or ["not built"])[-1])
    return os.path.join(where, "engine_lwip" + "_large" * large)


def words_of(cfg, case, iters=None):
    out = [*case.args["words"], "--cpu", str(cfg.cpus[0])]
    if iters or "iters" in case.args:
        out += ["--iters", str(iters or cfg.n(case.args["iters"]))]
    return out


def cost(run, cfg, case):
    if case.args.get("berth_only") and not run.is_berth:
        return {}
    argv = [program(run, cfg, "--large" in case.args["words"]), *words_of(cfg, case)]
    return values(run.start_raw(argv).wait_end())


def look_up(run, cfg, case):
    """The engine's way of a packet and bare look-ups of the same keys, in the same round."""
    if not run.is_berth:
        return {}
    out = cost(run, cfg, case)
    where = os.path.join(cfg.bin, "engine", "engine_lookup")
    words = [str(w) for w in (case.args["others"], cfg.n(1000000), cfg.cpus[0])]
    out.update(values(run.start_raw([where, *words]).wait_end()))
    out["over"] = out["port_ns"] / out["bare_ns"]
    out["batch_over"] = out["port_batch_ns"] / out["bare_batch_ns"]
    return out


def instructions(run, cfg, case):
    """From two lengths, so that start and end cancel out."""
    counts = []
    short, long = case.args["lengths"]
    for n in (short, long):
        argv = [tools.find("valgrind"), "--tool=cachegrind", "--cache-sim=no",
                "--cachegrind-out-file=/dev/null", "--log-fd=1", program(run, cfg),
                *words_of(cfg, case, n)]
        found = re.search(r"I\s+refs:\s+([0-9,]+)", run.start_raw(argv).wait_end())
        if not found:
            raise BenchError("valgrind gave no count")
        counts.append(int(found.group(1).replace(",", "")))
    return {"instructions": (counts[1] - counts[0]) / (long - short)}


def segment_cases():
    how = ("one connection within one process, both ends, ACKs in, one copy by the wire, nothing "
           "copied to or from the program; lwIP 2.1.3 in the kernel's column; ")
    out = []
    for key, words, text, aim in (
            ("engine-segment", [], "without TCP checksums", 1.0),
            ("engine-segment-sum", ["--checksums"], "with checksums by software", 0.35)):
        out.append(Case(key, how + "payload of 1,460 B, " + text,
                        [Metric("ns", f"a segment, both ends, {text.replace(' by software', '')}",
                                "ns", target=("ratio<=", aim), digits=0)],
                        cost, {"words": ["segment", *words], "iters": 2000000}))
        out.append(Case(key + "-instr", "the same under valgrind, two lengths, their difference",
                        [Metric("instructions", "  instructions of it", "instr.", digits=0)],
                        instructions, {"words": ["segment", *words], "lengths": (20000, 60000)},
                        needs=("valgrind",), max_rounds=1))
    out.append(Case("engine-64k", how + "segments of 64 KiB (berth: TSO on the wire; lwIP: MTU "
                    "65,535), without checksums",
                    [Metric("gb_per_s", "one way, segments of 64 KiB", "GB/s", HIGH,
                            ("abs>=", 10))],
                    cost, {"words": ["segment", "--large"], "iters": 100000}))
    return out


def connection_cases():
    out = []
    for others, berth_only in ((0, False), (1000, False), (100000, True), (1000000, True)):
        out.append(Case(
            f"engine-connect-{others}", f"connect, accept, reset by the client, {others:,} other "
            "connections established; lwIP 2.1.3 in the kernel's column",
            [Metric("ns", f"connect and reset, both ends, {others:,} others", "ns", digits=0,
                    target=None if berth_only else ("ratio<=", 1.0))],
            cost, {"words": ["connect", "--others", str(others)], "berth_only": berth_only,
                   "iters": 200000 if others != 1000 else 20000}, max_rounds=3))
    for others, lwip_iters in ((1, 1000000), (1000, 100000), (10000, 5000)):
        out.append(Case(
            f"engine-demux-{others}", "a segment without data for a random one of so many "
            "connections, taken in; lwIP 2.1.3 in the kernel's column",
            [Metric("ns", f"segment to any of {others:,} connections", "ns", digits=0)],
            cost, {"words": ["demux", "--others", str(others)], "iters": lwip_iters},
            max_rounds=3))
    others = 1000000
    out.append(Case(
        f"engine-demux-{others}", "a segment without data for a random one of 1,000,000 "
        "connections, taken in singly and 16 at a time; beside it look-ups of the same keys in the "
        "port space and in a bare table of hashes (bench/engine/lookup.c)",
        [Metric("ns", "segment to any of 1,000,000 connections", "ns", digits=0),
         Metric("batch_ns", "  16 at a time", "ns", digits=0),
         Metric("port_ns", "port space: look-up of the same", "ns", digits=0),
         Metric("port_batch_ns", "  16 at a time", "ns", digits=0),
         Metric("bare_ns", "bare table: look-up of the same", "ns", digits=0),
         Metric("bare_batch_ns", "  16 at a time", "ns", digits=0),
         Metric("over", "port space against bare table", "times", target=("abs<=", 1.3)),
         Metric("batch_over", "  16 at a time", "times", target=("abs<=", 1.3))],
        look_up, {"words": ["demux", "--others", str(others)], "others": others,
                  "iters": 1000000}, max_rounds=3))
    for others, text in ((100000, ""), (1000000, ", of 1,000,000")):
        out.append(Case(
            f"engine-memory-{others}", f"bytes in use by {others:,} established connections of a "
            "listener, one end, no data; lwIP (its pcb alone) in the kernel's column",
            [Metric("bytes", f"memory of an idle connection, one end{text}", "B", digits=0,
                    target=("abs<=", 512))],
            cost, {"words": ["memory", "--others", str(others)], "berth_only": others > 100000},
            max_rounds=3))
    return out


def all_cases():
    return segment_cases() + connection_cases()
