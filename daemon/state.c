/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#include "../lib/base/siphash.h"
#include "errors.h"
#include "tap.h"
#include "vals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

uint64_t d_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Nonces: a keyed counter, one key a berthd life (the first half of it is fresh at each start). */
uint64_t d_random(struct daemon *d)
{
	uint64_t n[2] = {++d->nonce_count, d->table->started_s};
	return bt_siphash(d->key, n, sizeof(n));
}

void d_mac(const struct daemon *d, uint64_t host, uint8_t token[BT_TOKEN_BYTES])
{
	uint64_t m[2] = {host, d->netid}, a = bt_siphash(d->key, m, sizeof(m)),
		 b = bt_siphash(d->key + 16, m, sizeof(m));
	memcpy(token, &host, 8);
	memcpy(token + 8, &a, 8);
	memcpy(token + 16, &b, 8);
}

void d_count(struct daemon *d, enum bt_counter c)
{
	atomic_fetch_add_explicit(&d->table->counters[c], 1, memory_order_relaxed);
}

/* Reads a small file of the network's directory; where it is not there or cut short, writes what
 * `bytes` holds. */
static int keep(struct daemon *d, const char *name, void *bytes, size_t len)
{
	uint8_t found[64];
	char path[512], fresh[512];
	snprintf(path, sizeof(path), "%s/%s", d->dir, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0) {
		bool whole = read(fd, found, len) == (ssize_t)len;
		close(fd);
		if (whole) {
			memcpy(bytes, found, len);
			return 0;
		}
	}
	/* By rename: a reader finds it whole or not at all. */
	snprintf(fresh, sizeof(fresh), "%s/%s.new", d->dir, name);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	int r = write(fd, bytes, len) == (ssize_t)len ? 0 : -EIO;
	close(fd);
	if (r == 0 && rename(fresh, path) < 0)
		r = -errno;
	return r;
}

static bool table_usable(const struct daemon *d)
{
	const struct bt_table *t = d->table;
	return t->magic == BT_TABLE_MAGIC && t->version == BT_TABLE_VERSION &&
	       t->row_bytes == sizeof(struct bt_row) && t->capacity == BT_MAX_ROWS &&
	       t->rows_offset == BT_ROWS_OFFSET && t->netid == d->netid;
}

static int table_open(struct daemon *d)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/table", d->dir);
	d->table_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (d->table_fd < 0 || ftruncate(d->table_fd, (off_t)BT_TABLE_BYTES) < 0)
		return -errno;
	d->table_ro_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (d->table_ro_fd < 0)
		return -errno;
	d->table = mmap(NULL, BT_TABLE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, d->table_fd, 0);
	if (d->table == MAP_FAILED)
		return -errno;
	return 0;
}

int d_state_open(struct daemon *d)
{
	uint8_t netkey[16];
	char hex[17], *end;
	int r = 0;
	if (getrandom(d->key, sizeof(d->key), 0) < 0 ||
	    getrandom(&d->netid, sizeof(d->netid), 0) < 0)
		r = -EIO;
	snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)d->netid);
	if (r == 0)
		r = keep(d, "key", d->key, sizeof(d->key));
	if (r == 0)
		r = keep(d, "netid", hex, 16);
	d->netid = strtoull(hex, &end, 16);
	if (end != hex + 16)
		r = -EINVAL;
	if (r == 0)
		r = table_open(d);
	if (r == 0 && getrandom(netkey, sizeof(netkey), 0) != sizeof(netkey))
		r = -EIO;
	if (r == 0) {
		d->net = bt_net_new(netkey, BT_MAX_ROWS);
		d->owners = calloc(BT_MAX_ROWS / OWNER_CHUNK, sizeof(d->owners[0]));
		if (d->net == NULL || d->owners == NULL)
			r = -ENOMEM;
	}
	if (r < 0) {
		fprintf(stderr, "berthd: cannot open the network's files in %s: %s\n", d->dir,
			strerror(-r));
		return r;
	}
	/* A berthd that crashed may have reused nonces' counters: start from fresh random bits. */
	if (getrandom(&d->nonce_count, sizeof(d->nonce_count), 0) < 0)
		return -errno;
	struct bt_table *t = d->table;
	if (table_usable(d)) {
		t->daemon_pid = getpid();
		t->started_s = (uint64_t)time(NULL);
		atomic_store(&t->metered, 0);
		d_names_open(d);
		d_recover(d);
		d_names_clear(d, false);
		return 0;
	}
	t->magic = 0;
	t->version = BT_TABLE_VERSION;
	t->row_bytes = sizeof(struct bt_row);
	t->capacity = BT_MAX_ROWS;
	t->rows_offset = BT_ROWS_OFFSET;
	t->netid = d->netid;
	snprintf(t->network, sizeof(t->network), "%s", d->network);
	t->owner_uid = geteuid();
	t->daemon_pid = getpid();
	t->started_s = (uint64_t)time(NULL);
	d_names_open(d);
	d_names_clear(d, true);
	t->magic = BT_TABLE_MAGIC;
	return 0;
}

bool d_state_ours(const struct daemon *d)
{
	struct stat ours, there;
	char path[512];
	snprintf(path, sizeof(path), "%s/lock", d->dir);
	return fstat(d->lock_fd, &ours) == 0 && stat(path, &there) == 0 &&
	       ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

void d_state_remove(struct daemon *d)
{
	static const char *const files[] = {"table", "key", "netid", "lock"};
	char path[512];
	if (!d_state_ours(d)) /* somebody has removed it, and another berthd may have begun there */
		return;
	d_names_clear(d, true);
	snprintf(path, sizeof(path), "%s/n", d->dir);
	rmdir(path);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", d->dir, files[i]);
		unlink(path);
	}
	rmdir(d->dir);
}

/* ---- rows ---- */

struct bt_row *d_row(const struct daemon *d, uint32_t slot)
{
	return bt_table_row(d->table, slot);
}

uint32_t *d_owner(struct daemon *d, uint32_t slot)
{
	static uint32_t scratch;
	uint32_t **chunk = &d->owners[slot / OWNER_CHUNK];
	if (*chunk == NULL) {
		*chunk = calloc(OWNER_CHUNK, sizeof(uint32_t));
		if (*chunk == NULL) {
			scratch = 0; /* unowned: found dead by a sweep instead */
			return &scratch;
		}
	}
	return *chunk + slot % OWNER_CHUNK;
}

void d_row_begin(struct bt_row *r)
{
	atomic_store_explicit(&r->seq, r->seq | 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

void d_row_end(struct bt_row *r)
{
	atomic_store_explicit(&r->seq, (r->seq | 1) + 1, memory_order_release);
}

void d_identify(struct daemon *d, uint32_t slot, pid_t pid, uint32_t owner)
{
	struct bt_row *r = d_row(d, slot);
	d_row_begin(r);
	r->gen++;
	r->nonce = d_random(d);
	r->pid = pid;
	r->since_s = (uint32_t)time(NULL);
	r->timer_s = r->drops = 0;
	r->backlog = 0;
	r->hops = r->tos = r->marks = 0;
	r->lport = 0;
	r->rcvbuf_kib = 208;
	d_row_end(r);
	*d_owner(d, slot) = owner;
	if (slot >= d->table->high_water)
		atomic_store(&d->table->high_water, slot + 1);
}

static void bump(struct daemon *d, uint16_t port)
{
	atomic_fetch_add_explicit(&d->table->udp_epoch[bt_epoch_bucket(port)], 1,
				  memory_order_release);
}

void d_ways_changed(struct daemon *d)
{
	for (uint32_t i = 0; i < BT_EPOCHS; i++)
		atomic_fetch_add_explicit(&d->table->udp_epoch[i], 1, memory_order_release);
}

/* Where datagrams lead may have changed: whoever remembers it must ask again. */
static void udp_changed(struct daemon *d, const struct bt_row *old, const struct bt_row *now)
{
	if (bt_row_port(old) == bt_row_port(now) && old->rport == now->rport &&
	    old->state == now->state && old->dev == now->dev &&
	    memcmp(old->laddr, now->laddr, 32) == 0)
		return;
	if (old->lport != 0)
		bump(d, old->lport);
	if (now->lport != 0 && now->lport != old->lport)
		bump(d, now->lport);
}

/* A port that is free again is still what getsockname shows of a TCP socket (Linux's inet_sport),
 * and the whole local end what datagrams came from that wait to be read. */
static void put_ends(struct bt_row *r, const struct bt_port_info *i)
{
	bool shown = i->state == BT_CLOSE && i->lport == 0 && r->lport != 0 && i->proto != BT_ECHO;
	bool addr = shown && i->proto == BT_UDP && bt_addr_is_any(&i->laddr) &&
		    bt_addr_is_v4(&i->laddr) == (i->family == BT_V4);
	r->marks &= (uint8_t) ~(BT_ROWM_SHOWN | BT_ROWM_ADDR);
	r->marks |= (uint8_t)((shown ? BT_ROWM_SHOWN : 0) | (addr ? BT_ROWM_ADDR : 0));
	if (!shown)
		r->lport = i->lport;
	if (!addr)
		memcpy(r->laddr, i->laddr.b, 16);
	memcpy(r->raddr, i->raddr.b, 16);
	r->rport = i->rport;
}

static void publish(struct daemon *d, uint32_t slot, uint8_t flags)
{
	struct bt_row *r = d_row(d, slot), old;
	struct bt_port_info i;
	memcpy((void *)&old, (const void *)r, sizeof(old));
	d_row_begin(r);
	if (flags & BT_NETF_FREED) {
		/* Addresses stay: a datagram may still be waiting that this socket sent. */
		r->state = BT_ROW_FREE;
		r->peer = r->link = BT_SLOT_NONE;
		*d_owner(d, slot) = 0;
	} else if (bt_port_get(bt_net_ports(d->net), slot, &i)) {
		if (i.proto == BT_ECHO)
			d_ping_ends(slot, &i);
		put_ends(r, &i);
		r->proto = i.proto;
		r->family = i.family;
		r->opts = i.opts;
		r->dev = i.dev;
		r->host = i.host;
		r->uid = i.uid;
		r->peer = bt_net_peer(d->net, slot);
		r->link = bt_net_link(d->net, slot);
		if (i.state == BT_TIME_WAIT && r->state != BT_ROW_TIME_WAIT)
			r->timer_s = (uint32_t)((d_now() +
						 bt_port_host_conf(bt_net_ports(d->net), i.host)
							 ->time_wait_ns) /
						1000000000u);
		r->state = i.state;
		r->flags = flags & (BT_ROWF_CHILD | BT_ROWF_RESET | BT_ROWF_RELAY | BT_ROWF_ORPHAN |
				    BT_ROWF_PKTINFO | BT_ROWF_LINGER0);
		if (!bt_addr_is_any(&i.laddr))
			r->flags &= (uint8_t)~BT_ROWF_PKTINFO;
		if (bt_net_is_wire(d->net, slot) || d_wire_udp_has(slot))
			r->flags |= BT_ROWF_WIRE;
	}
	d_row_end(r);
	d_name_changed(d, slot, &old, d_named(r));
	d_row_changed(d, slot, &old);
	if ((r->state == BT_ROW_LISTEN) != (old.state == BT_ROW_LISTEN))
		d_wire_listens(d, slot, r->state == BT_ROW_LISTEN);
	if (r->proto == BT_UDP)
		udp_changed(d, &old, r);
	if (r->proto == BT_UDP && r->state != BT_ROW_FREE && !(r->flags & BT_ROWF_ORPHAN) &&
	    d_outside(d, r->host))
		d_wire_udp_hear(d, slot);
	if (flags & BT_NETF_FREED)
		d_vals_forget(slot);
	if (flags & BT_NETF_FREED && r->proto != BT_TCP) {
		d_ping_forget(slot);
		d_wire_groups(d, r->host);
		d_relay_forget(d, slot);
		d_wire_udp_forget(d, slot);
		d_errors_forget(slot);
	}
}

void d_publish(struct daemon *d)
{
	uint8_t flags;
	uint32_t slot;
	while ((slot = bt_net_changed(d->net, &flags)) != BT_NO_SLOT)
		publish(d, slot, flags);
}

void d_publish_host(struct daemon *d, uint16_t host)
{
	const struct bt_net_host *h = bt_net_host(d->net, host);
	struct bt_host_row *row = &d->table->hosts[host];
	atomic_store(&row->seq, row->seq | 1);
	atomic_thread_fence(memory_order_release);
	memcpy(row->name, h->name, sizeof(row->name));
	row->n_addrs = h->n_addrs;
	row->bindv6only = bt_net_conf(d->net, host)->bindv6only != 0;
	for (uint16_t i = 0; i < h->n_addrs; i++) {
		memcpy(row->addrs[i].addr, h->addrs[i].addr.b, 16);
		row->addrs[i].bits = h->addrs[i].bits;
		row->addrs[i].family = h->addrs[i].family;
		row->addrs[i].dev = h->addrs[i].dev;
	}
	row->id = host + 1u;
	atomic_store(&row->seq, (row->seq | 1) + 1);
	if (host >= d->table->n_hosts)
		atomic_store(&d->table->n_hosts, host + 1u);
}
