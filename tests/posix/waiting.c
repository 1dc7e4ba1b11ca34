/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking: time-outs, signals with and without SA_RESTART, O_NONBLOCK set later, ioctl. */
#include "t.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
	(void)number;
	alarms++;
}

/* One SIGALRM in 100 ms. */
static void alarm_soon(int flags)
{
	struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = flags};
	struct itimerval timer = {.it_value = {0, 100000}};
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* A child that connects to port (and sends a byte) in 300 ms. */
static pid_t connect_later(unsigned port)
{
	pid_t pid = fork();
	if (pid == 0) {
		t_sleep_ms(300);
		int c = t_socket(SOCK_STREAM);
		t_need(connect(c, IN(LO, port)) == 0, "connect");
		t_need(send(c, "x", 1, 0) == 1, "send");
		t_sleep_ms(200);
		_exit(0);
	}
	return pid;
}

static long long now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static void timeouts(void)
{
	t_case("time-outs");
	struct timeval tv = {0, 100000};
	int l = t_listener(LO, 7301), s, c = t_pair(&s), u = t_bound(SOCK_DGRAM, LO, 0);
	char byte;
	t_need(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0, "SO_RCVTIMEO");
	t_need(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0, "SO_RCVTIMEO");
	t_need(setsockopt(u, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0, "SO_RCVTIMEO");
	t_need(setsockopt(c, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) == 0, "SO_SNDTIMEO");
	long long start = now_ms();
	FD(accept(l, NULL, NULL));
	T(now_ms() - start >= 90);
	start = now_ms();
	T(recv(s, &byte, 1, 0));
	T(now_ms() - start >= 90);
	start = now_ms();
	T(recvfrom(u, &byte, 1, 0, NULL, NULL));
	T(now_ms() - start >= 90);
	static char block[1 << 16];
	start = now_ms();
	long n;
	while ((n = send(c, block, sizeof(block), 0)) >= 0)
		;
	t_result("send to a full peer", n);
	T(now_ms() - start >= 90);
	/* accept still works after a time-out */
	int c2 = t_socket(SOCK_STREAM);
	T(connect(c2, IN(LO, 7301)));
	FD(accept(l, NULL, NULL));
	close(l);
	close(s);
	close(c);
	close(u);
	close(c2);
}

static void interrupted(void)
{
	t_case("EINTR");
	int l = t_listener(LO, 7302), s, c = t_pair(&s), u = t_bound(SOCK_DGRAM, LO, 0);
	char byte;
	struct pollfd p = {.fd = s, .events = POLLIN};
	fd_set set;
	alarm_soon(0);
	FD(accept(l, NULL, NULL));
	alarm_soon(0);
	T(recv(s, &byte, 1, 0));
	alarm_soon(0);
	T(read(s, &byte, 1));
	alarm_soon(0);
	T(recvfrom(u, &byte, 1, 0, NULL, NULL));
	alarm_soon(SA_RESTART);
	T(poll(&p, 1, -1));
	FD_ZERO(&set);
	FD_SET(s, &set);
	alarm_soon(SA_RESTART);
	T(select(s + 1, &set, NULL, NULL, NULL));
	static char block[1 << 16];
	t_nonblock(c, true);
	while (send(c, block, sizeof(block), 0) > 0)
		;
	t_nonblock(c, false);
	alarm_soon(0);
	T(send(c, block, sizeof(block), 0));
	T(alarms);
	close(l);
	close(s);
	close(c);
	close(u);
}

static void restarted(void)
{
	t_case("SA_RESTART");
	int l = t_listener(LO, 7303);
	char byte = 0;
	alarms = 0;
	pid_t pid = connect_later(7303);
	alarm_soon(SA_RESTART);
	int s = FD(accept(l, NULL, NULL));
	T(alarms);
	T(recv(s, &byte, 1, 0));
	alarm_soon(SA_RESTART);
	T(recv(s, &byte, 1, 0));
	T(alarms);
	waitpid(pid, NULL, 0);
	close(s);
	/* With a time-out, a handler interrupts even so. */
	struct timeval tv = {5, 0};
	t_need(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0, "SO_RCVTIMEO");
	alarm_soon(SA_RESTART);
	FD(accept(l, NULL, NULL));
	close(l);
}

static void nonblock_later(void)
{
	t_case("O_NONBLOCK later");
	int l = t_listener(LO, 7304), s, c = t_pair(&s), u = t_bound(SOCK_DGRAM, LO, 0), on = 1,
	    off = 0;
	char byte;
	t_nonblock(l, true);
	FD(accept(l, NULL, NULL));
	T(ioctl(s, FIONBIO, &on));
	T(fcntl(s, F_GETFL) & O_NONBLOCK);
	T(recv(s, &byte, 1, 0));
	T(ioctl(s, FIONBIO, &off));
	T(fcntl(s, F_GETFL) & O_NONBLOCK);
	T(ioctl(u, FIONBIO, &on));
	T(recvfrom(u, &byte, 1, 0, NULL, NULL));
	int fresh = t_socket(SOCK_STREAM);
	t_nonblock(fresh, true);
	T(connect(fresh, IN(LO, 7304)));
	t_poll_wait("fresh", fresh, POLLOUT);
	int a = FD(accept(l, NULL, NULL));
	T(fcntl(a, F_GETFL) & O_NONBLOCK);
	t_nonblock(fresh, false);
	T(send(fresh, "x", 1, 0));
	T(recv(a, &byte, 1, 0));
	close(fresh);
	close(a);
	close(l);
	close(s);
	close(c);
	close(u);
}

static void ioctls(void)
{
	t_case("ioctl");
	int s, c = t_pair(&s), value = -1, l = t_listener(LO, 0), u = t_socket(SOCK_DGRAM);
	t_need(send(c, "12345", 5, 0) == 5, "send");
	t_poll_wait("data", s, POLLIN);
	T(ioctl(s, FIONREAD, &value));
	T(value);
	value = -1;
	T(ioctl(s, SIOCATMARK, &value));
	T(value);
	value = -1;
	T(ioctl(c, TIOCOUTQ, &value));
	T(value >= 0);
	T(ioctl(l, FIONREAD, &value));
	T(ioctl(u, SIOCATMARK, &value));
	T(ioctl(u, FIONREAD, &value));
	T(value);
	T(ioctl(s, FIOCLEX));
	T(fcntl(s, F_GETFD));
	T(ioctl(s, FIONCLEX));
	T(fcntl(s, F_GETFD));
	T(ioctl(s, 0x5401 /* TCGETS */, &value));
	T(isatty(s));
	T(lseek(s, 0, SEEK_SET));
	T(ftruncate(s, 0));
	T(fsync(s));
	close(s);
	close(c);
	close(l);
	close(u);
}

static void woken(void)
{
	/* A blocked accept or recv is woken by what arrives. */
	t_case("woken");
	int l = t_listener(LO, 7305);
	char byte = 0;
	pid_t pid = connect_later(7305);
	struct pollfd p = {.fd = l, .events = POLLIN};
	T(poll(&p, 1, 5000));
	T(p.revents);
	int s = FD(accept(l, NULL, NULL));
	T(recv(s, &byte, 1, 0));
	T(recv(s, &byte, 1, 0));
	T(waitpid(pid, NULL, 0) == pid);
	close(s);
	close(l);
}

static void shut_listener(void)
{
	/* shutdown of a listener wakes an accept that waits in it. */
	t_case("shutdown of a listener");
	int l = t_listener(LO, 7306);
	pid_t pid = fork();
	if (pid == 0) {
		t_sleep_ms(200);
		shutdown(l, SHUT_RDWR);
		_exit(0);
	}
	FD(accept(l, NULL, NULL));
	waitpid(pid, NULL, 0);
	t_opt("SO_ACCEPTCONN", l, SOL_SOCKET, SO_ACCEPTCONN);
	int c = t_socket(SOCK_STREAM);
	T(connect(c, IN(LO, 7306)));
	T(listen(l, 1));
	close(c);
	close(l);
}

int main(void)
{
	T_RUN(timeouts);
	T_RUN(interrupted);
	T_RUN(restarted);
	T_RUN(nonblock_later);
	T_RUN(ioctls);
	T_RUN(woken);
	T_RUN(shut_listener);
	return 0;
}
