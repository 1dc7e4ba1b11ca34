/* SPDX-License-Identifier: Apache-2.0 */
#include "holders.h"

#include "cli.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENVIRON_MAX = 1 << 20, NAMED_PROGRAMS = 8 };

/* Spreads inode numbers, which come in runs. */
static uint32_t place_of(const struct bt_holders *h, uint32_t ino)
{
	return (ino * 2654435769u) & (h->places - 1);
}

void bt_holders_init(struct bt_holders *h, uint32_t n)
{
	*h = (struct bt_holders){.places = 64};
	/* At most half full, so that a search always meets a free place. */
	while (h->places < (uint64_t)n * 2 && h->places < 1u << 31)
		h->places *= 2;
	h->wanted = calloc(h->places, sizeof(*h->wanted));
	if (!h->wanted)
		h->places = 0;
}

static struct bt_wanted *find(const struct bt_holders *h, uint32_t ino)
{
	if (h->places == 0)
		return NULL;
	uint32_t at = place_of(h, ino);
	while (h->wanted[at].ino != 0 && h->wanted[at].ino != ino)
		at = (at + 1) & (h->places - 1);
	return &h->wanted[at];
}

void bt_holders_want(struct bt_holders *h, uint32_t ino)
{
	struct bt_wanted *w = ino ? find(h, ino) : NULL;
	if (!w || w->ino || h->n_wanted >= h->places / 2)
		return;
	*w = (struct bt_wanted){.ino = ino, .first = UINT32_MAX};
	h->n_wanted++;
}

static int parse_pid(const char *name)
{
	char *end;
	long v = strtol(name, &end, 10);
	return *end == '\0' && v > 0 && v < 1 << 30 ? (int)v : 0;
}

bool bt_program_name(int pid, char name[BT_COMM])
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, name, BT_COMM - 1) : -1;
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return false;
	name[n] = '\0';
	name[strcspn(name, "\n")] = '\0';
	return true;
}

static void add_holder(struct bt_holders *h, struct bt_wanted *w, uint32_t program, int fd)
{
	if (h->n_holders == h->holder_room)
		h->holders = bt_grow(h->holders, &h->holder_room, sizeof(*h->holders));
	h->holders[h->n_holders] = (struct bt_holder){program, fd, w->first};
	w->first = (uint32_t)h->n_holders++;
}

static uint32_t add_program(struct bt_holders *h, int pid)
{
	if (h->n_programs == h->program_room)
		h->programs = bt_grow(h->programs, &h->program_room, sizeof(*h->programs));
	struct bt_program *p = &h->programs[h->n_programs];
	p->pid = pid;
	if (!bt_program_name(pid, p->name))
		memcpy(p->name, "?", 2);
	return (uint32_t)h->n_programs++;
}

/* ---- the walk ---- */

/* Reading the links of 100,000 descriptors is most of the time of `berth ss -p`, so threads take
 * one process after the other. (Two in one directory would be in each other's way.) */
struct process {
	int pid;
	unsigned worker;
	size_t first, n; /* of its worker's finds */
};

struct find {
	uint32_t place; /* in wanted */
	int fd;
};

struct walk {
	const struct bt_holders *h;
	struct process *list;
	size_t n, room;
	_Atomic size_t next;
};

struct worker {
	struct walk *walk;
	struct find *finds;
	size_t n, room;
	unsigned number;
	pthread_t thread;
	bool runs;
};

enum { MAX_WORKERS = 8 };

/* "socket:[123]"; 0: something else. */
static uint32_t socket_inode(const char *link, size_t n)
{
	static const char head[] = "socket:[";
	uint32_t v = 0;
	if (n < sizeof(head) || memcmp(link, head, sizeof(head) - 1) != 0)
		return 0;
	for (size_t i = sizeof(head) - 1; i < n && link[i] >= '0' && link[i] <= '9'; i++)
		v = v * 10 + (uint32_t)(link[i] - '0');
	return v;
}

/* False: there is no such descriptor. */
static bool look(struct worker *me, int dir, const char *name, int fd)
{
	const struct bt_holders *h = me->walk->h;
	char link[64];
	ssize_t n = readlinkat(dir, name, link, sizeof(link));
	uint32_t ino = n > 0 ? socket_inode(link, (size_t)n) : 0;
	const struct bt_wanted *w = ino ? find(h, ino) : NULL;
	if (!w || w->ino != ino)
		return n > 0;
	if (me->n == me->room)
		me->finds = bt_grow(me->finds, &me->room, sizeof(*me->finds));
	me->finds[me->n++] = (struct find){(uint32_t)(w - h->wanted), fd};
	return true;
}

/* Most programs' descriptors are numbered without many gaps: to try one after the other costs less
 * than to list them first. Since Linux 6.2 the directory's size is their number; before, it is 0.
 * False: that was not all. */
static bool walk_numbers(struct worker *me, int dir)
{
	struct stat st;
	off_t found = 0, missing = 0;
	if (fstat(dir, &st) != 0 || st.st_size == 0)
		return false;
	for (int fd = 0; found < st.st_size && missing <= st.st_size / 8; fd++) {
		char text[16], *p = text + sizeof(text) - 1;
		*p = '\0';
		for (int v = fd; v || !*p; v /= 10)
			*--p = (char)('0' + v % 10);
		if (look(me, dir, p, fd))
			found++;
		else
			missing++;
	}
	return found == st.st_size;
}

static void walk_process(struct worker *me, struct process *process)
{
	char path[64];
	process->worker = me->number;
	process->first = me->n;
	snprintf(path, sizeof(path), "/proc/%d/fd", process->pid);
	DIR *dir = opendir(path);
	if (!dir)
		return;
	if (!walk_numbers(me, dirfd(dir))) {
		me->n = process->first;
		for (struct dirent *d; (d = readdir(dir));) {
			if (d->d_name[0] != '.')
				look(me, dirfd(dir), d->d_name, atoi(d->d_name));
		}
	}
	closedir(dir);
	process->n = me->n - process->first;
}

static void *work(void *arg)
{
	struct worker *me = arg;
	struct walk *walk = me->walk;
	for (size_t i; (i = atomic_fetch_add(&walk->next, 1)) < walk->n;)
		walk_process(me, &walk->list[i]);
	return NULL;
}

static void list_processes(struct walk *walk)
{
	DIR *proc = opendir("/proc");
	for (struct dirent *d; proc && (d = readdir(proc));) {
		int pid = parse_pid(d->d_name);
		if (!pid || pid == getpid())
			continue;
		if (walk->n == walk->room)
			walk->list = bt_grow(walk->list, &walk->room, sizeof(*walk->list));
		walk->list[walk->n++] = (struct process){.pid = pid};
	}
	if (proc)
		closedir(proc);
}

/* In the order of the processes, whichever thread was first. */
static void gather(struct bt_holders *h, const struct walk *walk, const struct worker *workers)
{
	for (size_t i = 0; i < walk->n; i++) {
		const struct process *process = &walk->list[i];
		if (process->n == 0)
			continue;
		const struct find *f = workers[process->worker].finds + process->first;
		uint32_t program = add_program(h, process->pid);
		for (size_t k = 0; k < process->n; k++)
			add_holder(h, &h->wanted[f[k].place], program, f[k].fd);
	}
}

/* One for each CPU that we may use; for few sockets, to start a thread costs more than it saves. */
static unsigned workers_for(const struct bt_holders *h)
{
	enum { WORTH_IT = 2000 };
	cpu_set_t set;
	if (h->n_wanted < WORTH_IT || sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	int n = CPU_COUNT(&set);
	return n < 1 ? 1 : n > MAX_WORKERS ? MAX_WORKERS : (unsigned)n;
}

void bt_holders_walk(struct bt_holders *h)
{
	struct worker workers[MAX_WORKERS] = {{.walk = NULL}};
	struct walk walk = {.h = h};
	unsigned n = workers_for(h);
	if (h->n_wanted == 0)
		return;
	list_processes(&walk);
	for (unsigned i = 0; i < n; i++) {
		struct worker *w = &workers[i];
		w->walk = &walk;
		w->number = i;
		w->runs = i > 0 && pthread_create(&w->thread, NULL, work, w) == 0;
	}
	work(&workers[0]);
	for (unsigned i = 1; i < n; i++) {
		if (workers[i].runs)
			pthread_join(workers[i].thread, NULL);
	}
	gather(h, &walk, workers);
	for (unsigned i = 0; i < n; i++)
		free(workers[i].finds);
	free(walk.list);
}

const struct bt_holder *bt_holders_of(const struct bt_holders *h, uint32_t ino)
{
	const struct bt_wanted *w = ino ? find(h, ino) : NULL;
	if (!w || w->ino != ino || w->first == UINT32_MAX)
		return NULL;
	return &h->holders[w->first];
}

const struct bt_holder *bt_holders_next(const struct bt_holders *h, const struct bt_holder *of)
{
	return of->next == UINT32_MAX ? NULL : &h->holders[of->next];
}

void bt_holders_done(struct bt_holders *h)
{
	free(h->wanted);
	free(h->programs);
	free(h->holders);
	*h = (struct bt_holders){0};
}

/* ---- programs of a network ---- */

/* The value of NAME= in an environment as /proc has it: strings one after the other, n bytes, then
 * a NUL. */
static const char *env_value(const char *env, size_t n, const char *name)
{
	size_t len = strlen(name);
	for (const char *p = env; p < env + n; p += strlen(p) + 1) {
		if (strncmp(p, name, len) == 0 && p[len] == '=')
			return p + len + 1;
	}
	return NULL;
}

static size_t read_environ(int pid, char *env, size_t size)
{
	char path[64];
	size_t used = 0;
	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	for (ssize_t n; used < size - 1 && (n = read(fd, env + used, size - 1 - used)) > 0;)
		used += (size_t)n;
	close(fd);
	env[used] = '\0';
	return used;
}

void bt_programs_of(uint64_t netid, char *text, size_t size)
{
	char want[32], name[BT_COMM];
	char *env = malloc(ENVIRON_MAX);
	DIR *proc = env ? opendir("/proc") : NULL;
	size_t used = 0;
	unsigned count = 0;
	*text = '\0';
	snprintf(want, sizeof(want), "%016llx:", (unsigned long long)netid);
	for (struct dirent *d; proc && (d = readdir(proc));) {
		int pid = parse_pid(d->d_name);
		if (!pid || pid == getpid())
			continue;
		size_t n = read_environ(pid, env, ENVIRON_MAX);
		const char *token = env_value(env, n, "BERTH_TOKEN");
		if (n == 0 || !token || strncmp(token, want, strlen(want)) != 0)
			continue;
		if (++count > NAMED_PROGRAMS || !bt_program_name(pid, name))
			continue;
		const char *host = env_value(env, n, "BERTH_HOST");
		int k = snprintf(text + used, size - used, "%s%.63s: %s (%d)", used ? ", " : "",
				 host ? host : "?", name, pid);
		if (k > 0 && (size_t)k < size - used)
			used += (size_t)k;
		else
			text[used] = '\0';
	}
	if (count > NAMED_PROGRAMS && used < size)
		snprintf(text + used, size - used, " and %u more", count - NAMED_PROGRAMS);
	if (proc)
		closedir(proc);
	free(env);
}
