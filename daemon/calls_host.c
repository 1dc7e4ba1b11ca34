/* SPDX-License-Identifier: Apache-2.0 */
/* Hello, and the requests about hosts: their making, names and settings. */
#include "calls.h"

#include "tap.h"

#include "../lib/sock/sysctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- settings ---- */

/* All of the host's, a line each: "name = value". */
static int all_settings(struct call *k, uint16_t host, char *text, size_t room)
{
	size_t n = 0;
	const char *name;
	for (unsigned i = 0; (name = bt_sysctl_name(i)) != NULL; i++) {
		int head = snprintf(text + n, room - n, "%s = ", name);
		int len = head < 0 || (size_t)head >= room - n
				  ? -ENOSPC
				  : bt_sysctl_get(k->d->net, host, name, text + n + head,
						  room - n - (size_t)head);
		if (len < 0)
			return len;
		n += (size_t)(head + len);
	}
	return (int)n;
}

int d_call_sysctl(struct call *k)
{
	static char text[BT_MSG_MAX - sizeof(struct bt_rep)];
	uint16_t host = k->c->host;
	const char *name = (const char *)k->extra;
	size_t len = strnlen(name, k->req->extra);
	char key[128];
	int r;
	if (host == BT_NET_NO_HOST)
		host = k->req->value < BT_NET_NO_HOST ? (uint16_t)k->req->value : BT_NET_NO_HOST;
	if (bt_net_host(k->d->net, host) == NULL || len >= sizeof(key))
		return -ENOENT;
	memcpy(key, name, len);
	key[len] = '\0';
	if (k->req->flags & BT_REQF_WRITE) {
		if (len == k->req->extra) /* no NUL: no text */
			return -EPROTO;
		if (k->c->host != BT_NET_NO_HOST && !(k->c->root && k->req->flags & BT_REQF_ROOT))
			return bt_sysctl_get(k->d->net, host, key, text, sizeof(text)) == -ENOENT
				       ? -ENOENT
				       : -EACCES;
		r = bt_sysctl_set(k->d->net, host, key, name + len + 1, k->req->extra - len - 1);
		k->rep.value = r > 0 ? (uint32_t)r : 0;
		d_publish_host(k->d, host);
		d_wire_settings(k->d, host);
		return r < 0 ? r : 0;
	}
	r = len == 0 ? all_settings(k, host, text, sizeof(text))
		     : bt_sysctl_get(k->d->net, host, key, text, sizeof(text));
	if (r < 0)
		return r;
	k->rep_extra = text;
	k->rep.extra = (uint32_t)r;
	return 0;
}

/* ---- names ---- */

int d_call_resolve(struct call *k)
{
	static uint8_t out[BT_NET_ADDRS][16];
	char name[BT_NET_NAME];
	if (k->req->extra == 0 || k->req->extra >= sizeof(name))
		return -ENOENT;
	memcpy(name, k->extra, k->req->extra);
	name[k->req->extra] = '\0';
	const struct bt_net_host *h = bt_net_host(k->d->net, bt_net_host_by_name(k->d->net, name));
	if (h == NULL)
		return -ENOENT;
	uint16_t n = 0;
	for (uint16_t i = h->n_addrs > 2 ? 2 : 0; i < h->n_addrs; i++)
		memcpy(out[n++], h->addrs[i].addr.b, 16);
	k->rep_extra = out;
	k->rep.extra = n * 16u;
	return 0;
}

int d_call_reverse(struct call *k)
{
	uint16_t host = bt_addr_is_loopback(&k->addr) ? k->c->host
						      : bt_net_host_by_addr(k->d->net, &k->addr);
	const struct bt_net_host *h = bt_net_host(k->d->net, host);
	if (h == NULL)
		return -ENOENT;
	k->rep_extra = bt_addr_is_loopback(&k->addr) ? "localhost" : h->name;
	k->rep.extra = (uint32_t)strlen(k->rep_extra) + 1;
	return 0;
}

/* ---- hello and the command line ---- */

int d_call_hello(struct call *k)
{
	struct daemon *d = k->d;
	uint64_t who, host;
	uint8_t good[BT_TOKEN_BYTES];
	if (k->c->hello)
		return -EPROTO;
	if (k->req->extra == BT_TOKEN_BYTES) {
		memcpy(&who, k->extra, sizeof(who));
		host = (uint16_t)who;
		d_mac(d, who, good);
		uint8_t differ = 0;
		for (size_t i = 0; i < sizeof(good); i++)
			differ |= (uint8_t)(good[i] ^ k->extra[i]);
		if (differ != 0 || host >= bt_net_hosts(d->net)) {
			d_count(d, BT_CNT_STRANGER);
			return -EACCES;
		}
		k->c->host = (uint16_t)host;
		k->c->root = !(who & BT_TOKEN_UNPRIVILEGED) && who >> 32 == k->c->uid;
		k->rep.value = (uint32_t)host;
	} else if (k->req->extra == 0 && (k->c->uid == 0 || k->c->uid == d->table->owner_uid)) {
		k->c->admin = true;
	} else {
		d_count(d, BT_CNT_STRANGER);
		return -EACCES;
	}
	k->c->hello = true;
	if (k->c->host != BT_NET_NO_HOST)
		d_program_joined(k->c->pid);
	k->fd = d->table_ro_fd;
	return 0;
}

static int new_host(struct call *k, char *name, uint16_t *host)
{
	if (name[0] != '\0')
		return bt_net_host_add(k->d->net, name, host);
	int r;
	do {
		snprintf(name, BT_NET_NAME, "host%u", ++k->d->auto_host);
		r = bt_net_host_add(k->d->net, name, host);
	} while (r == -EEXIST);
	return r;
}

/* The next address of 10.64.0.0/16 that no host has. */
static int auto_addr(struct call *k, uint16_t host)
{
	uint16_t owner;
	for (uint32_t n = 1; n < 65534; n++) {
		struct bt_net_addr a = {
			.addr = bt_addr_v4(0x0a400000u + n), .bits = 16, .family = BT_V4};
		if ((n & 255) == 0 || (n & 255) == 255 ||
		    bt_net_host_by_addr(k->d->net, &a.addr) != BT_NET_NO_HOST)
			continue;
		return bt_net_addr_add(k->d->net, host, &a, &owner);
	}
	return -ENOSPC;
}

int d_call_host_open(struct call *k)
{
	static uint8_t token[BT_TOKEN_BYTES];
	struct daemon *d = k->d;
	struct bt_host_open open;
	uint16_t host, owner;
	if (k->req->extra != sizeof(open))
		return -EPROTO;
	memcpy(&open, k->extra, sizeof(open));
	open.name[sizeof(open.name) - 1] = '\0';
	if (open.n_addrs > BT_HOST_ADDRS || open.unprivileged > 1)
		return -EPROTO;
	/* All or nothing: who has the addresses is asked before the host is made. */
	uint16_t old = bt_net_host_by_name(d->net, open.name);
	struct bt_net_addr a[BT_HOST_ADDRS];
	for (uint16_t i = 0; i < open.n_addrs; i++) {
		memcpy(a[i].addr.b, open.addrs[i].addr, 16);
		a[i].bits = open.addrs[i].bits;
		a[i].family = open.addrs[i].family;
		owner = bt_net_host_by_addr(d->net, &a[i].addr);
		if (owner != BT_NET_NO_HOST && owner != old) {
			k->rep_extra = bt_net_host(d->net, owner)->name;
			k->rep.extra = (uint32_t)strlen(k->rep_extra) + 1;
			return -EADDRINUSE;
		}
	}
	int r = new_host(k, open.name, &host);
	if (r < 0 && r != -EEXIST)
		return r;
	bool made = r == 0;
	r = 0;
	for (uint16_t i = 0; i < open.n_addrs && r == 0; i++)
		r = bt_net_addr_add(d->net, host, &a[i], &owner);
	if (made && open.n_addrs == 0)
		r = auto_addr(k, host);
	d_publish_host(d, host);
	d_wire_host_changed(d, host);
	if (r < 0)
		return r;
	d_launch(d, k->c->pid);
	d_mac(d, host | (open.unprivileged ? BT_TOKEN_UNPRIVILEGED : 0) | (uint64_t)k->c->uid << 32,
	      token);
	k->rep.value = host;
	k->rep_extra = token;
	k->rep.extra = sizeof(token);
	return 0;
}

/* The next of the words that NULs end; NULL: none. */
static const char *word(const uint8_t **at, size_t *left)
{
	const char *w = (const char *)*at;
	size_t len = strnlen(w, *left);
	if (len == *left)
		return NULL;
	*at += len + 1;
	*left -= len + 1;
	return w;
}

/* The two hosts that a request names first; b BT_NET_NO_HOST: everybody. 0, -EPROTO, -ENOENT. */
static int two_hosts(const struct call *k, const uint8_t **at, size_t *left, uint16_t *a,
		     uint16_t *b)
{
	const char *first = word(at, left), *second = first == NULL ? NULL : word(at, left);
	if (second == NULL)
		return -EPROTO;
	*a = bt_net_host_by_name(k->d->net, first);
	*b = *second == '\0' ? BT_NET_NO_HOST : bt_net_host_by_name(k->d->net, second);
	return *a == BT_NET_NO_HOST || (*second != '\0' && (*b == BT_NET_NO_HOST || *b == *a))
		       ? -ENOENT
		       : 0;
}

int d_call_link_set(struct call *k)
{
	static char error[BT_LINK_TEXT];
	const uint8_t *at = k->extra;
	size_t left = k->req->extra;
	struct bt_link_settings s = bt_link_perfect;
	uint16_t a, b;
	int r = two_hosts(k, &at, &left, &a, &b);
	const char *text = r == -EPROTO ? NULL : word(&at, &left);
	if (text == NULL)
		return -EPROTO;
	if (r < 0)
		return r;
	d_link_get(k->d, a, b, &s);
	if (!bt_link_read(text, &s, error)) {
		k->rep_extra = error;
		k->rep.extra = (uint32_t)strlen(error) + 1;
		return -EINVAL;
	}
	return d_link_set(k->d, a, b, &s);
}

int d_call_link_clear(struct call *k)
{
	const uint8_t *at = k->extra;
	size_t left = k->req->extra;
	uint16_t a, b;
	int r = two_hosts(k, &at, &left, &a, &b);
	if (r < 0)
		return r;
	bool was = k->req->flags & BT_REQF_TAP ? d_tap_clear(k->d, a) : d_link_clear(k->d, a, b);
	d_wire_turn(k->d);
	return was ? 0 : -ENXIO;
}

int d_call_tap_set(struct call *k)
{
	static char error[BT_LINK_TEXT];
	struct bt_tap_set set;
	struct bt_link_settings s = bt_link_perfect;
	const uint8_t *at = k->extra + sizeof(set);
	size_t left = k->req->extra - sizeof(set);
	const char *text = k->req->extra < sizeof(set) ? NULL : word(&at, &left);
	if (text == NULL)
		return -EPROTO;
	memcpy(&set, k->extra, sizeof(set));
	set.host[sizeof(set.host) - 1] = set.name[sizeof(set.name) - 1] = '\0';
	uint16_t host = bt_net_host_by_name(k->d->net, set.host);
	if (host == BT_NET_NO_HOST)
		return -ENOENT;
	d_tap_get(host, &s);
	if (!bt_link_read(text, &s, error)) {
		k->rep_extra = error;
		k->rep.extra = (uint32_t)strlen(error) + 1;
		return -EINVAL;
	}
	return d_tap_set(k->d, host, k->proof, &set, &s);
}

int d_call_link_show(struct call *k)
{
	static char text[BT_MSG_MAX - sizeof(struct bt_rep)];
	char *lines = d_link_show(k->d);
	if (lines == NULL)
		return -ENOMEM;
	snprintf(text, sizeof(text), "%s", lines);
	free(lines);
	k->rep_extra = text;
	k->rep.extra = (uint32_t)strlen(text) + 1;
	return 0;
}

int d_call_ping(struct call *k)
{
	if (k->req->value >= bt_net_hosts(k->d->net))
		return -ENOENT;
	k->fd = d_ping_open(k->d, (uint16_t)k->req->value, k->addr);
	k->close_fd = k->fd >= 0;
	return k->fd < 0 ? k->fd : 0;
}

int d_call_capture(struct call *k)
{
	struct daemon *d = k->d;
	const uint8_t *at = k->extra;
	size_t left = k->req->extra;
	uint16_t hosts[2];
	for (unsigned i = 0; i < 2; i++) {
		const char *name = word(&at, &left);
		if (name == NULL)
			return -EPROTO;
		hosts[i] = *name == '\0' ? BT_NET_NO_HOST : bt_net_host_by_name(d->net, name);
		if (*name != '\0' && hosts[i] == BT_NET_NO_HOST)
			return -ENOENT;
	}
	int r = d_wire_open(d);
	k->fd = r == 0 ? d_capture_add(d, hosts[0], hosts[1]) : r;
	k->close_fd = k->fd >= 0;
	return k->fd < 0 ? k->fd : 0;
}
