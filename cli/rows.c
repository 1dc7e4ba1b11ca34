/* SPDX-License-Identifier: Apache-2.0 */
#include "rows.h"

#include "cli.h"

#include <pthread.h>
#include <string.h>

struct sync {
	struct bt_client *client;
	int err;
};

static void *call_sync(void *arg)
{
	struct sync *s = arg;
	struct bt_req req = {.type = BT_SYNC};
	struct bt_rep rep;
	s->err = bt_client_call(s->client, &req, NULL, &rep, NULL, NULL);
	if (!s->err && rep.err)
		s->err = -rep.err;
	return NULL;
}

bool bt_sync(struct bt_client *c, const char *network)
{
	struct sync s = {.client = c};
	call_sync(&s);
	if (s.err)
		bt_say_client(s.err, network);
	return !s.err;
}

bool bt_sync_dump(struct bt_client *c, const char *network, uint32_t states, struct bt_diags *d,
		  int *dump)
{
	struct sync s = {.client = c};
	pthread_t thread;
	bool apart = pthread_create(&thread, NULL, call_sync, &s) == 0;
	if (!apart)
		call_sync(&s);
	*d = (struct bt_diags){0};
	*dump = states ? bt_diags_read(d, c->netid, states) : 0;
	if (apart)
		pthread_join(thread, NULL);
	if (s.err)
		bt_say_client(s.err, network);
	return !s.err;
}

void bt_host_name(const struct bt_table *t, uint32_t index, char *buf)
{
	struct bt_host_row row;
	if (!bt_host_read(t, index, &row)) {
		memcpy(buf, "?", 2);
		return;
	}
	row.name[BT_HOST_NAME - 1] = '\0';
	memcpy(buf, row.name, BT_HOST_NAME);
}

const char *bt_state_word(uint8_t proto, uint8_t state)
{
	static const char *const words[] = {
		[BT_ROW_ESTABLISHED] = "established",
		[BT_ROW_SYN_SENT] = "syn_sent",
		[BT_ROW_SYN_RECV] = "syn_recv",
		[BT_ROW_FIN_WAIT1] = "fin_wait1",
		[BT_ROW_FIN_WAIT2] = "fin_wait2",
		[BT_ROW_TIME_WAIT] = "time_wait",
		[BT_ROW_CLOSE] = "bound",
		[BT_ROW_CLOSE_WAIT] = "close_wait",
		[BT_ROW_LAST_ACK] = "last_ack",
		[BT_ROW_LISTEN] = "listen",
		[BT_ROW_CLOSING] = "closing",
	};
	if (proto == BT_PROTO_UDP && state == BT_ROW_CLOSE)
		return "unconnected";
	return state && state < sizeof(words) / sizeof(words[0]) ? words[state] : "unknown";
}

bool bt_find_host(const struct bt_table *t, const char *name, const char *network, uint32_t *index)
{
	char have[BT_HOST_NAME];
	uint32_t n = atomic_load(&t->n_hosts);
	struct bt_host_row row;
	for (uint32_t i = 0; i < n && i < BT_MAX_HOSTS; i++) {
		if (!bt_host_read(t, i, &row))
			continue;
		bt_host_name(t, i, have);
		if (strcmp(have, name) == 0) {
			*index = i;
			return true;
		}
	}
	bt_say("network '%s' has no host '%s'; 'berth hosts' lists them", network, name);
	return false;
}

void bt_collect(const struct bt_table *t, struct bt_socks *s, bt_row_wanted *wanted,
		const void *wish)
{
	uint32_t end = bt_rows_end(t);
	*s = (struct bt_socks){0};
	for (uint32_t slot = 0; slot < end; slot++) {
		if (s->n == s->room)
			s->list = bt_grow(s->list, &s->room, sizeof(*s->list));
		struct bt_sock *sock = &s->list[s->n];
		if (!bt_row_read(t, slot, &sock->row) || !wanted(wish, &sock->row))
			continue;
		sock->slot = slot;
		sock->ino = sock->recvq = 0;
		s->n++;
	}
}
