/* SPDX-License-Identifier: Apache-2.0 */
#include "holders.h"

#include "cli.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* "socket:[123]" */
static uint32_t socket_inode(const char *link)
{
	static const char head[] = "socket:[";
	if (strncmp(link, head, sizeof(head) - 1) != 0)
		return 0;
	return (uint32_t)strtoul(link + sizeof(head) - 1, NULL, 10);
}

static void walk_process(struct bt_holders *h, int pid)
{
	char path[64], link[64];
	uint32_t program = UINT32_MAX;
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	DIR *dir = opendir(path);
	if (!dir)
		return;
	for (struct dirent *d; (d = readdir(dir));) {
		ssize_t n = readlinkat(dirfd(dir), d->d_name, link, sizeof(link) - 1);
		if (n <= 0)
			continue;
		link[n] = '\0';
		uint32_t ino = socket_inode(link);
		struct bt_wanted *w = ino ? find(h, ino) : NULL;
		if (!w || w->ino != ino)
			continue;
		if (program == UINT32_MAX) {
			if (h->n_programs == h->program_room)
				h->programs = bt_grow(h->programs, &h->program_room,
						      sizeof(*h->programs));
			program = (uint32_t)h->n_programs++;
			h->programs[program].pid = pid;
			if (!bt_program_name(pid, h->programs[program].name))
				memcpy(h->programs[program].name, "?", 2);
		}
		add_holder(h, w, program, atoi(d->d_name));
	}
	closedir(dir);
}

void bt_holders_walk(struct bt_holders *h)
{
	DIR *proc = h->n_wanted ? opendir("/proc") : NULL;
	if (!proc)
		return;
	for (struct dirent *d; (d = readdir(proc));) {
		int pid = parse_pid(d->d_name);
		if (pid && pid != getpid())
			walk_process(h, pid);
	}
	closedir(proc);
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
