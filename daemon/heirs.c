/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets that were renewed (BT_DISCONNECT) while other processes may hold the old descriptor: who
 * does comes for the new one. We keep a copy of that as long as the kernel knows the old one's
 * name, and so the socket lives as long as any of its holders, whichever descriptor he has.
 */
#include "daemon.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_HEIRS 1024u /* beyond it, the others' descriptors stay dead */

struct heir {
	struct heir *next;
	struct bt_ident old, now;
	uint16_t host;
	bool by_path; /* of the old one's name */
	int fd;	      /* -1: has not come yet */
};

static struct heir *heirs;
static uint32_t n_heirs;

static bool same(const struct bt_ident *a, const struct bt_ident *b)
{
	return a->slot == b->slot && a->gen == b->gen && a->nonce == b->nonce;
}

void d_heir_expect(uint16_t host, const struct bt_ident *old, bool by_path,
		   const struct bt_ident *now)
{
	struct heir *h = n_heirs < MAX_HEIRS ? malloc(sizeof(*h)) : NULL;
	if (h == NULL)
		return;
	*h = (struct heir){heirs, *old, *now, host, by_path, -1};
	heirs = h;
	n_heirs++;
}

static void drop(struct daemon *d, struct heir **p)
{
	struct heir *h = *p;
	*p = h->next;
	n_heirs--;
	if (h->fd >= 0) {
		close(h->fd);
		d_verify_ident(d, &h->now);
	}
	free(h);
}

void d_heirs_look(struct daemon *d)
{
	for (struct heir **p = &heirs; *p != NULL;) {
		if (d_name_free(d, &(*p)->old, SOCK_STREAM, (*p)->by_path))
			drop(d, p);
		else
			p = &(*p)->next;
	}
}

bool d_heirs(void)
{
	return n_heirs > 0;
}

bool d_heir_of(const struct bt_ident *old)
{
	for (const struct heir *h = heirs; h != NULL; h = h->next)
		if (same(&h->old, old))
			return true;
	return false;
}

void d_heir_keep(struct daemon *d, const struct bt_ident *now, int fd)
{
	for (struct heir *h = heirs; h != NULL; h = h->next)
		if (h->fd < 0 && same(&h->now, now))
			h->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	d_heirs_look(d); /* perhaps nobody has the old one */
}

int d_heir_find(uint16_t host, const struct bt_ident *old, struct bt_ident *now)
{
	for (const struct heir *h = heirs; h != NULL; h = h->next)
		if (h->fd >= 0 && h->host == host && same(&h->old, old)) {
			*now = h->now;
			return h->fd;
		}
	return -1;
}
