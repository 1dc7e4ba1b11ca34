# SPDX-License-Identifier: Apache-2.0
"""Makes a program that differs as short as it can be while it differs in the same way."""
import re

from sides import difference

SETTLE = 3000


def holds(sides, programs, kind, differences):
    """For each program: does it differ in this way?"""
    kernel, berth = sides.run(programs, settle=SETTLE)
    found = []
    for k, b in zip(kernel, berth):
        at, _ = difference(k, b, differences)
        found.append(at is not None and at[1] == kind)
    return found


def without(lines, drop):
    return [line for i, line in enumerate(lines) if i not in drop]


def simpler(lines):
    """Variants of equal length, or with what a line may lack."""
    for i, line in enumerate(lines):
        for pattern, new in ((r' nonblock$', ''), (r' peek$', ''), (r'^[1-9] ', '0 '), (r' (dup|accept) ', None),
                             (r' (a4|b4|lo4b) ', ' lo4 '), (r' a6 ', ' lo6 '), (r' P[0-9]', ' P3'), (r' inet6 ', ' inet ')):
            if new is not None and re.search(pattern, line):
                yield lines[:i] + [re.sub(pattern, new, line)] + lines[i + 1:]
    for proc in '123':
        if any(line.startswith(proc) for line in lines):
            yield [re.sub('^' + proc, '0', line) for line in lines if not line.endswith(f'fork {proc}')]


def shrink(sides, lines, kind, differences):
    size = max(1, len(lines) // 2)
    while True:
        chunks = [set(range(i, min(i + size, len(lines)))) for i in range(0, len(lines), size)]
        good = [c for c, ok in zip(chunks, holds(sides, [without(lines, c) for c in chunks], kind, differences)) if ok]
        if not good:
            if size == 1:
                break
            size = max(1, size // 2)
            continue
        unions = [set().union(*good[:n]) for n in range(1, len(good) + 1)]
        kept = holds(sides, [without(lines, u) for u in unions], kind, differences)
        best = max((n for n, ok in enumerate(kept) if ok), default=0)
        lines = without(lines, unions[best])
        if size > 1:
            size = max(1, min(size, len(lines) // 2))
    for _ in range(6):
        variants = list(simpler(lines))
        if not variants:
            break
        good = [v for v, ok in zip(variants, holds(sides, variants, kind, differences)) if ok]
        if not good:
            break
        lines = good[-1] if len(good[-1]) < len(lines) else good[0]
    return lines
