# SPDX-License-Identifier: Apache-2.0
"""What the documents tell a reader to type does what they show (document.py says how they are read).

A reader is an unprivileged user; what a document does as root is done only in a network namespace.
"""
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


def follow(path):
    """Follows one document in a directory and with a network of its own."""
    lib.berth_only('a document of berth')
    with open(path) as f:
        text = document.Document(f.read())
    rooted = any(getattr(step, 'root', False) for step in text.steps)
    if AS == 'root' or AS == 'netns' and not rooted:
        raise lib.Skip('followed as an unprivileged user')
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
    rooted = rooted and AS == 'netns' and lib.real_root() and os.path.exists('/dev/net/tun')
    shell = document.Shell((['unshare', '-m', 'sh', '-c', TUN, '-'] if rooted else []) + become, directory, env)
    root_shell = document.Shell([], directory, env) if rooted else None
    try:
        document.follow(text, shell, root_shell, directory)
    except document.Lacking as e:
        raise lib.Skip(str(e)) from e
    finally:
        shell.end()
        if root_shell:
            root_shell.end()
    left_out = [f'line {s.line} is not run: {s.reason}' for s in text.steps if isinstance(s, document.NotRun)]
    return '; '.join(left_out)


def following(path):
    return lambda net: follow(path)


for name, path in [('readme', f'{TOP}/README.md'), ('tutorial', f'{TOP}/doc/tutorial.md'), *(
        (os.path.basename(p)[:-3].replace('-', '_'), p) for p in sorted(glob.glob(f'{TOP}/doc/howto/*.md')))]:
    setattr(sys.modules[__name__], f'test_{name}', following(path))

if __name__ == '__main__':
    lib.main()
