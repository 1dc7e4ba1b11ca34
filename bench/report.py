# SPDX-License-Identifier: Apache-2.0
"""Figures to text: the table for the terminal, Markdown and JSON, and the machine in words."""

import os
import platform
import re
import statistics
import time

COLUMNS = ("case", "what", "unit", "kernel", "berth", "ratio", "rounds' ratios", "target", "")
WIDTHS = (18, 41, 8, 10, 10, 7, 15, 14, 6)


def show(value, digits):
    return "-" if value is None else f"{value:,.{digits}f}"


def target_text(metric):
    if not metric.target:
        return ""
    kind, limit = metric.target
    return {"ratio<=": f"ratio <= {limit}", "ratio>=": f"ratio >= {limit}",
            "abs<=": f"<= {limit} {metric.unit}",
            "abs>=": f">= {limit} {metric.unit}", "diff<=": f"<= +{limit} {metric.unit}"}[kind]


def verdict(metric, kernel, berth, ratio):
    if not metric.target or berth is None:
        return ""
    kind, limit = metric.target
    met = {"ratio<=": lambda: ratio is not None and ratio <= limit,
           "ratio>=": lambda: ratio is not None and ratio >= limit,
           "abs<=": lambda: berth <= limit,
           "abs>=": lambda: berth >= limit,
           "diff<=": lambda: kernel is not None and berth - kernel <= limit}[kind]()
    return "ok" if met else "MISSED"


def medians(metric, rounds):
    """rounds: a pair (kernel's, berth's) of dicts each. None where a side has no such figure."""
    sides = []
    for side in (0, 1):
        got = [r[side][metric.key] / metric.per for r in rounds if metric.key in r[side]]
        sides.append(statistics.median(got) if got else None)
    return sides


def row(case, metric, rounds, judge):
    """One metric as a dict for JSON; the text columns come from the same values."""
    kernel, berth = medians(metric, rounds)
    each = [r[1][metric.key] / r[0][metric.key] for r in rounds
            if r[0].get(metric.key, 0) > 0 and metric.key in r[1]]
    ratio = berth / kernel if berth is not None and kernel and kernel > 0 else None
    out = {"case": case.key, "metric": metric.key, "what": metric.label, "unit": metric.unit,
           "better": metric.better, "kernel": kernel, "berth": berth, "ratio": ratio,
           "ratio_min": min(each, default=None), "ratio_max": max(each, default=None),
           "target": target_text(metric),
           "verdict": verdict(metric, kernel, berth, ratio) if judge else ""}
    for side, name in enumerate(("kernel_rounds", "berth_rounds")):
        out[name] = [r[side].get(metric.key) for r in rounds]
        out[name] = [v / metric.per if v is not None else None for v in out[name]]
    out["digits"] = metric.digits
    return out


def cells(r):
    spread = f"{r['ratio_min']:.2f} to {r['ratio_max']:.2f}" if r["ratio_min"] is not None else ""
    return (r["case"], r["what"], r["unit"], show(r["kernel"], r["digits"]),
            show(r["berth"], r["digits"]), show(r["ratio"], 2), spread, r["target"], r["verdict"])


def line(words):
    left = (0, 1, 2, 7, 8)
    return " ".join(w.ljust(n) if i in left else w.rjust(n)
                    for i, (w, n) in enumerate(zip(words, WIDTHS))).rstrip()


def header(second):
    return line(COLUMNS[:4] + (second,) + COLUMNS[5:])


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read().strip()
    except OSError:
        return ""


def machine(cfg, kernel_world, second, rounds):
    """(label, text) pairs."""
    cpu = re.search(r"^(?:model name|Model)\s*:\s*(.*)$", read("/proc/cpuinfo"), re.M)
    memory = re.search(r"^MemTotal:\s+(\d+)", read("/proc/meminfo"), re.M)
    distro = re.search(r'^PRETTY_NAME="?([^"\n]*)', read("/etc/os-release"), re.M)
    virtual = "hypervisor" in read("/proc/cpuinfo")
    gib = f"{int(memory.group(1)) / 2**20:.0f} GiB of memory" if memory else ""
    default = read("/proc/sys/net/ipv4/tcp_congestion_control")
    cc = f"system default {default or 'unknown'}"
    if kernel_world.namespaces:
        cc += f"; {kernel_world.cc} in force in the benchmark's namespaces"
        if kernel_world.wanted_cc not in ("", kernel_world.cc):
            cc += f" ({kernel_world.wanted_cc} was refused)"
    cc += "; reno asked for by the one-way program"
    place = "a network namespace for each run" if kernel_world.namespaces else "the real loopback"
    pins = " and ".join(str(c) for c in cfg.cpus)
    return [
        ("Machine", f"{cpu.group(1) if cpu else platform.machine()}, {os.cpu_count()} CPUs, {gib}"
         f"{', virtual' * virtual}"),
        ("System", f"Linux {platform.release()}, {distro.group(1) if distro else 'unknown'}"),
        ("Congestion control", cc),
        ("Kernel's side", f"127.0.0.1, {place}"),
        ("Method", f"{rounds} rounds, kernel and {second} in turn; medians; CPU {pins}" +
         ("; shortened by --quick" if cfg.quick else "")),
        ("Date and load", time.strftime("%Y-%m-%d %H:%M UTC, ", time.gmtime()) +
         f"load average {read('/proc/loadavg').split(' ')[0]} at the start"),
    ]


KERNEL_HEAD = [
    "# Benchmarks", "",
    "Written by `bench/run --write doc/benchmarks.md` (`make bench` prints the same). The",
    "same unmodified programs run on the kernel's loopback and in berth hosts, in turn.",
    "\"Ratio\" is berth's median over the kernel's; the range beside it is that of single",
    "rounds. For times and bytes less is better, for rates more.", ""]
ENGINE_HEAD = [
    "# The engine alone, against lwIP", "",
    "Written by `bench/run --only engine --write doc/benchmarks-engine.md`; doc/performance.md",
    "explains it. The same work (`bench/engine/cost.c`) is done by berth's engine, through",
    "`berth.h`, and by lwIP 2.1.3, through its raw interface, in turn. \"Ratio\" is berth's median",
    "over lwIP's; the range beside it is that of single rounds. For times and bytes less is",
    "better, for rates more.", ""]


def markdown(facts, second, rows, hows, notes):
    engine = all(key.startswith("engine") for key, _how in hows)
    other = "lwIP" if engine else "kernel"
    facts = [f for f in facts if not engine or f[0] not in ("Congestion control", "Kernel's side")]
    out = ENGINE_HEAD[:] if engine else KERNEL_HEAD[:]
    out += [f"- {label}: {text.replace('kernel', other) if label == 'Method' else text}"
            for label, text in facts]
    out += ["", "| case | what | unit | " + other + " | " + second + " | ratio | range | target | |",
            "| --- | --- | --- | ---: | ---: | ---: | --- | --- | --- |"]
    out += ["| " + " | ".join(cells(r)) + " |" for r in rows]
    if notes:
        out += ["", "Not measured:", ""] + [f"- {n}" for n in notes]
    hows = [(key, how.replace("the kernel's column", "lwIP's column") if engine else how)
            for key, how in hows]
    out += ["", "## How each is measured", ""] + [f"- `{key}`: {how}" for key, how in hows]
    return "\n".join(out) + "\n"
