# SPDX-License-Identifier: Apache-2.0
"""What the demonstrations share: a story on the terminal, and commands that are really run as shown.

Everything happens in a private directory and a network of its own; whatever was started ends with the
story, also on Ctrl-C.
"""
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time

# demo/story [BUILD]: the directory that berth was built in
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(TOP, 'tools'))
BUILD = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(TOP, 'build')
LIMIT = 30.0
TTY = sys.stdout.isatty()
COLOUR = TTY and 'NO_COLOR' not in os.environ and os.environ.get('TERM') != 'dumb'
BOLD, DIM, GREEN, CYAN = ('1', '2', '32', '36')
WIDTH = min(100, shutil.get_terminal_size((90, 24)).columns)


def paint(text, *codes):
    return f'\033[{";".join(codes)}m{text}\033[0m' if COLOUR else text


class Failed(Exception):
    pass


class Background:
    """A program that goes on while the story does; what it says is shown under its host's name."""

    def __init__(self, story, host, argv, kw, quiet):
        self.host, self.quiet, self.lines = host, quiet, []
        self.more = threading.Condition()
        kw.setdefault('stdout', subprocess.PIPE)
        kw.setdefault('stderr', subprocess.STDOUT)
        kw.setdefault('stdin', subprocess.DEVNULL)
        self.p = subprocess.Popen(argv, text=True, start_new_session=True, **kw)
        self.story = story
        if self.p.stdout:
            threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.p.stdout:
            if not self.quiet:
                self.story.output(line, self.host)
            with self.more:
                self.lines.append(line.rstrip('\n'))
                self.more.notify()
        with self.more:
            self.lines.append(None)
            self.more.notify()

    def wait_for(self, text):
        """Until a line contains text; that line."""
        with self.more:
            end = time.monotonic() + LIMIT
            seen = 0
            while True:
                for line in self.lines[seen:]:
                    if line is None:
                        raise Failed(f'the program in {self.host} ended: ' + '\n'.join(self.lines[:-1]))
                    if text in line:
                        return line
                seen = len(self.lines)
                if not self.more.wait(end - time.monotonic()):
                    raise Failed(f'the program in {self.host} did not say "{text}"')

    def tell(self, text):
        self.p.stdin.write(text)
        self.p.stdin.flush()

    def stop(self, number=signal.SIGTERM):
        """Ends it, gently first; and whatever it had started."""
        for last in (number, signal.SIGKILL):
            try:
                os.killpg(self.p.pid, last)
            except ProcessLookupError:
                pass
            try:
                self.p.wait(5)
                if last == signal.SIGKILL:
                    return
            except subprocess.TimeoutExpired:
                pass


class Story:
    def __init__(self, title, network):
        self.network = network
        self.dir = tempfile.mkdtemp(prefix='berth-demo-')
        os.chmod(self.dir, 0o755)
        self.runtime = os.path.join(self.dir, 'run')
        os.mkdir(self.runtime, 0o700)
        self.at = {}
        self.running = []
        self.lock = threading.Lock()
        self.env = {**os.environ, 'BERTH_RUNTIME_DIR': self.runtime, 'BERTH_NETWORK': network, 'HOME': self.dir,
                    'PATH': f'{BUILD}/cli:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', 'PYTHONUNBUFFERED': '1'}
        self.started = time.monotonic()
        print('\n' + paint(title, BOLD))
        print(paint('=' * len(title), BOLD))

    # --- telling

    def pause(self, seconds=0.7):
        if TTY:
            time.sleep(seconds)

    def step(self, title):
        self.pause(1.0)
        print('\n' + paint(f'--- {title}', BOLD, CYAN), flush=True)

    def say(self, text):
        print(textwrap.fill(' '.join(text.split()), WIDTH), flush=True)

    def prompt(self, command):
        print(paint('$ ', BOLD) + paint(command, BOLD, GREEN), flush=True)

    def output(self, text, label=None):
        head = paint(f'{label:>6} | ', DIM) if label else '  '
        with self.lock:
            for line in text.splitlines():
                print(head + line, flush=True)

    # --- doing

    def run(self, command, shown=None, wants=None, fails=False):
        """Runs a command as typed; its output is shown and returned."""
        self.pause()
        self.prompt(shown or command)
        p = subprocess.run(shlex.split(command), env=self.env, cwd=self.dir, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT)
        lines = p.stdout.splitlines()
        if fails and len(lines) > 3:  # of a traceback, the last line tells
            lines = ['...', lines[-1]]
        self.output('\n'.join(lines))
        if (p.returncode != 0) != fails:
            raise Failed(f'"{command}" ended with status {p.returncode}')
        for text in [wants] if isinstance(wants, str) else wants or []:
            if text not in p.stdout:
                raise Failed(f'"{command}" did not print "{text}"')
        return p.stdout

    def start(self, command, host, until=None, shown=None, quiet=False, **kw):
        """Starts a command that goes on; waits for a line of its output."""
        self.pause()
        self.prompt((shown or command) + ' &')
        kw = {'env': self.env, 'cwd': self.dir, **kw}
        b = Background(self, host, shlex.split(command) if isinstance(command, str) else command, kw, quiet)
        self.running.append(b)
        if until:
            b.wait_for(until)
        return b

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, 'wb') as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        return path

    # --- ending

    def clean(self):
        for b in reversed(self.running):
            b.stop()
        subprocess.run(['berth', 'down', '--force'], env=self.env, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        shutil.rmtree(self.dir, ignore_errors=True)

    def took(self):
        return time.monotonic() - self.started


def who():
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        name = 'an unnamed user'
    return f'{name} (uid {os.geteuid()})'


def tell(title, network, act):
    """Tells a story to its end: act(story); says plainly where it broke off."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    if not os.access(f'{BUILD}/cli/berth', os.X_OK):
        sys.exit(f'{BUILD}/cli/berth is not there: build first (make)')
    story = Story(title, network)
    try:
        act(story)
        status = 0
    except Failed as e:
        print(paint(f'\nThe demonstration broke off: {e}', BOLD), flush=True)
        status = 1
    except subprocess.TimeoutExpired as e:
        print(paint(f'\nThe demonstration broke off: {e}', BOLD), flush=True)
        status = 1
    except KeyboardInterrupt:
        print('\nInterrupted; cleaning up.', flush=True)
        status = 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # cleaning up is brief and goes to its end
        story.clean()
    if status == 0:
        print(f'\nDone in {story.took():.0f} s. All programs have ended and nothing is left behind.')
    return status
