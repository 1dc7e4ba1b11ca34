# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium that is told what to do over a pair of pipes (the DevTools protocol): as much of it as the
tests of pages and the pictures in doc/ need."""
import base64
import json
import os
import shutil
import subprocess
import tempfile

NAMES = ('chromium-headless-shell', 'chromium')
LIMIT = 60  # seconds for one answer


def find():
    """The program, or None."""
    return next((p for p in map(shutil.which, NAMES) if p), None)


class Browser:
    """With block: a browser that has nothing of the user's and reaches nothing but files."""

    def __init__(self, width=1200, height=900):
        self.size = width, height
        self.number, self.session, self.events = 0, None, []

    def __enter__(self):
        self.home = tempfile.mkdtemp(prefix='browser-')
        ours, theirs = os.pipe(), os.pipe()  # what we write, what it writes

        def fds_3_and_4():
            # Through high numbers, as either may be 3 or 4 already.
            a, b = os.dup(ours[0]), os.dup(theirs[1])
            for low, high in ((20, a), (21, b)):
                os.dup2(high, low)
            os.dup2(20, 3)
            os.dup2(21, 4)
            os.closerange(5, 64)

        argv = [find(), '--headless', '--remote-debugging-pipe', '--no-first-run', '--disable-gpu',
                '--disable-dev-shm-usage', '--disable-extensions', '--hide-scrollbars', '--force-color-profile=srgb',
                '--host-resolver-rules=MAP * ~NOTFOUND', f'--user-data-dir={self.home}', 'about:blank']
        # Its own sandbox takes namespaces, which root and locked-down machines do not give; pages are our own.
        argv.insert(1, '--no-sandbox')
        self.p = subprocess.Popen(argv, preexec_fn=fds_3_and_4, close_fds=False, env={**os.environ, 'HOME': self.home},
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(ours[0])
        os.close(theirs[1])
        self.write, self.read, self.rest = ours[1], theirs[0], b''
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        self.session = self.call('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Network', 'Log', 'Accessibility'):
            self.call(domain + '.enable')
        self.call('Emulation.setDeviceMetricsOverride', width=self.size[0], height=self.size[1], deviceScaleFactor=1,
                  mobile=False)
        return self

    def __exit__(self, *_):
        os.close(self.write)  # its pipe's end is its own
        try:
            self.p.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
        os.close(self.read)
        shutil.rmtree(self.home, ignore_errors=True)

    def _message(self):
        while b'\0' not in self.rest:
            piece = os.read(self.read, 1 << 20)
            if not piece:
                raise RuntimeError(f'the browser ended with status {self.p.wait()}')
            self.rest += piece
        message, _, self.rest = self.rest.partition(b'\0')
        return json.loads(message)

    def call(self, method, **params):
        """What the browser answers; events that come meanwhile are kept."""
        self.number += 1
        request = {'id': self.number, 'method': method, 'params': params}
        if self.session:
            request['sessionId'] = self.session
        os.write(self.write, json.dumps(request).encode() + b'\0')
        while True:
            message = self._message()
            if message.get('id') == self.number:
                if 'error' in message:
                    raise RuntimeError(f'{method}: {message["error"]}')
                return message['result']
            self.events.append(message)

    def happened(self, method):
        return [e['params'] for e in self.events if e.get('method') == method]

    def open(self, path):
        """A file, until all of it is there."""
        self.events = []
        self.call('Page.navigate', url='file://' + os.path.abspath(path))
        while not self.happened('Page.loadEventFired'):
            self.events.append(self._message())

    def prefer(self, scheme):
        """'light' or 'dark'."""
        self.call('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': scheme}])

    def width(self, width):
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=self.size[1], deviceScaleFactor=1,
                  mobile=False)

    def ask(self, script):
        """The value of an expression in the page, as JSON has it."""
        got = self.call('Runtime.evaluate', expression=script, returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in got:
            raise RuntimeError(f'{script[:80]}: {got["exceptionDetails"]}')
        return got['result'].get('value')

    def picture(self, path, height=None):
        """Writes a PNG of the page from its top; height None: all of it."""
        size = self.call('Page.getLayoutMetrics')['cssContentSize']
        clip = {'x': 0, 'y': 0, 'width': size['width'], 'height': height or size['height'], 'scale': 1}
        data = self.call('Page.captureScreenshot', format='png', clip=clip, captureBeyondViewport=True)['data']
        with open(path, 'wb') as f:
            f.write(base64.b64decode(data))
