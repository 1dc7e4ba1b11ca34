/* SPDX-License-Identifier: Apache-2.0 */
/*
 *	oracle-exec kernel FILE			each program in a network namespace of its own
 *	oracle-exec berth FILE BERTH NETWORK	each in a host of its own of this network
 *	oracle-exec host FILE NUMBER		one of them, here (what the second one runs in its
 *hosts)
 *
 * FILE holds programs, each begun by "program K", K below 65,536 and unequal within a network. The
 * processes of a program take turns: a line's process carries it out and passes the turn to the
 * next line's. A supervisor, in no line, waits for the end and sees to processes that leave.
 */
#include "oracle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_MS 4000

struct shared *shared;
unsigned settle_us = 300;

static struct line lines[MAX_LINES];
static unsigned n_lines, me;

/* ---- turns ---- */

static void futex_wait(_Atomic uint32_t *word, uint32_t value, const struct timespec *limit)
{
	syscall(SYS_futex, word, FUTEX_WAIT, value, limit, NULL, 0);
}

static void pass_turn(void)
{
	atomic_fetch_add(&shared->turn, 1);
	syscall(SYS_futex, &shared->turn, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void play(void)
{
	for (;;) {
		uint32_t turn = atomic_load(&shared->turn);
		if (turn >= n_lines)
			return;
		if (lines[turn].proc != me) {
			futex_wait(&shared->turn, turn, NULL);
			continue;
		}
		call(&lines[turn]);
		pass_turn();
	}
}

void proc_fork(unsigned number)
{
	if (number == 0 || number >= MAX_PROCS || shared->pids[number] != 0)
		return;
	uint32_t turn = atomic_load(&shared->turn);
	pid_t pid = fork();
	if (pid == 0) {
		/* This line is the parent's. */
		me = number;
		while (atomic_load(&shared->turn) == turn)
			futex_wait(&shared->turn, turn, NULL);
		play();
		_exit(0);
	}
	shared->pids[number] = pid;
}

/* The supervisor passes the turn on when the kernel has closed all that this process had. */
void proc_exit(void)
{
	atomic_store(&shared->leaving, me + 1);
	syscall(SYS_futex, &shared->turn, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	for (;;) {
		if (atomic_load(&shared->leaving) == 0)
			_exit(0);
		usleep(100);
	}
}

static void crashed(int signal_number)
{
	say("CRASH signal %d\n", signal_number);
	atomic_store(&shared->turn, n_lines);
	syscall(SYS_futex, &shared->turn, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	_exit(1);
}

/* ---- the supervisor ---- */

static long now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void see_off(unsigned number)
{
	int pidfd = (int)syscall(SYS_pidfd_open, shared->pids[number], 0);
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	atomic_store(&shared->leaving, 0);
	if (pidfd >= 0) {
		poll(&p, 1, LIMIT_MS);
		close(pidfd);
	}
	usleep(settle_us * 10); /* berthd learns of it by itself */
	pass_turn();
}

/* A process that has ended cannot take its turn. One that ends after it has passed it can. */
static bool is_gone(uint32_t turn)
{
	siginfo_t info = {0};
	pid_t pid = shared->pids[lines[turn].proc];
	bool ended =
		pid == 0 || (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
			     info.si_pid == pid);
	return ended && atomic_load(&shared->turn) == turn;
}

static void supervise(void)
{
	const struct timespec limit = {.tv_nsec = 20000000};
	long start = now_ms();
	for (;;) {
		uint32_t turn = atomic_load(&shared->turn), leaving = atomic_load(&shared->leaving);
		if (turn >= n_lines)
			break;
		if (leaving != 0) {
			see_off(leaving - 1);
			continue;
		}
		if (is_gone(turn)) {
			say("%s = nobody\n", lines[turn].text);
			pass_turn();
			continue;
		}
		if (now_ms() - start > LIMIT_MS) {
			say("HANG\n");
			for (unsigned i = 0; i < MAX_PROCS; i++)
				if (shared->pids[i] > 0)
					kill(shared->pids[i], SIGKILL);
			break;
		}
		futex_wait(&shared->turn, turn, &limit);
	}
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

static void write_all(const char *p, size_t n)
{
	while (n > 0) {
		ssize_t w = write(1, p, n);
		if (w <= 0)
			_exit(1);
		p += w;
		n -= (size_t)w;
	}
}

static void run_here(unsigned k)
{
	char end[32];
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		_exit(1);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	say("program %u\n", k);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGSEGV, crashed);
		signal(SIGBUS, crashed);
		signal(SIGABRT, crashed);
		while (shared->pids[0] == 0)
			usleep(50);
		play();
		_exit(0);
	}
	shared->pids[0] = pid;
	supervise();
	snprintf(end, sizeof(end), "end %u\n", k);
	say("%s", end);
	write_all(shared->out, shared->used);
}

/* ---- programs ---- */

static void parse(const char *text, size_t len)
{
	struct line *l = &lines[n_lines];
	char *save, *w;
	char buf[sizeof(l->text)];
	if (n_lines == MAX_LINES || len == 0 || len >= sizeof(l->text))
		return;
	memset(l, 0, sizeof(*l));
	memcpy(l->text, text, len);
	memcpy(buf, l->text, sizeof(buf));
	w = strtok_r(buf, " ", &save);
	if (w == NULL)
		return;
	l->proc = (unsigned)strtoul(w, NULL, 10) % MAX_PROCS;
	while ((w = strtok_r(NULL, " ", &save)) != NULL && l->n_words < MAX_WORDS) {
		words_used(w);
		snprintf(l->words[l->n_words++], sizeof(l->words[0]), "%s", w);
	}
	if (l->n_words > 0)
		n_lines++;
}

/* Reads the program that begins at p; returns where the next one does, or NULL. */
static const char *read_program(const char *p, unsigned *k)
{
	*k = 0;
	n_lines = 0;
	if (sscanf(p, "program %u", k) != 1)
		return NULL;
	words_begin(*k);
	for (p = strchr(p, '\n'); p != NULL && p[1] != '\0'; p = strchr(p, '\n')) {
		p++;
		if (strncmp(p, "program ", 8) == 0)
			return p;
		parse(p, strcspn(p, "\n"));
	}
	return NULL;
}

static const char *read_file(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return NULL;
	char *text = calloc(1, (size_t)st.st_size + 1);
	if (text != NULL && read(fd, text, (size_t)st.st_size) != st.st_size)
		text[0] = '\0';
	close(fd);
	return text;
}

static void in_namespace(unsigned k)
{
	const char *why = space_enter();
	if (why != NULL) {
		printf("program %u\nskip %s\nend %u\n", k, why, k);
		fflush(stdout);
		_exit(0);
	}
	run_here(k);
	_exit(0);
}

static void in_host(unsigned k, char **argv, const char *path)
{
	char name[16], number[16], a[48], b[48], c[48];
	const char *args[24];
	unsigned n = 0;
	snprintf(name, sizeof(name), "h%u", k);
	snprintf(number, sizeof(number), "%u", k);
	words_address('a', a, sizeof(a));
	words_address('b', b, sizeof(b));
	words_address('6', c, sizeof(c));
	const char *const head[] = {argv[3], "run",  "--network", argv[4], "--host",
				    name,    "--ip", a,		  "--ip",  b};
	for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
		args[n++] = head[i];
	if (argv[5] == NULL || strcmp(argv[5], "4") != 0) {
		args[n++] = "--ip";
		args[n++] = c;
	}
	const char *const tail[] = {"--", "/proc/self/exe", "host", path, number, NULL};
	char self[PATH_MAX] = "";
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		_exit(1);
	for (size_t i = 0; i < sizeof(tail) / sizeof(tail[0]); i++)
		args[n++] = i == 1 ? self : tail[i];
	execv(argv[3], (char *const *)(uintptr_t)args);
	perror(argv[3]);
	_exit(1);
}

int main(int argc, char **argv)
{
	unsigned k, wanted = UINT_MAX;
	const char *p = argc >= 3 ? read_file(argv[2]) : NULL;
	const char *settle = getenv("ORACLE_SETTLE_US");
	if (settle != NULL)
		settle_us = (unsigned)atoi(settle);
	bool berth = argc >= 5 && strcmp(argv[1], "berth") == 0;
	bool host = argc == 4 && strcmp(argv[1], "host") == 0;
	if (p == NULL || (!berth && !host && strcmp(argv[1], "kernel") != 0)) {
		fprintf(stderr,
			"oracle-exec: kernel FILE | berth FILE BERTH NETWORK [4] | host FILE K\n");
		return 2;
	}
	if (host)
		wanted = (unsigned)atoi(argv[3]);
	while (p != NULL) {
		p = read_program(p, &k);
		if (host) {
			if (k == wanted) {
				run_here(k);
				return 0;
			}
			continue;
		}
		pid_t pid = fork();
		if (pid == 0) {
			if (berth)
				in_host(k, argv, argv[2]);
			in_namespace(k);
		}
		waitpid(pid, NULL, 0);
	}
	return 0;
}
