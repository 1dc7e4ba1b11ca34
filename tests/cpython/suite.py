# SPDX-License-Identifier: Apache-2.0
"""Runs test modules of CPython's own and writes what became of each test.

usage: suite.py RESULTS SECONDS LEFT-OUT MODULE...

RESULTS gets one JSON list for each event: [what, test, text, seconds]; what is start, pass, fail, skip or done. Tests
that have a start in it already are left out, so a run that a test has ended (by hanging longer than SECONDS,
which ends the process with the threads' stacks on stderr, or by a crash) goes on after that test. So are those of
the classes LEFT-OUT, separated by commas. Files are made in the working directory.
"""
import faulthandler
import gc
import json
import os
import sys
import time
import unittest

from test import support
from test.support import threading_helper

support.verbose = 0


class Result(unittest.TestResult):
    def __init__(self, out, limit):
        super().__init__()
        self.out = out
        self.limit = limit
        self.ended = set()  # tests with a word on their end

    def say(self, what, test, text=''):
        name = test if isinstance(test, str) else test.id()
        self.out.write(json.dumps([what, name, text, round(time.monotonic(), 2)]) + '\n')
        self.out.flush()

    def startTest(self, test):
        super().startTest(test)
        faulthandler.dump_traceback_later(self.limit, exit=True)
        self.say('start', test)

    def stopTest(self, test):
        super().stopTest(test)
        faulthandler.cancel_dump_traceback_later()

    def bad(self, test, err):
        name = test if isinstance(test, str) else test.id()
        self.ended.add(name)
        self.say('fail', name, f'{err[0].__name__}: {err[1]}'.split('\n')[0][:200])
        sys.stderr.write(f'--- {name}\n{self._exc_info_to_string(err, test)}\n')

    def addError(self, test, err):
        self.bad(test, err)

    def addFailure(self, test, err):
        self.bad(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.bad(test, err)

    def addUnexpectedSuccess(self, test):
        self.say('fail', test, 'unexpected success')

    def addSkip(self, test, reason):
        self.ended.add(test.id())
        self.say('skip', test, reason.split('\n')[0])

    def addExpectedFailure(self, test, err):
        self.say('pass', test)

    def addSuccess(self, test):
        if test.id() not in self.ended:  # it is called for a test with a failed subtest too
            self.say('pass', test)


def without(suite, names, classes):
    out = unittest.TestSuite()
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            out.addTest(without(test, names, classes))
        elif test.id() not in names and type(test).__name__ not in classes:
            out.addTest(test)
    return out


def main(results, limit, classes, modules):
    started = set()
    if os.path.exists(results):
        with open(results) as f:
            started = {event[1] for event in map(json.loads, f) if event[0] == 'start'}
    with open(results, 'a') as out:
        result = Result(out, limit)
        loader = unittest.TestLoader()
        for module in modules:
            # It asks for this resource, for servers and clients that are both its own.
            support.use_resources = ['network'] if module == 'test.test_socketserver' else []
            try:
                suite = loader.loadTestsFromName(module)
            except unittest.SkipTest as e:
                result.say('skip', module, str(e))
                continue
            suite = without(suite, started, classes)
            # What is loaded will stay: the tests that collect garbage again and again need not look at it.
            gc.freeze()
            before = threading_helper.threading_setup()
            suite.run(result)
            threading_helper.threading_cleanup(*before)
        result.say('done', '')


if __name__ == '__main__':
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3].split(','), sys.argv[4:])
