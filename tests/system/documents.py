# SPDX-License-Identifier: Apache-2.0
"""What the documents tell a reader to type does what they show (document.py says how they are read).

A reader is an unprivileged user; what a document does as root is done only in a network namespace.
"""
import functools
import glob
import os
import pwd
import sys
import tempfile

import document
import lib

TOP = os.path.join(lib.HERE, '../..')
USER = pwd.getpwnam('games')
AS = os.environ.get('BERTH_TEST_AS')
# The kernel's device as Debian has it, open to everybody
TUN = 'mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200 && exec "$@"'


def follow(read, path, _net):
    """Follows one document in a directory and with a network of its own."""
    become = []
    if os.geteuid() == 0:
        become = ['setpriv', f'--reuid={USER.pw_uid}', f'--regid={USER.pw_gid}', '--clear-groups', '--inh-caps=-all', '--']
    directory = os.path.join(os.getcwd(), os.path.basename(path)[:-3])
    os.mkdir(directory, 0o700)
    runtime = tempfile.mkdtemp(dir=os.environ['BERTH_RUNTIME_DIR'])
    if become:
        os.chmod(os.environ['BERTH_RUNTIME_DIR'], 0o711)
        for made in (directory, runtime):
            os.chown(made, USER.pw_uid, USER.pw_gid)
    env = {**os.environ, 'HOME': directory, 'TMPDIR': directory, 'BERTH_RUNTIME_DIR': runtime, 'TERM': 'dumb',
           'PYTHONUNBUFFERED': '1', 'PATH': os.path.dirname(lib.BERTH) + ':' + os.environ['PATH']}
    rooted = needs_root(read) and AS == 'netns' and lib.real_root() and os.path.exists('/dev/net/tun')
    shell = document.Shell((['unshare', '-m', 'sh', '-c', TUN, '-'] if rooted else []) + become, directory, env)
    root_shell = document.Shell([], directory, env) if rooted else None
    try:
        document.follow(read, shell, root_shell, directory)
    except document.Lacking as e:
        raise lib.Skip(str(e)) from e
    finally:
        shell.end()
        if root_shell:
            root_shell.end()
    return '; '.join(f'line {s.line} is not run: {s.reason}' for s in read.steps if isinstance(s, document.NotRun))


def needs_root(read):
    return any(isinstance(step, document.Command) and step.root for step in read.steps)


def elsewhere(_net):
    raise lib.Skip('a reader is an unprivileged user')


def add_tests():
    """One for each document: as a user; in a network namespace those that need root."""
    module = sys.modules[__name__]
    paths = [f'{TOP}/README.md', f'{TOP}/doc/tutorial.md', *sorted(glob.glob(f'{TOP}/doc/howto/*.md'))]
    for path in paths if AS in ('user', 'netns') else ():
        with open(path) as f:
            read = document.Document(f.read())
        if AS == 'user' or needs_root(read):
            name = os.path.basename(path)[:-3].lower().replace('-', '_')
            setattr(module, f'test_{name}', functools.partial(follow, read, path))
    if AS not in ('user', 'netns'):
        module.test_documents = elsewhere


add_tests()

if __name__ == '__main__':
    lib.main()
