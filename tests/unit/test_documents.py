#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The runner of documents (tests/system/document.py): what it lets pass, and above all what it does not."""
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../system'))
import document  # noqa: E402


def alike(shown, got, ids='', varies='', judge=None):
    """Whether output `got` is what a document shows; both as text."""
    if not judge:
        text = document.Document('')
        text.ids, text.varies = set(ids.split()), set(varies.split())
        judge = document.Judge(text)
    return judge.alike(document.trimmed(shown.split('\n')), got.split('\n'))


class Comparing(unittest.TestCase):
    def same(self, *words, **kw):
        self.assertTrue(alike(*words, **kw), words)

    def differs(self, *words, **kw):
        self.assertFalse(alike(*words, **kw), words)

    def test_lines(self):
        self.same('a\nb', 'a\nb\n')
        self.same('', '')
        for got in ('a', 'a\nb\nc', 'b\na', 'a\n\nb', 'a\nB', 'x\na\nb', ''):
            self.differs('a\nb', got)
        self.differs('', 'a')

    def test_blanks(self):
        self.same('a  b', 'a    b  ')
        self.differs('a b', 'ab')
        self.differs('ab', 'a b')
        self.differs('1 2', '12')
        self.same('Peer Address:Port Process', 'Peer Address:PortProcess')

    def test_what_is_left_out(self):
        self.same('a\n...\nd', 'a\nb\nc\nd')
        self.same('a\n...\nd', 'a\nd')
        self.differs('a\n...\nd', 'a\nb')
        self.same('pid ..., x', 'pid 7, x')
        self.differs('pid ..., x', 'pid 7, y')
        self.same('a.b', 'a.b')
        self.differs('a.b', 'axb')

    def test_what_varies(self):
        self.same('took 0.53 s', 'took 12 s', varies='0.53')
        self.differs('took 0.53 s', 'took long', varies='0.53')
        self.differs('took 0.53 s', 'took 12 s')
        self.same('at 03:29:15', 'at 23:59:01', varies='03:29:15')
        self.same('7 and 7', '1 and 2', varies='7')
        self.differs('17', '18', varies='7')
        self.differs('a 7', 'a 7 7', varies='7')

    def test_ids(self):
        self.same('7 and 7', '19 and 19', ids='7')
        self.differs('7 and 7', '19 and 20', ids='7')
        self.same('7 and 8', '19 and 20', ids='7 8')
        self.same('user ada', 'user games', ids='ada')
        self.differs('user ada', 'user games nobody', ids='ada')
        self.differs('canada', 'cangames', ids='ada')

    def test_ids_are_kept(self):
        text = document.Document('<!-- ids: 7 ada -->')
        judge = document.Judge(text)
        self.assertRaises(document.Wrong, judge.typed, 'kill 7')
        self.assertTrue(alike('pid 7', 'pid 4242', judge=judge))
        self.assertEqual(judge.typed('kill 7; echo 77'), 'kill 4242; echo 77')
        self.assertFalse(alike('pid 7', 'pid 4243', judge=judge))
        self.assertTrue(alike('pid 7 of ada', 'pid 4242 of games', judge=judge))
        self.assertFalse(alike('ada', 'root', judge=judge))

    def test_lines_that_do_not_match_tell_no_ids(self):
        judge = document.Judge(document.Document('<!-- ids: 7 -->'))
        self.assertFalse(alike('pid 7\nend', 'pid 4242\nbegin', judge=judge))
        self.assertTrue(alike('pid 7', 'pid 19', judge=judge))


def block(*lines, fence='console'):
    return '\n'.join([f'```{fence}', *lines, '```', ''])


class Reading(unittest.TestCase):
    def test_steps(self):
        text = document.Document(
            '# Title\n\nwords `$ no command`\n\n' + block('$ one', '', 'out', '# two \\', 'more', '')
            + '<!-- needs: tshark -->\n' + block('x', fence='python a.py') + block('picture', fence='text')
            + '<!-- not run: it is long -->\n' + block('$ make'))
        self.assertEqual([(type(s).__name__, *s[1:]) for s in text.steps], [
            ('Command', False, 'one', ['', 'out']), ('Command', True, 'two \\\nmore', []), ('Need', 'tshark'),
            ('File', 'a.py', 'x\n'), ('NotRun', 'it is long')])
        self.assertEqual(text.steps[0].line, 6)

    def test_what_is_not_understood(self):
        for text in ('```console\n$ true\n', block('no prompt'), block('x', fence='python'), block('x', fence=''),
                     block('x', fence='sh'), '<!-- id: 7 -->', '<!-- ids: 7', '<!-- not run: why -->\nnothing'):
            self.assertRaises(document.Wrong, document.Document, text)


class Doing(unittest.TestCase):
    def follow(self, text, root=False):
        with tempfile.TemporaryDirectory() as directory:
            shells = [document.Shell([], directory, dict(os.environ)) for _ in range(1 + root)]
            try:
                document.follow(document.Document(text), shells[0], shells[1] if root else None, directory)
            finally:
                for shell in shells:
                    shell.end()
                    self.assertEqual(shell.left(), {})

    def wrong(self, message, *lines):
        with self.assertRaisesRegex(document.Wrong, message):
            self.follow(block(*lines))

    def test_one_shell(self):
        self.follow(block('$ x=5; mkdir d; cd d', '$ echo $x; basename $PWD', '5', 'd')
                    + block('print(6)', fence='python ../a.py') + block('$ cat ../../a.py; echo in $(cat)', 'print(6)', 'in')
                    + block('$ echo error >&2', 'error', '$ printf "no newline"', 'no newline', '$ false; echo $?', '1'))

    def test_ids_in_what_is_typed(self):
        self.follow('<!-- ids: 4711 -->\n' + block('$ sleep 60 &', '$ pgrep -P $$', '4711', '$ kill 4711'))

    def test_the_background(self):
        self.follow(block('$ (echo ready; exec sleep 60) &', 'ready', '$ kill $!'))

    def test_wrong_output(self):
        self.wrong('line 2: echo a', '$ echo a', 'b')
        self.wrong('line 3: echo b', '$ true', '$ echo b', 'a')
        self.wrong('there came', '$ echo a')
        self.wrong('there came', '$ true', 'a')
        self.wrong('there came', '$ echo a', 'a', 'b')

    def test_a_silent_failure(self):
        self.wrong('without a word, with status 3', '$ (exit 3)')
        self.wrong('without a word', '$ false', '...')

    def test_left_running(self):
        self.wrong('left running at the end: .*sleep', '$ sleep 60 &')

    def test_no_end(self):
        document.LIMIT, limit = 0.5, document.LIMIT
        try:
            self.wrong('does not end', '$ sleep 60')
            self.wrong('does not end', '$ yes')
        finally:
            document.LIMIT = limit

    def test_the_shell_ends(self):
        self.wrong('the shell has ended', '$ exit')

    def test_what_is_lacking(self):
        for text in ('<!-- needs: no-such-program -->\n' + block('$ false'), block('# true')):
            with self.assertRaises(document.Lacking):
                self.follow(text)
        self.follow(block('# echo here', 'here', '$ pwd | wc -l', '1'), root=True)


if __name__ == '__main__':
    unittest.main(verbosity=0)
