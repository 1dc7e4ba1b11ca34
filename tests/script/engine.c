/* SPDX-License-Identifier: Apache-2.0 */
/* The host under test is one of libberth, in virtual time. */
#include "script.h"

#define EPOCH ((uint64_t)1000000000000) /* the host's clock at a script's 0, ns */

static struct berth *b;
static int host, interface;

const bool host_has_drops = true;

static uint64_t now(const struct script *s)
{
	return EPOCH + s->now_ns;
}

void host_start(struct script *s)
{
	const struct berth_config config = {.key = "a script's key", .max_sockets = 1000};
	struct berth_if_config i = {.mtu = s->mtu, .flags = s->ethernet ? BERTH_IF_ETHERNET : 0};

	put_mac(i.mac, HOST_MAC);
	b = berth_new(&config);
	if (b == NULL)
		fail(s, "no memory");
	host = berth_host_add(b);
	interface = host < 0 ? host : berth_if_add(b, (berth_host)host, &i);
	if (interface < 0 ||
	    berth_addr_add(b, (berth_if)interface, &s->host_addr, s->ip == 4 ? 24 : 64) < 0)
		fail(s, "cannot make the host");
}

void host_end(struct script *s)
{
	(void)s;
	berth_free(b);
}

void host_input(struct script *s, const uint8_t *packet, size_t len)
{
	berth_input(b, (berth_if)interface, packet, len, now(s));
}

void host_collect(struct script *s)
{
	struct berth_output out[4];
	size_t n, len;

	while ((n = berth_output(b, out, 4, now(s))) > 0)
		for (size_t i = 0; i < n; i++) {
			len = 0;
			for (unsigned p = 0; p < out[i].n_iov; p++)
				len += out[i].iov[p].iov_len;
			if (len != out[i].len)
				fail(s, "a packet's parts are not as long as it says");
			sent_add(s, s->now_ns, out[i].iov, out[i].n_iov);
		}
}

/* One deadline after the other. */
void host_pass(struct script *s, uint64_t until_ns)
{
	uint64_t at;

	while ((at = berth_deadline(b)) <= EPOCH + until_ns) {
		s->now_ns = at > now(s) ? at - EPOCH : s->now_ns;
		berth_advance(b, now(s));
		if (berth_deadline(b) <= now(s))
			fail(s, "the deadline is not later than now after berth_advance");
		host_collect(s);
	}
	s->now_ns = until_ns;
	host_collect(s);
}

uint64_t host_slack(const struct script *s)
{
	(void)s;
	return 0;
}

void host_await(struct script *s)
{
	(void)s;
}

int64_t host_socket(struct script *s, struct named *n, bool udp)
{
	return berth_open(b, (berth_host)host, udp ? BERTH_UDP : BERTH_TCP, (int)s->ip, &n->s);
}

int64_t host_bind(struct script *s, struct named *n, const struct berth_endpoint *e)
{
	return berth_bind(b, n->s, e, now(s));
}

int64_t host_listen(struct script *s, struct named *n, uint32_t backlog)
{
	return berth_listen(b, n->s, backlog, now(s));
}

int64_t host_connect(struct script *s, struct named *n, const struct berth_endpoint *e)
{
	return berth_connect(b, n->s, e, now(s));
}

int64_t host_accept(struct script *s, struct named *listener, uint64_t *child)
{
	return berth_accept(b, listener->s, child, now(s));
}

int64_t host_send(struct script *s, struct named *n, const void *data, size_t len, unsigned flags)
{
	return berth_send(b, n->s, data, len, flags, now(s));
}

int64_t host_recv(struct script *s, struct named *n, void *data, size_t len, unsigned flags)
{
	return berth_recv(b, n->s, data, len, flags, now(s));
}

int64_t host_send_to(struct script *s, struct named *n, const void *data, size_t len,
		     const struct berth_endpoint *to)
{
	return berth_send_to(b, n->s, data, len, to, now(s));
}

int64_t host_recv_from(struct script *s, struct named *n, void *data, size_t len)
{
	return berth_recv_from(b, n->s, data, len, NULL, 0, now(s));
}

int64_t host_shutdown(struct script *s, struct named *n, enum berth_shut how)
{
	return berth_shutdown(b, n->s, how, now(s));
}

int64_t host_close(struct script *s, struct named *n)
{
	return berth_close(b, n->s, now(s));
}

int64_t host_abort(struct script *s, struct named *n)
{
	return berth_abort(b, n->s, now(s));
}

int64_t host_set(struct script *s, struct named *n, enum berth_option o, int64_t value)
{
	return berth_set(b, n->s, o, value, now(s));
}

int64_t host_get(struct script *s, struct named *n, enum berth_option o, int64_t *value)
{
	(void)s;
	return berth_get(b, n->s, o, value);
}

int host_error(struct script *s, struct named *n)
{
	(void)s;
	return berth_error_take(b, n->s);
}

int host_info(struct script *s, struct named *n, struct berth_tcp_info *info)
{
	(void)s;
	return berth_tcp_info(b, n->s, info);
}

int host_ready(struct script *s, struct named *n)
{
	(void)s;
	return berth_ready(b, n->s);
}

uint32_t host_sockets(struct script *s)
{
	(void)s;
	return berth_sockets(b);
}

uint64_t host_drops(struct script *s, enum berth_drop reason)
{
	(void)s;
	return berth_drops(b, (berth_host)host, reason);
}
