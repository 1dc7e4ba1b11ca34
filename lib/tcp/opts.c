/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket options with Linux's meaning (socket(7), tcp(7)). The few that the data path asks for are
 * bits of the connection; the rest lie in struct bt_tcp_opts, which sockets share until one sets
 * something: children share their listener's.
 */
#include "tcb.h"

#include <limits.h>

void bt_opts_unref(struct bt_tcp *t, struct bt_tcp_opts *o)
{
	if (o != NULL && --o->refs == 0)
		bt_mem_put(&t->mem, o, sizeof(*o));
}

static struct bt_tcp_opts *own(struct bt_tcp *t, struct bt_conn *c)
{
	struct bt_tcp_opts *o = c->opts;

	if (o != &t->defaults && o->refs == 1)
		return o;
	o = bt_mem_get(&t->mem, sizeof(*o));
	if (o == NULL)
		return NULL;
	*o = *c->opts;
	o->refs = 1;
	bt_opts_unref(t, c->opts);
	c->opts = o;
	return o;
}

/* Inclusive ranges; where set clamps, too small or large values are taken as the nearest. */
static const struct {
	int64_t min, max;
	bool clamp;
} range[128] = {
	[BERTH_SO_KEEPALIVE] = {INT_MIN, INT_MAX, false},
	[BERTH_SO_LINGER] = {-1, INT_MAX, false},
	[BERTH_SO_SNDBUF] = {2304, BT_BUF_LIMIT, true},
	[BERTH_SO_RCVBUF] = {1152, BT_BUF_LIMIT, true},
	[BERTH_SO_OOBINLINE] = {INT_MIN, INT_MAX, false},
	[BERTH_TCP_NODELAY] = {INT_MIN, INT_MAX, false},
	[BERTH_TCP_CORK] = {INT_MIN, INT_MAX, false},
	[BERTH_TCP_QUICKACK] = {INT_MIN, INT_MAX, false},
	[BERTH_TCP_MAXSEG] = {88, 32767, false},
	[BERTH_TCP_KEEPIDLE] = {1, 32767, false},
	[BERTH_TCP_KEEPINTVL] = {1, 32767, false},
	[BERTH_TCP_KEEPCNT] = {1, 127, false},
	[BERTH_TCP_SYNCNT] = {1, 127, false},
	[BERTH_TCP_LINGER2] = {-1, 120, true},
	[BERTH_TCP_DEFER_ACCEPT] = {0, INT_MAX, true},
	[BERTH_TCP_WINDOW_CLAMP] = {0, INT_MAX, false},
	[BERTH_TCP_USER_TIMEOUT] = {0, INT_MAX, false},
	[BERTH_TCP_NOTSENT_LOWAT] = {0, UINT_MAX, false},
	[BERTH_TCP_CONGESTION] = {BERTH_CC_CUBIC, BERTH_CC_BBR, false},
	[BERTH_TCP_FASTOPEN] = {0, INT_MAX, false},
	[BERTH_TCP_ECN] = {0, 2, false},
	[BERTH_IP_TTL] = {1, 255, false},
	[BERTH_IP_TOS] = {0, 255, false},
	[BERTH_IP_MTU_DISCOVER] = {0, 5, false},
};

/* TCP_DEFER_ACCEPT is kept as a number of SYN-ACKs, so that what is read back is a sum of time-outs
 * (Linux's secs_to_retrans, retrans_to_secs). */
static uint8_t synacks_of(int64_t s)
{
	int64_t wait = 1, sum = 1;
	uint8_t n = s > 0;

	for (; s > sum && n < 255; n++) {
		wait = wait * 2 > 120 ? 120 : wait * 2;
		sum += wait;
	}
	return n;
}

static int64_t seconds_of(uint8_t synacks)
{
	int64_t wait = 1, sum = 0;

	for (; synacks > 0; synacks--) {
		sum += wait;
		wait = wait * 2 > 120 ? 120 : wait * 2;
	}
	return sum;
}

static void set_bit(struct bt_conn *c, uint32_t bit, bool on)
{
	c->flags = on ? c->flags | bit : c->flags & ~bit;
}

/* Those that are bits of the connection or act at once. False: it is another one. */
static bool set_now(struct bt_tcp *t, struct bt_conn *c, enum berth_option option, int64_t v)
{
	switch ((int)option) {
	case BERTH_TCP_NODELAY: /* what waits goes (RFC 9293 MUST-17: Nagle can be turned off) */
		set_bit(c, CF_NODELAY, v != 0);
		break;
	case BERTH_TCP_CORK:
		set_bit(c, CF_CORK, v != 0);
		break;
	case BERTH_TCP_QUICKACK:
		set_bit(c, CF_PINGPONG, v == 0);
		c->quick = v != 0 ? BT_QUICK_ACKS : c->quick;
		if (v != 0 && c->flags & CF_DELACK)
			c->flags |= CF_ACK_NOW;
		break;
	default:
		return false;
	}
	if (c->state != BT_CLOSE && c->state != BT_LISTEN)
		bt_conn_wants_out(t, c);
	return true;
}

static void set_kept(struct bt_tcp *t, struct bt_conn *c, struct bt_tcp_opts *o,
		     enum berth_option option, int64_t v)
{
	switch ((int)option) {
	case BERTH_SO_KEEPALIVE:
		o->keepalive = v != 0;
		break;
	case BERTH_SO_LINGER:
		o->linger = (int32_t)v;
		break;
	case BERTH_SO_SNDBUF:
		o->sndbuf = c->sndbuf = (uint32_t)v;
		break;
	case BERTH_SO_RCVBUF:
		o->rcvbuf = c->rcvbuf = (uint32_t)v;
		break;
	case BERTH_SO_OOBINLINE:
		o->oob_inline = v != 0;
		break;
	case BERTH_TCP_MAXSEG:
		o->maxseg = (uint16_t)v;
		break;
	case BERTH_TCP_KEEPIDLE: /* RFC 9293 MUST-27 */
		o->keepidle = (uint16_t)v;
		break;
	case BERTH_TCP_KEEPINTVL:
		o->keepintvl = (uint16_t)v;
		break;
	case BERTH_TCP_KEEPCNT:
		o->keepcnt = (uint8_t)v;
		break;
	case BERTH_TCP_SYNCNT:
		o->syncnt = (uint8_t)v;
		break;
	case BERTH_TCP_LINGER2:
		o->linger2 = (int32_t)v;
		break;
	case BERTH_TCP_DEFER_ACCEPT:
		o->defer_accept = synacks_of(v);
		break;
	case BERTH_TCP_WINDOW_CLAMP:
		o->window_clamp = v == 0 ? 0 : bt_max32((uint32_t)v, 1152);
		break;
	case BERTH_TCP_USER_TIMEOUT: /* RFC 9293 MUST-21 */
		o->user_timeout = (uint32_t)v;
		break;
	case BERTH_TCP_NOTSENT_LOWAT:
		o->notsent_lowat = v == 0 ? UINT32_MAX : (uint32_t)v;
		break;
	case BERTH_TCP_CONGESTION:
		o->module = (uint8_t)v;
		if (c->cc.cwnd != 0)
			bt_cc_changed(&c->cc, (enum berth_congestion)v, t->now_ns);
		break;
	case BERTH_TCP_FASTOPEN:
		o->fastopen = (uint32_t)v;
		break;
	case BERTH_TCP_ECN:
		o->ecn = (uint8_t)v;
		break;
	case BERTH_IP_TTL: /* RFC 9293 MUST-49 */
		o->ttl = (uint8_t)v;
		break;
	case BERTH_IP_TOS: /* RFC 9293 MUST-48, SHLD-21; the two bits of ECN are TCP's */
		o->tos = (uint8_t)v & 0xfc;
		break;
	case BERTH_IP_MTU_DISCOVER:
		o->mtu_discover = (uint8_t)v;
		break;
	default:
		bt_assert(false);
	}
}

int bt_tcp_set(struct bt_tcp *t, uint32_t slot, enum berth_option option, int64_t value,
	       uint64_t now_ns)
{
	struct bt_conn *c = bt_tcp_conn(t, slot);
	struct bt_tcp_opts *o;

	bt_tcp_enter(t, now_ns);
	if (option == BERTH_IP_MTU)
		return BERTH_ENOPROTOOPT;
	if ((unsigned)option >= 128 || range[option].max == 0)
		return BERTH_ENOPROTOOPT;
	if (option == BERTH_IP_TTL && value == -1)
		value = 64;
	if (option == BERTH_TCP_MAXSEG && value == 0)
		; /* by the path again */
	else if (range[option].clamp)
		value = value < range[option].min   ? range[option].min
			: value > range[option].max ? range[option].max
						    : value;
	else if (value < range[option].min || value > range[option].max)
		return BERTH_EINVAL;
	if (set_now(t, c, option, value))
		return 0;
	o = own(t, c);
	if (o == NULL)
		return BERTH_ENOMEM;
	set_kept(t, c, o, option, value);
	if (option == BERTH_SO_KEEPALIVE || option == BERTH_TCP_KEEPIDLE)
		bt_timers_keepalive(t, c);
	return 0;
}

int bt_tcp_get(const struct bt_tcp *t, uint32_t slot, enum berth_option option, int64_t *value)
{
	const struct bt_conn *c = bt_tcp_conn(t, slot);
	const struct bt_tcp_opts *o = c->opts;
	struct bt_path p = {0};
	struct bt_port_ends e;
	int64_t v;

	switch ((int)option) {
	case BERTH_SO_KEEPALIVE:
		v = o->keepalive;
		break;
	case BERTH_SO_LINGER:
		v = o->linger;
		break;
	case BERTH_SO_SNDBUF:
		v = c->sndbuf;
		break;
	case BERTH_SO_RCVBUF:
		v = c->rcvbuf;
		break;
	case BERTH_SO_OOBINLINE:
		v = o->oob_inline;
		break;
	case BERTH_SO_ATMARK:
		v = c->state != BT_LISTEN && c->flags & CF_URG_IN && c->unread > 0 &&
		    c->rcv_up.n == c->rcv_nxt.n - c->unread;
		break;
	case BERTH_TCP_NODELAY:
		v = (c->flags & CF_NODELAY) != 0;
		break;
	case BERTH_TCP_CORK:
		v = (c->flags & CF_CORK) != 0;
		break;
	case BERTH_TCP_QUICKACK:
		v = !(c->flags & CF_PINGPONG);
		break;
	case BERTH_TCP_MAXSEG:
		v = c->mss != 0 ? c->mss : o->maxseg != 0 ? o->maxseg : BT_MSS_DEFAULT;
		break;
	case BERTH_TCP_KEEPIDLE:
		v = o->keepidle;
		break;
	case BERTH_TCP_KEEPINTVL:
		v = o->keepintvl;
		break;
	case BERTH_TCP_KEEPCNT:
		v = o->keepcnt;
		break;
	case BERTH_TCP_SYNCNT:
		v = o->syncnt;
		break;
	case BERTH_TCP_LINGER2:
		v = o->linger2 == 0 ? (int32_t)(BT_FIN_WAIT2_MS / 1000) : o->linger2;
		break;
	case BERTH_TCP_DEFER_ACCEPT:
		v = seconds_of(o->defer_accept);
		break;
	case BERTH_TCP_WINDOW_CLAMP:
		v = o->window_clamp;
		break;
	case BERTH_TCP_USER_TIMEOUT:
		v = o->user_timeout;
		break;
	case BERTH_TCP_NOTSENT_LOWAT:
		v = o->notsent_lowat;
		break;
	case BERTH_TCP_CONGESTION:
		v = o->module;
		break;
	case BERTH_TCP_FASTOPEN:
		v = o->fastopen;
		break;
	case BERTH_TCP_ECN:
		v = o->ecn;
		break;
	case BERTH_IP_TTL:
		v = o->ttl == 0 ? 64 : o->ttl;
		break;
	case BERTH_IP_TOS:
		v = o->tos;
		break;
	case BERTH_IP_MTU:
		if (c->path.mtu == 0)
			return BERTH_ENOTCONN;
		bt_port_ends(t->ports, slot, &e);
		v = t->below.path(t->below.arg, e.host, &e.laddr, &e.raddr, &p) < 0 ? c->path.mtu
										    : p.mtu;
		break;
	case BERTH_IP_MTU_DISCOVER:
		v = o->mtu_discover;
		break;
	default:
		return BERTH_ENOPROTOOPT;
	}
	*value = v;
	return 0;
}
