# SPDX-License-Identifier: Apache-2.0
"""Runs programs on both sides, and tells how the answers differ."""
import fnmatch
import itertools
import os
import re
import subprocess
import sys
import threading

HOSTS = 900  # programs in one network; it takes 1,024 hosts


class Sides:
    """The kernel's executor and berth's. May be used from several threads."""

    def __init__(self, build, runtime, v6):
        self.exec = os.path.join(build, 'tests/oracle/oracle-exec')
        self.berth = os.path.join(build, 'cli/berth')
        self.runtime, self.v6 = runtime, v6
        self.files = itertools.count()
        self.here = threading.local()
        self.lock = threading.Lock()
        self.networks = 0

    def environment(self, settle):
        return {'PATH': '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', 'LANG': 'C.UTF-8',
                'BERTH_RUNTIME_DIR': self.runtime, 'ORACLE_SETTLE_US': str(settle)}

    def network(self, programs):
        """A network with room for these, of this thread's own; the number of the first host."""
        here = self.here
        if not hasattr(here, 'name') or here.used + programs > HOSTS:
            self.down()
            with self.lock:
                self.networks += 1
                here.name, here.used = f'oracle-{os.getpid()}-{self.networks}', 0
        first = here.used
        here.used += programs
        return here.name, first

    def down(self):
        if hasattr(self.here, 'name'):
            subprocess.run([self.berth, 'down', '--force', '--network', self.here.name], env=self.environment(0),
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            del self.here.name

    def run(self, programs, settle=300, kernel=True, berth=True):
        """Two lists of transcripts, kernel's and berth's: each a list of (call, result), or None."""
        network, first = self.network(len(programs))
        path = os.path.join(self.runtime, f'programs-{next(self.files)}')
        with open(path, 'w') as f:
            for k, lines in enumerate(programs, first):
                f.write(f'program {k}\n' + ''.join(line + '\n' for line in lines))
        commands = [[self.exec, 'kernel', path],
                    [self.exec, 'berth', path, self.berth, network] + ([] if self.v6 else ['4'])]
        # One batch's output may outgrow a pipe while the other is read, so into files.
        out = []
        for wanted, command in zip((kernel, berth), commands):
            if not wanted:
                out.append(None)
                continue
            f = open(f'{path}.{command[1]}', 'w+', errors='replace')
            out.append((f, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=f, env=self.environment(settle))))
        results = []
        for side in out:
            if side is None:
                results.append([None] * len(programs))
                continue
            f, process = side
            process.wait()
            f.seek(0)
            found = parse(f.read())
            f.close()
            os.unlink(f.name)
            results.append([found.get(k) for k in range(first, first + len(programs))])
        os.unlink(path)
        return results

    def skip_reason(self):
        """Why the kernel's side cannot run here, or None."""
        text = self.run([['0 socket s1 inet stream']], berth=False)[0][0]
        if not text:
            return 'the executor does not run: build first'
        return text[0][0] if text[0][1] == 'skip' else None


def parse(text):
    found, now, k = {}, None, None
    for line in text.splitlines():
        if line.startswith('program '):
            k, now = int(line[8:]), []
        elif line.startswith('end ') and now is not None:
            found[k], now = now, None
        elif now is not None and line.startswith('skip '):
            now.append((line[5:], 'skip'))
        elif now is not None:
            call, _, result = line.partition(' = ')
            now.append((call, result))
    return found


def failed(result):
    return bool(re.match(r'E[A-Z]{3}', result)) or result in ('none', 'nobody', '')


def matches(text, pattern):
    return fnmatch.fnmatchcase(text, pattern.replace('[', '[[]'))


class Differences:
    """The list of intended ones; counts how often each was of use."""

    def __init__(self, path):
        self.entries, self.used = [], {}
        with open(path) as f:
            for number, line in enumerate(f, 1):
                if line.strip() and not line.startswith('#'):
                    fields = [field.strip() for field in line.split('|')]
                    if len(fields) != 5 or not fields[4]:
                        sys.exit(f'{path}:{number}: call | kernel | berth | before | reason')
                    self.entries.append((fields, number))

    def intended(self, i, kernel, berth):
        call = kernel[i][0].partition(' ')[2]
        ours, theirs = kernel[i][1], berth[i][1]
        words = call.split() + ['', '']
        for (want, want_ours, want_theirs, before, _), number in self.entries:
            if (matches(call, want.lstrip('!')) and matches(ours, want_ours) and
                    matches(theirs, want_theirs.replace('{k}', ours)) and
                    all(b.strip() == '*' or self.came_before(b.strip().replace('$s', words[1]), kernel[:i])
                        for b in before.split('&'))):
                self.used[number] = self.used.get(number, 0) + 1
                return 'stop' if want.startswith('!') else 'go on'
        return None

    def unused(self):
        return [' | '.join(fields[:4]) for fields, number in self.entries if number not in self.used]

    @staticmethod
    def came_before(pattern, lines):
        return any(matches(f'{call.partition(" ")[2]} = {result}', pattern) for call, result in lines)


def alike(ours, theirs):
    """The two results without what programs of one kind differ in: names of addresses, ports, data."""
    pair = []
    for result in (ours, theirs):
        result = re.sub(r"^\d+ '[^']*'", "N bytes", result)
        pair.append(re.sub(r'\b(m:)?[a-z]+[46]b?:', r'\1ADDR:', re.sub(r'\b[PE]\d+', 'PORT', result)))
    if pair[0] == pair[1]:
        pair = [re.sub(r'\bE\d+', 'E', result) for result in (ours, theirs)]
    words = [result.split(' ') for result in pair]
    return pair if words[0][0] == words[1][0] else [w[0] if w[1:] and 'ADDR' in w[1] else p for w, p in zip(words, pair)]


def difference(kernel, berth, differences):
    """The first difference that is not intended, as (index, kind), or None; and how many were intended."""
    excused = 0
    if kernel is None or berth is None:
        return (0, ('no answer', 'kernel' if kernel is None else 'berth', '')), 0
    for i, ((call, ours), (_, theirs)) in enumerate(itertools.zip_longest(kernel, berth, fillvalue=('', 'missing'))):
        if ours == 'HANG':  # the kernel's side would wait: nothing to compare
            return None, excused
        if ours == theirs and (i >= len(berth) or berth[i][0] == call):
            continue
        found = i < len(berth) and i < len(kernel) and differences.intended(i, kernel, berth)
        if found:
            excused += 1
            stop = found == 'stop'
            if failed(ours) != failed(theirs) or stop:
                return None, excused
            continue
        words = call.split()
        if i < len(berth) and berth[i][0] == 'HANG':
            theirs = 'HANG'
        what = ' '.join(words[1:2] + (words[3:4] if words[1:2] and words[1].endswith('sockopt') else []))
        return (i, (what, *alike(ours, theirs))), excused
    return None, excused
