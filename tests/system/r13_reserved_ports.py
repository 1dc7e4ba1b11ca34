# SPDX-License-Identifier: Apache-2.0
"""R13: ports below 1024 are for the host's root: the printed line as an unprivileged user of the host and as its
root, TCP and UDP, both families; who gave root up; and the setting that moves the border."""
import errno
import os
import pwd
import socket
import subprocess
import threading

import lib

import chapter  # in tools/, which lib puts on the path

ADDRESS, ADDRESS6 = '192.168.1.100', 'fd00::100'
KINDS = {'tcp': socket.SOCK_STREAM, 'udp': socket.SOCK_DGRAM}
TARGETS = {  # where to bind: family, address
    'any': (socket.AF_INET, '0.0.0.0'), 'own': (socket.AF_INET, ADDRESS), 'lo': (socket.AF_INET, '127.0.0.1'),
    'any6': (socket.AF_INET6, '::'), 'own6': (socket.AF_INET6, ADDRESS6), 'lo6': (socket.AF_INET6, '::1'),
    'mapped': (socket.AF_INET6, '::ffff:127.0.0.1'),
}
REFUSED = "PermissionError: [Errno 13] Permission denied\n"
NOBODY = pwd.getpwnam('games')


def bind_all(ports):
    """{port: what every kind of bind to it says}; one word where all say the same."""
    said = {}
    for port in ports:
        answers = {}
        for kind in KINDS:
            for target, (family, address) in TARGETS.items():
                with socket.socket(family, KINDS[kind]) as s:
                    try:
                        s.bind((address, port))
                        answers[f'{kind} {target}'] = 'bound'
                    except OSError as e:
                        answers[f'{kind} {target}'] = errno.errorcode[e.errno]
        words = set(answers.values())
        said[port] = words.pop() if len(words) == 1 else answers
    return said


def bind_ports(ports):
    lib.say(bind_all(ports))


def expect(net, host, allowed, refused):
    p = net.part(host, bind_ports, [*allowed, *refused])
    want = {str(port): 'bound' for port in allowed} | {str(port): 'EACCES' for port in refused}
    lib.eq(p.get(), want, f'in {host}')
    p.done()


def two_users(net):
    """One host; under the name `user` it is entered by a user of it who is not its root."""
    net.host('web', ADDRESS, ADDRESS6)
    keeper = net.part('web', stay)
    keeper.get()
    net.user_of('user', 'web')
    return keeper


def stay():
    lib.say('here')
    lib.hear()


def printed_line(net, host, status):
    """The chapter's line, as printed, by a shell that finds `python`."""
    folder = os.path.join(os.environ['TMPDIR'], 'bin')
    os.makedirs(folder, 0o755, exist_ok=True)
    if not os.path.exists(os.path.join(folder, 'python')):
        os.symlink(lib.PY, os.path.join(folder, 'python'))
    env = {**os.environ, 'PATH': f'{folder}:{os.environ["PATH"]}'}
    return net.run(host, ['sh', '-c', chapter.reserved_port()], status=status, env=env)


def test_printed_line(net):
    two_users(net)
    for _ in range(2):
        out = printed_line(net, 'user', 1)
        assert out.endswith(REFUSED), out
        lib.eq(printed_line(net, 'web', 0), '', "as the host's root")


def test_all_binds(net):
    """Both protocols, both families, every kind of address."""
    two_users(net)
    expect(net, 'user', [0, 1024, 1025, 65535], [1, 53, 80, 443, 1023])
    expect(net, 'web', [0, 1, 53, 80, 443, 1023, 1024, 65535], [])


def test_the_border_moves(net):
    two_users(net)
    name = 'net.ipv4.ip_unprivileged_port_start'
    for start in (80, 81, 0, 20000, 1024):
        net.sysctl('web', f'{name}={start}')
        below, above = [p for p in (1, 79, 80, 1023, 1024, 19999) if p < start], \
            [p for p in (1, 79, 80, 1023, 1024, 19999, 20000) if p >= start]
        expect(net, 'user', above, below)
        expect(net, 'web', [1, 80, 1024, 20000], [])


def test_the_border_is_the_hosts_own(net):
    two_users(net)
    net.host('other', '192.168.1.7', 'fd00::7')
    lib.eq(net.part('other', stay).get(), 'here')
    net.user_of('other user', 'other')
    net.sysctl('web', 'net.ipv4.ip_unprivileged_port_start=0')
    for host, status in (('user', 0), ('other user', 1)):
        printed_line(net, host, status)


def test_at_start(net):
    """The setting said with the command that starts the program."""
    lib.berth_only('an option of berth run')
    net.host('web', ADDRESS, ADDRESS6)
    net.options['web'] = ['--unprivileged', '--sysctl', 'net.ipv4.ip_unprivileged_port_start=80']
    expect(net, 'web', [80, 1023], [1, 79])


# --- who gave root up

def give_up(when):
    """Becomes another user before or after its first socket, for good or for a while, alone or in a thread."""
    first = socket.socket() if when != 'before' else None
    if when == 'for a while':
        os.seteuid(NOBODY.pw_uid)
        lib.eq(bind_all([80]), {80: 'EACCES'}, 'while another user')
        os.seteuid(0)
        lib.eq(bind_all([80]), {80: 'bound'}, 'root again')
    if when == 'child':
        pid = os.fork()
        if pid:
            lib.eq(os.waitpid(pid, 0)[1], 0, "the child's status")
            lib.eq(bind_all([80]), {80: 'bound'}, 'the parent')
    if when in ('before', 'after') or when == 'child' and pid == 0:
        os.setgroups([])
        os.setgid(NOBODY.pw_gid)
        os.setuid(NOBODY.pw_uid)
        lib.eq(bind_all([1023, 1024]), {1023: 'EACCES', 1024: 'bound'}, 'another user')
        if first:
            lib.fails(errno.EACCES, first.bind, ('', 80))  # who asks counts, not who made the socket
        t = []
        thread = threading.Thread(target=lambda: t.append(bind_all([80])))
        thread.start()
        thread.join()
        lib.eq(t, [{80: 'EACCES'}], 'a thread of another user')
        if when == 'child':
            os._exit(0)
    lib.say('end')


def test_programs_that_become_another_user(net):
    if not lib.real_root():
        raise lib.Skip('only root can become another user')
    two_users(net)
    for when in ('before', 'after', 'for a while', 'child'):
        p = net.part('web', give_up, when)
        lib.eq(p.get(), 'end')
        p.done()


def test_setpriv_and_runuser(net):
    """Commands that start a program as somebody else."""
    if not lib.real_root():
        raise lib.Skip('only root can become another user')
    lib.has('setpriv', 'runuser')
    two_users(net)
    line = [lib.PY, '-c', "import socket; s=socket.socket(); s.bind(('',80))"]
    for start in (['setpriv', f'--reuid={NOBODY.pw_uid}', f'--regid={NOBODY.pw_gid}', '--clear-groups', '--'],
                  ['runuser', '-u', NOBODY.pw_name, '--']):
        out = net.run('web', [*start, *line], status=1)
        assert out.endswith(REFUSED), out
    net.sysctl('web', 'net.ipv4.ip_unprivileged_port_start=80')
    for start in (['setpriv', f'--reuid={NOBODY.pw_uid}', f'--regid={NOBODY.pw_gid}', '--clear-groups', '--'],
                  ['runuser', '-u', NOBODY.pw_name, '--']):
        net.run('web', [*start, *line])


def passed_on():
    """The host's root binds and hands the descriptor to a user of the host, who listens: what servers do."""
    s = socket.socket()
    s.bind(('', 80))
    lib.say('bound')
    lib.hear()
    r = subprocess.run(['setpriv', f'--reuid={NOBODY.pw_uid}', f'--regid={NOBODY.pw_gid}', '--clear-groups', '--',
                        lib.PY, '-c', f'import socket; s = socket.socket(fileno={s.fileno()}); s.listen(); '
                        'print("listening", flush=True); c = s.accept()[0]; c.send(b"hello")'],
                       pass_fds=[s.fileno()], stdout=subprocess.PIPE, text=True)
    lib.say([r.returncode, r.stdout])


def visit():
    lib.say(lib.until('an answer', lambda: knock()))


def knock():
    try:
        return lib.recv_end(lib.connect(ADDRESS, 80)).decode()
    except ConnectionRefusedError:
        return None


def test_a_bound_socket_passed_on(net):
    if not lib.real_root():
        raise lib.Skip('only root can become another user')
    two_users(net)
    server = net.part('web', passed_on)
    lib.eq(server.get(), 'bound')
    server.put('go')
    client = net.part('user', visit)
    lib.eq(client.get(), 'hello')
    client.done()
    lib.eq(server.get(), [0, 'listening\n'])
    server.done()


if __name__ == '__main__':
    lib.main()
