# SPDX-License-Identifier: Apache-2.0
"""The chapter's server: nginx on 80, sshd on 22, PostgreSQL on 5432, Redis on 6379, a Node API on 3000.

Used by the system test R1 and by demo/servers. Everything lives in a directory of the caller's; no file
of the real machine's servers is read or written. The caller says how a program is started in the host.
"""
import glob
import os
import pwd
import shutil
import signal
import subprocess
import time

SBIN = os.environ.get('PATH', '') + ':/usr/local/sbin:/usr/sbin:/sbin'
PORTS = {'nginx': 80, 'sshd': 22, 'PostgreSQL': 5432, 'Redis': 6379, 'Node API': 3000}

# run inside the host: returns once all five answer on its loopback
KNOCK = """
import socket, sys, time
end = time.monotonic() + 30
for port in map(int, sys.argv[1:]):
    while True:
        try:
            socket.create_connection(('127.0.0.1', port), 5).close()
            break
        except OSError as e:
            if time.monotonic() > end:
                sys.exit(f'nothing answers on port {port}: {e}')
            time.sleep(0.05)
"""

NGINX = """
daemon off; worker_processes 2; pid {dir}/nginx.pid; error_log stderr; {user}
events {{ worker_connections 64; }}
http {{
    access_log off; default_type text/plain; sendfile on;
    client_body_temp_path {dir}/tmp; proxy_temp_path {dir}/tmp; fastcgi_temp_path {dir}/tmp;
    uwsgi_temp_path {dir}/tmp; scgi_temp_path {dir}/tmp;
    server {{
        listen 80; listen [::]:80;
        root {dir}/www;
        add_header X-Asked-By $remote_addr:$remote_port;
    }}
}}
"""

SSHD = """
AddressFamily any
Port 22
HostKey {dir}/host_key
PidFile none
AuthorizedKeysFile {dir}/authorized_keys
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
Subsystem sftp internal-sftp
"""

API = """
require('http').createServer((req, res) => {
    res.setHeader('Content-Type', 'application/json');
    res.end(JSON.stringify({api: process.argv[1], path: req.url,
                            asked_by: req.socket.remoteAddress.replace('::ffff:', '')}) + '\\n');
}).listen(3000);
"""


def program(name, *places):
    found = shutil.which(name, path=SBIN)
    for place in places:
        found = found or next(iter(sorted(glob.glob(place), reverse=True)), None)
    return found


def programs():
    """Where everything is that the five need; None for what is not installed."""
    pg = '/usr/lib/postgresql/*/bin/'
    return {'nginx': program('nginx'), 'sshd': program('sshd'), 'ssh': program('ssh'),
            'ssh-keygen': program('ssh-keygen'), 'sftp': program('sftp'),
            'postgres': program('postgres', pg + 'postgres'), 'initdb': program('initdb', pg + 'initdb'),
            'psql': program('psql'), 'redis-server': program('redis-server'),
            'redis-cli': program('redis-cli'), 'node': program('node', '/usr/bin/nodejs'),
            'curl': program('curl'), 'setpriv': program('setpriv')}


def missing():
    return sorted(name for name, path in programs().items() if path is None)


def account(*names):
    """The first of these users that exists."""
    for name in names:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass
    raise KeyError(names)


def root_is_locked():
    """sshd lets nobody in whose password begins with an exclamation mark."""
    with open('/etc/shadow') as f:
        return any(line.startswith('root:!') for line in f)


class Five:
    """The five servers of one host.

    start(argv, **kw) starts a program in the host and returns its Popen; run(argv) runs one there to its
    end and returns its output. directory: an existing one that every user may enter.
    """

    def __init__(self, name, address, directory, start, run):
        self.name, self.address, self.dir = name, address, directory
        self.start_in_host, self.run_in_host = start, run
        self.at = programs()
        self.running = {}
        self.root = os.geteuid() == 0
        self.login = account('games', 'nobody') if self.root and root_is_locked() else pwd.getpwuid(os.geteuid())
        self.made_run_sshd = False

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text):
        with open(self.path(name), 'w') as f:
            f.write(text)

    def greeting(self, what):
        return f'{what} of {self.name}, {self.address}'

    # --- preparing, outside the host

    def prepare(self):
        for name in ('www', 'tmp', 'redis', 'pg'):
            os.mkdir(self.path(name))
        nobody = account('nobody')
        if self.root:
            os.chown(self.path('tmp'), nobody.pw_uid, nobody.pw_gid)
        self.write('www/index.html', self.greeting('the web page') + '\n')
        self.write('nginx.conf', NGINX.format(dir=self.dir, user='user nobody nogroup;' if self.root else ''))
        self.write('greeting', self.greeting('the shell account') + '\n')
        self.write('sshd.conf', SSHD.format(dir=self.dir))
        for key in ('host_key', 'user_key'):
            subprocess.run([self.at['ssh-keygen'], '-q', '-t', 'ed25519', '-N', '', '-f', self.path(key)],
                           check=True)
        shutil.copy(self.path('user_key.pub'), self.path('authorized_keys'))
        self.ssh_prefix = self.become(self.login, 'host_key')
        self.initdb()

    def become(self, user, *files):
        """What turns a command into one of that user's, to whom the files are given."""
        if user.pw_uid == os.geteuid():
            return []
        for name in files:
            os.chown(self.path(name), user.pw_uid, user.pw_gid)
        return [self.at['setpriv'], f'--reuid={user.pw_uid}', f'--regid={user.pw_gid}', '--clear-groups', '--']

    def initdb(self):
        """PostgreSQL refuses to run as root."""
        self.pg_prefix = self.become(account('postgres', 'nobody'), 'pg') if self.root else []
        p = subprocess.run([*self.pg_prefix, self.at['initdb'], '-D', self.path('pg/data'), '-U', 'berth',
                            '-A', 'trust', '--no-sync', '--no-instructions', '-E', 'UTF8', '--locale=C'],
                           cwd='/', stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if p.returncode:
            raise RuntimeError('initdb: ' + p.stdout)
        with open(self.path('pg/data/pg_hba.conf'), 'a') as f:
            f.write('host all all 0.0.0.0/0 trust\nhost all all ::/0 trust\n')

    def commands(self):
        """What is started in the host, as it would be typed."""
        at = self.at
        return {
            'nginx': [at['nginx'], '-e', 'stderr', '-c', self.path('nginx.conf')],
            'sshd': [*self.ssh_prefix, at['sshd'], '-D', '-e', '-f', self.path('sshd.conf')],
            'PostgreSQL': [*self.pg_prefix, at['postgres'], '-D', self.path('pg/data'), '-c', 'fsync=off',
                           '-c', 'listen_addresses=*', '-c', 'unix_socket_directories=' + self.path('pg')],
            'Redis': [at['redis-server'], '--bind', '0.0.0.0', '-::', '--protected-mode', 'no', '--save', '',
                      '--dir', self.path('redis')],
            'Node API': [at['node'], '-e', API, self.name],
        }

    # --- running

    def start(self, what):
        if what == 'sshd' and self.root and not self.ssh_prefix and not os.path.exists('/run/sshd'):
            os.mkdir('/run/sshd', 0o755)  # where sshd locks its unprivileged half in
            self.made_run_sshd = True
        with open(self.path(what.replace(' ', '-') + '.log'), 'w') as log:
            self.running[what] = self.start_in_host(self.commands()[what], stdin=subprocess.DEVNULL,
                                                    stdout=log, stderr=subprocess.STDOUT, cwd=self.dir)

    def wait_ready(self):
        """Until all that was started answers; then puts data into those that need some."""
        try:
            self.run_in_host(['/usr/bin/python3', '-c', KNOCK, *(str(PORTS[w]) for w in self.running)])
        except Exception as e:
            raise RuntimeError(f'{e}\n{self.logs()}') from e
        if 'PostgreSQL' in self.running:
            sql = f"create table greeting as select '{self.greeting('the database')}' as body"
            self.run_in_host([self.at['psql'], '-h', self.path('pg'), '-U', 'berth', '-qc', sql, 'postgres'])
        if 'Redis' in self.running:
            self.run_in_host([self.at['redis-cli'], 'set', 'greeting', self.greeting('the cache')])

    def logs(self):
        parts = []
        for what, p in self.running.items():
            with open(self.path(what.replace(' ', '-') + '.log')) as f:
                parts.append(f'{what} (status {p.poll()}):\n{f.read()[-2000:]}')
        return '\n'.join(parts)

    def asks(self, asker, address=None):
        """How host `asker` (its address) asks each, at another address than the usual one where that is given:
        what, command, what the answer must contain."""
        address = address or self.address
        at, url = self.at, 'http://' + (f'[{address}]' if ':' in address else address)
        sql = "select body || ', asked by ' || host(inet_client_addr()) from greeting"
        return [
            ('nginx', [at['curl'], '-gsSi', url + '/'],
             [self.greeting('the web page'), f'X-Asked-By: {asker}:']),
            ('sshd', *self.ask_ssh(asker, address)),
            ('PostgreSQL', [at['psql'], '-h', address, '-U', 'berth', '-Atc', sql, 'postgres'],
             [self.greeting('the database') + ', asked by ' + asker]),
            ('Redis', [at['redis-cli'], '-h', address, 'get', 'greeting'], [self.greeting('the cache')]),
            ('Node API', [at['curl'], '-gsS', url + ':3000/status'],
             [f'"api":"{self.name}"', f'"asked_by":"{asker}"']),
        ]

    def ask_ssh(self, asker, address):
        options = ['-F', 'none', '-i', self.path('user_key'), '-o', 'BatchMode=yes', '-o', 'LogLevel=ERROR',
                   '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null']
        whom = f'{self.login.pw_name}@{address}'
        greeting = self.greeting('the shell account')
        if os.path.basename(self.login.pw_shell) in ('nologin', 'false'):  # no command can run: fetch the file
            fetched = self.path('fetched')
            fetch = [self.at['sftp'], '-q', *options, f'{self.login.pw_name}@[{address}]:{self.path("greeting")}', fetched]
            return ['sh', '-c', '"$@" && cat ' + fetched, 'sh', *fetch], [greeting]
        return ([self.at['ssh'], *options, whom, f'cat {self.path("greeting")}; echo from $SSH_CONNECTION'],
                [greeting, f'from {asker} '])

    def stop(self):
        """Ends what runs; safe to call twice."""
        for what, p in self.running.items():
            if p.poll() is None:
                p.send_signal(signal.SIGINT if what == 'PostgreSQL' else signal.SIGTERM)
        end = time.monotonic() + 10
        for p in self.running.values():
            try:
                p.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        self.running = {}
        if self.made_run_sshd:
            self.made_run_sshd = False
            try:
                os.rmdir('/run/sshd')
            except OSError:
                pass
