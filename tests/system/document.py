# SPDX-License-Identifier: Apache-2.0
"""Reads a document, does what it tells the reader to do, and compares what comes with what it shows.

What is done, in the order of the document:

    ```console          each line after "$ " is typed into one and the same shell (a line that ends in a
                        backslash goes on in the next), those after "# " into a shell of root's; the lines that
                        follow are what the reader shall see
    ```LANGUAGE NAME    the block is the file NAME in the shell's directory
    ```text             nothing: a picture

What is compared: every line, each blank that separates words standing for any number of them. A line "..." stands
for any lines, "..." in a line for anything. What differs from run to run is told ahead in comments, which
readers do not see:

    <!-- ids: 4711 ada -->      the number 4711, or the word ada, stands for another one, which is the same
                                wherever it comes again, also in what is typed
    <!-- varies: 0.53 -->       the same, and another one each time
    <!-- needs: PROGRAM -->     without it the document is skipped
    <!-- not run: REASON -->    the next block is not run

A command that fails without a word fails the document. So does one after which a program is left running.
"""
import fcntl
import glob
import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections import namedtuple

LIMIT = 30.0  # seconds that a command may take: hang detection only
MOST = 100_000  # characters that a reader might bear to see
QUIET = 3  # so many looks in a row at which every program sleeps: what was begun has begun
LOOK = 0.02
PATIENCE = 3.0  # for programs that never sleep
FENCE = re.compile(r'^```(\S*)(?: +(\S+))?$')
COMMENT = re.compile(r'^<!-- (ids|varies|needs|not run): (.*) -->$')

Command = namedtuple('Command', 'line root text shown')
File = namedtuple('File', 'line name text')
Need = namedtuple('Need', 'line program')
NotRun = namedtuple('NotRun', 'line reason')
Process = namedtuple('Process', 'name state parent session')


class Wrong(Exception):
    """The document says one thing, the programs another; or it is not written as it should be."""


class Lacking(Exception):
    """The rest cannot be followed here; the reason is told."""


class Document:
    """steps: what is to be done; ids, varies: the words that stand for others."""

    def __init__(self, text):
        self.steps, self.ids, self.varies = [], set(), set()
        lines = text.split('\n')
        at, excuse = 0, None
        while at < len(lines):
            comment, fence = COMMENT.match(lines[at]), FENCE.match(lines[at])
            at += 1
            if lines[at - 1].startswith('<!--') and not comment:
                raise Wrong(f'line {at}: no such comment')
            if comment:
                kind, rest = comment.groups()
                if kind == 'needs':
                    self.steps.append(Need(at, rest))
                elif kind == 'not run':
                    excuse = NotRun(at, rest)
                else:
                    getattr(self, kind).update(rest.split())
            elif fence:
                begin = at
                while at < len(lines) and lines[at] != '```':
                    at += 1
                if at == len(lines):
                    raise Wrong(f'line {begin}: the block does not end')
                self._block(fence, begin, lines[begin:at], excuse)
                excuse = None
                at += 1
        if excuse:
            raise Wrong(f'line {excuse.line}: no block follows')

    def _block(self, fence, line, body, excuse):
        language, name = fence.groups()
        if excuse:
            self.steps.append(excuse)
        elif name:
            self.steps.append(File(line, name, ''.join(row + '\n' for row in body)))
        elif language == 'console':
            self.steps += commands(line, body)
        elif language != 'text':
            raise Wrong(f'line {line}: a block "{language}" is neither run nor a file')


def commands(line, body):
    """The commands of a block, each with what is shown after it."""
    found, at = [], 0
    while at < len(body):
        if body[at][:2] not in ('$ ', '# '):
            raise Wrong(f'line {line + at + 1}: output without a command')
        begin, text = at, body[at][2:]
        while text.endswith('\\') and at + 1 < len(body):
            at += 1
            text += '\n' + body[at]
        at += 1
        shown = []
        while at < len(body) and body[at][:2] not in ('$ ', '# '):
            shown.append(body[at])
            at += 1
        found.append(Command(line + begin + 1, body[begin][0] == '#', text, trimmed(shown)))
    return found


def trimmed(rows):
    """Without what nobody sees: blanks at the ends of lines, empty lines at the end."""
    rows = [row.rstrip() for row in rows]
    while rows and not rows[-1]:
        rows.pop()
    return rows


# --- comparing

def words_of(document):
    """Finds the words that stand for others, not as parts of longer words or numbers."""
    words = sorted(document.ids | document.varies, key=len, reverse=True)
    if not words:
        return re.compile(r'(?!)')
    return re.compile('|'.join(bounded(word[0].isdigit(), word[-1].isdigit(), re.escape(word)) for word in words))


def bounded(number_first, number_last, pattern):
    return (r'(?<!\d)' if number_first else r'(?<!\w)') + pattern + (r'(?!\d)' if number_last else r'(?!\w)')


def shape(word):
    """A pattern for what a word stands for: other numbers in the places of its numbers, or another name."""
    if not re.search(r'\d', word):
        return r'(?<!\w)[\w-]+'
    pieces = re.split(r'(\d+(?:\.\d+)?)', word)
    return bounded(word[0].isdigit(), word[-1].isdigit(), ''.join(
        r'\d+(?:\.\d+)?' if i % 2 else re.escape(piece) for i, piece in enumerate(pieces)))


class Judge:
    """Compares line by line, and keeps what the ids stand for."""

    def __init__(self, document):
        self.document, self.known = document, {}
        self.words = words_of(document)

    def typed(self, text):
        """A command with what its ids stand for."""
        unknown = {m.group() for m in self.words.finditer(text)} & self.document.ids - set(self.known)
        if unknown:
            raise Wrong(f'typed before any output told what it is: {unknown}')
        return self.words.sub(lambda m: self.known.get(m.group(), m.group()), text)

    def alike(self, shown, got):
        """Whether output is what is shown; ids that it tells are then known."""
        known = self._rows(shown, trimmed(got), self.known)
        if known is not None:
            self.known = known
        return known is not None

    def _rows(self, shown, got, known):
        """What the ids stand for once all these lines have matched, None when they do not."""
        if not shown:
            return known if not got else None
        if shown[0] == '...':
            for left in range(len(got) + 1):
                found = self._rows(shown[1:], got[left:], known)
                if found is not None:
                    return found
            return None
        if not got:
            return None
        told = self._row(shown[0], got[0], known)
        return None if told is None else self._rows(shown[1:], got[1:], told)

    def _row(self, shown, got, known):
        pattern, names, at = '', {}, 0
        for word in self.words.finditer(shown):
            pattern += plain(shown[at:word.start()])
            at = word.end()
            text = word.group()
            if text in self.document.varies:
                pattern += shape(text)
            elif text in known:
                pattern += re.escape(known[text])
            elif text in names:
                pattern += f'(?P={names[text]})'
            else:
                names[text] = f'id{len(names)}'
                pattern += f'(?P<{names[text]}>{shape(text)})'
        match = re.fullmatch(pattern + plain(shown[at:]), got)
        return match and {**known, **{text: match.group(name) for text, name in names.items()}}


def plain(text):
    """A pattern for text. ss leaves no blank between two of its headings when the columns are full."""
    pattern = ''
    for piece in re.split(r'(\s+|\.\.\.)', text):
        if piece == '...':
            pattern += '.*'
        elif piece.isspace():
            pattern += r'(?:\s+|(?<=[a-z])(?=[A-Z]))'
        else:
            pattern += re.escape(piece)
    return pattern


# --- doing

class Shell:
    """One bash that is told commands one after the other, as at a terminal; it is given no standard input."""

    def __init__(self, prefix, directory, env):
        take, self.tell = os.pipe()
        self.hear, answer = os.pipe()
        self.out, out = os.pipe()
        theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD, 40) for fd in (take, answer)]  # no document uses such numbers
        loop = ('while IFS= read -r -d "" -u {0} line; do eval "$line" </dev/null {0}<&- {1}>&-; '
                'printf "%s " $? >&{1}; done').format(*theirs)
        self.p = subprocess.Popen([*prefix, 'bash', '--norc', '-c', loop], cwd=directory, env=env, stdout=out,
                                  stderr=out, stdin=subprocess.DEVNULL, pass_fds=theirs, start_new_session=True)
        for fd in (take, answer, out, *theirs):
            os.close(fd)

    def run(self, text):
        """What a command has printed by the time that all is quiet, as lines; its status."""
        os.write(self.tell, text.encode() + b'\0')
        output, end, ready = bytearray(), time.monotonic() + LIMIT, []
        while self.hear not in ready:
            ready = select.select([self.out, self.hear], [], [], max(0, end - time.monotonic()))[0]
            if not ready or len(output) > MOST:
                raise Wrong(f'{text}: does not end; so far: ' + output[:MOST].decode(errors='replace'))
            if self.out in ready:
                self._read(output)
        status = os.read(self.hear, 10)
        if not status:
            raise Wrong(f'{text}: the shell has ended')
        settle()
        while select.select([self.out], [], [], 0)[0] and self._read(output):
            pass
        return output.decode(errors='replace').split('\n'), int(status)

    def _read(self, output):
        piece = os.read(self.out, 65536)
        output += piece
        return piece

    def left(self):
        """The programs that were started here and still run: {pid: name}."""
        return {pid: p.name for pid, p in processes().items() if p.session == self.p.pid != pid and p.state != 'Z'}

    def end(self):
        for pid in self.left():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.p.kill()
        self.p.wait()
        for fd in (self.tell, self.hear, self.out):
            os.close(fd)


def processes():
    """Every process of the machine: {pid: Process}."""
    found = {}
    for path in glob.glob('/proc/[0-9]*/stat'):
        try:
            with open(path) as f:
                text = f.read()
        except OSError:
            continue
        rest = text[text.rindex(')') + 2:].split()
        found[int(text.split(' ', 1)[0])] = Process(text[text.index('(') + 1:text.rindex(')')], rest[0],
                                                    int(rest[1]), int(rest[3]))
    return found


def settle():
    """Until all that came of this test sleeps: a reader, too, takes a moment for the next line."""
    quiet, end = 0, time.monotonic() + PATIENCE
    while quiet < QUIET and time.monotonic() < end:
        time.sleep(LOOK)
        all_of_them = processes()
        ours = {os.getppid()} if os.environ.get('BERTH_TEST_AS') else {os.getpid()}  # berthd is the supervisor's
        grew = True
        while grew:
            more = {pid for pid, p in all_of_them.items() if p.parent in ours} - ours
            ours |= more
            grew = bool(more)
        busy = any(all_of_them[pid].state not in 'SZ' for pid in ours - {os.getpid()} if pid in all_of_them)
        quiet = 0 if busy else quiet + 1


def follow(document, shell, root_shell, directory):
    """Does what the document says, in shells that begin in `directory`; without a root_shell, up to what needs root."""
    judge = Judge(document)
    for step in document.steps:
        if isinstance(step, Need) and not shutil.which(step.program):
            raise Lacking(f'{step.program} is not installed (tools/install-deps check)')
        if isinstance(step, File):
            with open(os.path.join(directory, step.name), 'w') as f:
                f.write(step.text)
        elif isinstance(step, Command):
            if step.root and not root_shell:
                raise Lacking(f'right up to line {step.line}, which needs root in a network namespace')
            obey(judge, step, root_shell if step.root else shell)
    left = {**shell.left(), **(root_shell.left() if root_shell else {})}
    if left:
        raise Wrong(f'left running at the end: {left}')


def obey(judge, step, shell):
    typed = judge.typed(step.text)
    got, status = shell.run(typed)
    if not judge.alike(step.shown, got):
        raise Wrong('\n'.join([f'line {step.line}: {typed}', 'the document shows', *(f'    {row}' for row in step.shown),
                               f'there came, with status {status},', *(f'    {row}' for row in trimmed(got)),
                               f'ids: {judge.known}']))
    if status and not trimmed(got):
        raise Wrong(f'line {step.line}: {typed}: failed without a word, with status {status}')
