/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets' names in the kernel: abstract ones, and files where there are many (proto/name.h). */
#include "daemon.h"

#include "../proto/name.h"

#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Files of closed sockets, 2 us each, wait for a moment when perhaps nobody waits for berthd. */
#define DROP_NS (5 * D_MS)

/* Sockets' files are good for what they save only where making one writes to no disk. */
void d_names_open(struct daemon *d)
{
	char made[512], *path;
	struct statfs fs;
	memset(d->table->names, 0, sizeof(d->table->names));
	snprintf(made, sizeof(made), "%s/n", d->dir);
	if ((mkdir(made, 0700) < 0 && errno != EEXIST) || statfs(made, &fs) < 0 ||
	    (fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC))
		return;
	path = realpath(made, NULL);
	if (path != NULL && strlen(path) < sizeof(d->table->names))
		memcpy(d->table->names, path, strlen(path));
	free(path);
}

void d_names_clear(struct daemon *d, bool all)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	const char *names = d->table->names;
	DIR *dir = names[0] == '\0' ? NULL : opendir(names);
	struct dirent *e;
	while (dir != NULL && (e = readdir(dir)) != NULL) {
		struct bt_ident id;
		int n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/%.52s", names, e->d_name);
		socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n + 1);
		if (e->d_name[0] == '.')
			continue;
		if (!all && bt_name_parse(&sun, len, d->netid, &id) && id.slot < BT_MAX_ROWS &&
		    d_row(d, id.slot)->gen == id.gen && d_named(d_row(d, id.slot)))
			continue;
		unlinkat(dirfd(dir), e->d_name, 0);
	}
	if (dir != NULL)
		closedir(dir);
}

bool d_named(const struct bt_row *r)
{
	return r->state != BT_ROW_FREE && r->state != BT_ROW_TIME_WAIT &&
	       !(r->flags & (BT_ROWF_CHILD | BT_ROWF_ORPHAN | BT_ROWF_ALIAS));
}

int d_join(struct daemon *d, int fd, uint32_t slot)
{
	const struct bt_row *r = d_row(d, slot);
	const struct bt_ident id = {slot, r->gen, r->nonce};
	struct sockaddr_un sun;
	socklen_t len =
		r->marks & BT_ROWM_PATH ? bt_name_path(&sun, d->table->names, d->netid, &id) : 0;
	if (len != 0 && connect(fd, (struct sockaddr *)&sun, len) == 0)
		return 0;
	if (len != 0 && errno != ENOENT)
		return -1;
	len = bt_name_make(&sun, d->netid, &id); /* its maker did not reach the directory */
	return connect(fd, (struct sockaddr *)&sun, len);
}

bool d_file_free(struct daemon *d, const struct bt_ident *id)
{
	struct sockaddr_un sun;
	socklen_t len = bt_name_path(&sun, d->table->names, d->netid, id);
	int fd = len == 0 ? -1 : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	bool free = connect(fd, (struct sockaddr *)&sun, len) < 0 && errno == ECONNREFUSED;
	close(fd);
	return free;
}

static void drop_all(struct daemon *d)
{
	struct sockaddr_un sun;
	for (uint32_t i = 0; i < d->n_drops; i++)
		if (bt_name_path(&sun, d->table->names, d->netid, &d->drops[i]) != 0)
			unlink(sun.sun_path);
	d->n_drops = 0;
}

void d_name_changed(struct daemon *d, uint32_t slot, const struct bt_row *old, bool has)
{
	bool had = d_named(old);
	if (had == has)
		return;
	if (!(old->marks & BT_ROWM_PATH)) {
		d->n_named += has ? 1 : UINT32_MAX;
	} else if (had) {
		if (d->n_drops == 0)
			d_timer_start(d, D_DROP, drop_all, DROP_NS, 0);
		d->drops[d->n_drops++] = (struct bt_ident){slot, old->gen, old->nonce};
		if (d->n_drops == D_DROPS)
			drop_all(d);
	}
}
