/* SPDX-License-Identifier: Apache-2.0 */
/* How connections end, in every order of acts of both ends. The random test is net_model.c. */
#include "net_help.h"

/*
 * What happens to a connection, one letter an act: c C r l the client shuts, closes, resets, sets
 * SO_LINGER 0; s S R L its child the same; t 61 seconds pass. Then the states of both: E
 * established, 2 FIN_WAIT2, W CLOSE_WAIT, T TIME_WAIT, C closed with the slot in use, - the slot is
 * free.
 */
static const struct {
	const char *acts, *want;
} lives[] = {
	{"", "EE"},	 {"c", "2W"},	  {"cc", "2W"},	   {"cs", "TC"},    {"csc", "TC"},
	{"cst", "CC"},	 {"csC", "TC"},	  {"csS", "T-"},   {"csCS", "T-"},  {"csSC", "T-"},
	{"csCSt", "--"}, {"csSCt", "--"}, {"csSt", "C-"},  {"csStC", "--"}, {"csCt", "CC"},
	{"csCtS", "--"}, {"s", "W2"},	  {"sc", "CT"},	   {"sct", "CC"},   {"scC", "CT"},
	{"scCS", "-T"},	 {"scS", "CT"},	  {"scSC", "-T"},  {"scSt", "C-"},  {"scStC", "--"},
	{"scCSt", "--"}, {"scCt", "CC"},  {"scCtS", "--"}, {"C", "2W"},	    {"CC", "2W"},
	{"Ct", "CW"},	 {"Cs", "TC"},	  {"CsS", "T-"},   {"CsSt", "--"},  {"Cst", "CC"},
	{"CstS", "--"},	 {"CS", "T-"},	  {"CSt", "--"},   {"S", "W2"},	    {"St", "W-"},
	{"Sc", "CT"},	 {"ScC", "-T"},	  {"ScCt", "--"},  {"Sct", "C-"},   {"SctC", "--"},
	{"SC", "-T"},	 {"SCt", "--"},	  {"cC", "2W"},	   {"cCS", "T-"},   {"cCSt", "--"},
	{"cS", "T-"},	 {"cSC", "T-"},	  {"cSt", "C-"},   {"sS", "W2"},    {"sSC", "-T"},
	{"sC", "CT"},	 {"sCS", "-T"},	  {"sCSt", "--"},  {"sCtS", "--"},  {"r", "CC"},
	{"rr", "CC"},	 {"rC", "CC"},	  {"rCS", "--"},   {"rS", "C-"},    {"rSC", "--"},
	{"R", "CC"},	 {"RS", "C-"},	  {"RSC", "--"},   {"RC", "CC"},    {"RCS", "--"},
	{"rs", "CC"},	 {"rcsCS", "--"}, {"cr", "CC"},	   {"crCS", "--"},  {"cR", "CC"},
	{"cRSC", "--"},	 {"CR", "CC"},	  {"CRS", "--"},   {"SrC", "--"},   {"rt", "CC"},
	{"sRSC", "--"},	 {"RrCS", "--"},  {"CtS", "--"},   {"Cts", "CC"},   {"StC", "--"},
	{"Stc", "C-"},	 {"l", "EE"},	  {"lC", "CC"},	   {"lCS", "--"},   {"lS", "W2"},
	{"LS", "C-"},	 {"LSC", "--"},	  {"LC", "2W"},	   {"LCS", "--"},   {"lcC", "CC"},
	{"lscC", "CT"},
};

struct pair {
	struct bt_net *net;
	uint32_t listener, client, child;
	bool client_free, child_free;
};

/* Takes what has changed; each slot at most once. */
static void tell(struct pair *p)
{
	uint8_t flags, seen[64] = {0};
	uint32_t slot;

	while ((slot = bt_net_changed(p->net, &flags)) != BT_NO_SLOT) {
		struct bt_port_info i;

		assert_true(slot < 64);
		assert_false(seen[slot]);
		seen[slot] = true;
		assert_int_equal(!(flags & BT_NETF_FREED),
				 bt_port_get(bt_net_ports(p->net), slot, &i));
		if (flags & BT_NETF_FREED && slot == p->client)
			p->client_free = true;
		if (flags & BT_NETF_FREED && slot == p->child)
			p->child_free = true;
	}
	bt_port_check(bt_net_ports(p->net));
}

static char letter(struct pair *p, uint32_t slot, bool is_free)
{
	static const char letters[] = {
		[BT_ESTABLISHED] = 'E', [BT_FIN_WAIT2] = '2', [BT_CLOSE_WAIT] = 'W',
		[BT_TIME_WAIT] = 'T',	[BT_CLOSE] = 'C',     [BT_CLOSING] = '?'};
	struct bt_port_info i;

	if (!bt_port_get(bt_net_ports(p->net), slot, &i))
		return is_free ? '-' : '!';
	return i.state < sizeof(letters) && letters[i.state] != 0 ? letters[i.state] : '?';
}

static void act(struct pair *p, char what, uint64_t *now)
{
	bool client = strchr("cCrl", what) != NULL;
	uint32_t slot = client ? p->client : p->child;

	if (what == 't')
		bt_net_advance(p->net, *now += 61 * SEC);
	else if (what == 'c' || what == 's')
		bt_net_shut(p->net, slot, *now);
	else if (what == 'C' || what == 'S')
		bt_net_closed(p->net, slot, *now);
	else if (what == 'l' || what == 'L')
		bt_net_set_flag(p->net, slot, BT_NETF_LINGER0, true);
	else
		bt_net_reset(p->net, slot);
	tell(p);
}

static void one_life(const char *acts, const char *want)
{
	struct pair p = {.net = make(64)};
	uint64_t now = 5 * SEC;
	char got[3] = "";
	uint8_t reset;

	p.listener = listener(p.net, 1, ip(0, 0, 0, 0), 80);
	p.client = sock(p.net, 0, BT_TCP);
	assert_int_equal(connect_at(p.net, p.client, ip(10, 0, 0, 2), 80, now, &p.child), 0);
	tell(&p);
	for (const char *a = acts; *a != '\0'; a++)
		act(&p, *a, &now);
	got[0] = letter(&p, p.client, p.client_free);
	got[1] = letter(&p, p.child, p.child_free);
	if (strcmp(got, want) != 0)
		fail_msg("after \"%s\": %s, not %s", acts, got, want);
	reset = acts[0] == 'r' && !p.child_free ? bt_net_flags(p.net, p.child) & BT_NETF_RESET : 0;
	assert_int_equal(reset, acts[0] == 'r' && !p.child_free ? BT_NETF_RESET : 0);
	if (want[0] == 'T' || want[1] == 'T')
		assert_true(bt_net_deadline(p.net) == now + 60 * SEC);
	if (!p.client_free)
		bt_net_closed(p.net, p.client, now);
	tell(&p);
	if (!p.child_free)
		bt_net_closed(p.net, p.child, now);
	tell(&p);
	bt_net_closed(p.net, p.listener, now);
	end(p.net, now);
}

static void ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lives) / sizeof(lives[0]); i++)
		one_life(lives[i].acts, lives[i].want);
}

static void expiry(void **state)
{
	struct bt_net *net = make(64);
	uint32_t l = listener(net, 1, ip(0, 0, 0, 0), 80), c = sock(net, 0, BT_TCP), child;
	uint64_t start = 7 * SEC;

	(void)state;
	assert_int_equal(connect_at(net, c, ip(10, 0, 0, 2), 80, start, &child), 0);
	bt_net_closed(net, child, start);
	bt_net_closed(net, c, start);
	bt_net_closed(net, l, start);
	drain(net);
	assert_int_equal(bt_port_count(bt_net_ports(net)), 1); /* the child, in TIME_WAIT */
	assert_int_equal(info(net, child).state, BT_TIME_WAIT);
	assert_int_equal(info(net, child).lport, 80);
	assert_true(bt_net_deadline(net) == start + 60 * SEC);
	bt_net_advance(net, start + 60 * SEC - 1);
	drain(net);
	assert_int_equal(bt_port_count(bt_net_ports(net)), 1);
	bt_net_advance(net, start + 60 * SEC);
	drain(net);
	assert_int_equal(bt_port_count(bt_net_ports(net)), 0);
	end(net, start);
}

/* tcp_max_tw_buckets: beyond 262,144 a connection ends without TIME_WAIT; those of before stay. */
static uint32_t closed_pair(struct bt_net *net, uint32_t n, uint64_t now)
{
	uint32_t c = sock(net, 0, BT_TCP), child;

	assert_int_equal(
		bind_at(net, c, ip(127, (n >> 14) & 255, 1, 1), (uint16_t)(1024 + n % 16384)), 0);
	assert_int_equal(connect_at(net, c, ip(127, 0, 0, 1), 80, now, &child), 0);
	bt_net_closed(net, c, now);
	bt_net_closed(net, child, now);
	drain(net);
	return c;
}

static void time_wait_bound(void **state)
{
	const uint32_t max = 262144;
	struct bt_net *net = make(max + 8192);
	uint32_t l = listener(net, 0, ip(0, 0, 0, 0), 80);
	struct bt_port_net *ports = bt_net_ports(net);
	uint64_t now = SEC;

	(void)state;
	drain(net);
	for (uint32_t n = 0; n < max; n++)
		closed_pair(net, n, now);
	assert_int_equal(bt_port_count(ports), max + 1);
	closed_pair(net, max, now);
	closed_pair(net, max + 1, now);
	assert_int_equal(bt_port_count(ports), max + 1);
	now += 60 * SEC;
	bt_net_advance(net, now);
	drain(net);
	assert_int_equal(bt_port_count(ports), 1);
	closed_pair(net, 0, now);
	assert_int_equal(bt_port_count(ports), 2);
	bt_net_closed(net, l, now);
	end(net, now);
}

/* Who bound the port may take over a connection in TIME_WAIT at once, which then is gone. */
static void takeover(void **state)
{
	struct pair p = {.net = make(64)};
	uint32_t old;
	uint64_t now = 10 * SEC;

	(void)state;
	p.listener = listener(p.net, 0, ip(0, 0, 0, 0), 80);
	old = closed_pair(p.net, 0, now);
	assert_int_equal(letter(&p, old, false), 'T');
	p.client = sock(p.net, 0, BT_TCP);
	bt_port_set_opts(bt_net_ports(p.net), p.client, BT_REUSEADDR);
	bt_port_set_opts(bt_net_ports(p.net), old, BT_REUSEADDR);
	assert_int_equal(bind_at(p.net, p.client, ip(127, 0, 1, 1), 1024), 0);
	assert_int_equal(connect_at(p.net, p.client, ip(127, 0, 0, 1), 80, now, &p.child), 0);
	p.child_free = false;
	tell(&p);
	assert_int_equal(letter(&p, old, true), '-');
	assert_int_equal(letter(&p, p.client, false), 'E');
	assert_int_equal(bt_port_count(bt_net_ports(p.net)), 3);
	bt_net_closed(p.net, p.child, now);
	bt_net_closed(p.net, p.client, now);
	bt_net_closed(p.net, p.listener, now);
	end(p.net, now);
}

/* ---- faults that were found at random, each mended ---- */

static void both_name_each_other(struct bt_net *net, uint32_t slot)
{
	uint32_t peer = bt_net_peer(net, slot);
	struct bt_port_info i;

	if (!bt_port_get(bt_net_ports(net), slot, &i) || peer == BT_NO_SLOT)
		return;
	assert_true(bt_port_get(bt_net_ports(net), peer, &i));
	assert_int_equal(bt_net_peer(net, peer), slot);
}

/* Connects, ends the connection at both ends so that both stay held, and connects again. */
static void connects_again(bool by_reset)
{
	struct bt_net *net = make(64);
	uint32_t l = listener(net, 1, ip(0, 0, 0, 0), 80), c = sock(net, 0, BT_TCP), one, two = 0;
	int r;

	assert_int_equal(connect_at(net, c, ip(10, 0, 0, 2), 80, 0, &one), 0);
	if (by_reset) {
		bt_net_disconnect(net, c);
		assert_int_equal(info(net, one).state, BT_CLOSE);
	} else {
		bt_net_shut(net, one, 0);
		bt_net_shut(net, c, 0);
	}
	r = connect_at(net, c, ip(10, 0, 0, 2), 80, 0, &two);
	both_name_each_other(net, one);
	both_name_each_other(net, c);
	bt_net_closed(net, one, 0);
	bt_net_closed(net, c, 0);
	if (r == 0)
		bt_net_closed(net, two, 0);
	bt_net_closed(net, l, 0);
	end(net, 0);
}

static void connect_after_shutdown(void **state)
{
	(void)state;
	connects_again(false);
}

/* connect(2) with AF_UNSPEC on a TCP socket ends its connection by reset, as Linux does. */
static void disconnect_tcp(void **state)
{
	(void)state;
	connects_again(true);
}

/* A socket in TIME_WAIT that is still held may be bound anew; its TIME_WAIT ends in its time. */
static void bound_in_time_wait(void **state)
{
	struct bt_net *net = make(64);
	uint32_t l = listener(net, 1, ip(0, 0, 0, 0), 80), c = sock(net, 0, BT_TCP), one, waits;

	(void)state;
	assert_int_equal(connect_at(net, c, ip(10, 0, 0, 2), 80, 0, &one), 0);
	assert_int_equal(bt_net_part(net, c, &waits), -EINVAL);
	bt_net_shut(net, c, 0);
	bt_net_shut(net, one, 0);
	assert_int_equal(info(net, c).state, BT_TIME_WAIT);
	assert_int_equal(bt_net_part(net, c, &waits), 0);
	assert_int_equal(info(net, waits).state, BT_TIME_WAIT);
	assert_int_equal(bind_at(net, c, ip(10, 0, 0, 1), 81), 0);
	assert_int_equal(info(net, c).lport, 81);
	both_name_each_other(net, c);
	assert_true(bt_net_deadline(net) == 60 * SEC);
	bt_net_closed(net, one, 0);
	bt_net_closed(net, c, 0);
	bt_net_closed(net, l, 0);
	end(net, 0);
}

/* The end of an attempt is shown until it is told, and then only what bind gave. */
static void told(void **state)
{
	struct bt_net *net = make(64);
	uint32_t c = sock(net, 0, BT_TCP), child;
	struct bt_port_info i;

	(void)state;
	assert_int_equal(bind_at(net, c, ip(0, 0, 0, 0), 81), 0);
	assert_int_equal(connect_at(net, c, ip(10, 0, 0, 2), 80, 0, &child), -ECONNREFUSED);
	i = info(net, c);
	assert_true(bt_addr_to_v4(&i.laddr) == 0x0a000001);
	bt_net_told(net, c);
	i = info(net, c);
	assert_true(bt_addr_is_any(&i.laddr) && i.lport == 81);
	bt_net_closed(net, c, 0);
	end(net, 0);
}

/* Closed with data unread: a reset, unless a later holder has read it. */
static void closed_unread(void **state)
{
	(void)state;
	for (int read = 0; read < 2; read++) {
		struct bt_net *net = make(64);
		uint32_t l = listener(net, 1, ip(0, 0, 0, 0), 80), c = sock(net, 0, BT_TCP), one;

		assert_int_equal(connect_at(net, c, ip(10, 0, 0, 2), 80, 0, &one), 0);
		bt_net_unread(net, one, true);
		assert_int_equal(info(net, one).state, BT_ESTABLISHED);
		bt_net_unread(net, one, !read);
		bt_net_closed(net, one, 0);
		assert_int_equal(info(net, c).state, read ? BT_CLOSE_WAIT : BT_CLOSE);
		assert_int_equal(bt_net_flags(net, c) & BT_NETF_RESET, read ? 0 : BT_NETF_RESET);
		bt_net_closed(net, c, 0);
		bt_net_closed(net, l, 0);
		end(net, 0);
	}
}

/* A reset that the kernel has told: of a close alone, or after a shutdown, whose end is read first.
 */
static void reset_came(void **state)
{
	(void)state;
	for (int shut = 0; shut < 2; shut++) {
		struct bt_net *net = make(64);
		uint32_t l = listener(net, 1, ip(0, 0, 0, 0), 80), c = sock(net, 0, BT_TCP), one;

		assert_int_equal(connect_at(net, c, ip(10, 0, 0, 2), 80, 0, &one), 0);
		if (shut)
			bt_net_shut(net, one, 0);
		bt_net_closed(net, one, 0);
		assert_int_equal(info(net, c).state, BT_CLOSE_WAIT);
		bt_net_reset_came(net, c);
		assert_int_equal(info(net, c).state, BT_CLOSE);
		assert_int_equal(bt_net_flags(net, c) & BT_NETF_RESET, shut ? 0 : BT_NETF_RESET);
		bt_net_closed(net, c, 0);
		bt_net_closed(net, l, 0);
		end(net, 0);
	}
}

/* A fresh socket takes over what bind gave, where others have the port, too. */
static void renewed(void **state)
{
	struct bt_net *net = make(64);
	uint32_t l = listener(net, 1, ip(10, 0, 0, 2), 80), c = sock(net, 0, BT_TCP), one, fresh;
	struct bt_reason why;
	struct bt_port_info i;

	(void)state;
	assert_int_equal(connect_at(net, c, ip(10, 0, 0, 2), 80, 0, &one), 0);
	assert_int_equal(bt_net_renew(net, l, 0, &fresh), 0);
	i = info(net, fresh);
	assert_true(i.lport == 80 && i.opts & BT_REUSEADDR);
	assert_true(bt_addr_to_v4(&i.laddr) == 0x0a000002);
	assert_int_equal(bt_net_listen(net, fresh, 0, &why), 0);
	bt_net_shut(net, c, 0);
	bt_net_shut(net, one, 0);
	assert_int_equal(bt_net_renew(net, c, 0, &fresh), -EINVAL); /* TIME_WAIT: part first */
	bt_net_closed(net, one, 0);
	bt_net_closed(net, c, 0);
	bt_net_closed(net, fresh, 0);
	end(net, 0);
}

/* TCP's connect on a UDP socket, twice: the first child is nobody's. */
static void connect_udp(void **state)
{
	struct bt_net *net = make(64);
	uint32_t l = listener(net, 1, ip(0, 0, 0, 0), 80), c = sock(net, 0, BT_UDP), one;

	(void)state;
	assert_true(connect_at(net, c, ip(10, 0, 0, 2), 80, 0, &one) < 0);
	bt_net_closed(net, c, 0);
	bt_net_closed(net, l, 0);
	end(net, 0);
}

/* A socket in TIME_WAIT that is reset leaves the count of those in TIME_WAIT too high for ever. */
static void reset_in_time_wait(void **state)
{
	struct bt_net *net = make(2048);
	uint32_t l = listener(net, 0, ip(0, 0, 0, 0), 80), c, child;

	(void)state;
	drain(net);
	for (uint32_t n = 0; n < 262144; n++) {
		c = sock(net, 0, BT_TCP);
		assert_int_equal(connect_at(net, c, ip(127, 0, 0, 1), 80, SEC, &child), 0);
		bt_net_shut(net, c, SEC);
		bt_net_shut(net, child, SEC);
		bt_net_reset(net, c);
		bt_net_closed(net, c, SEC);
		bt_net_closed(net, child, SEC);
		if (n % 64 == 0) {
			drain(net);
			bt_net_advance(net, 100 * SEC);
		}
		drain(net);
	}
	drain(net);
	bt_net_advance(net, 100 * SEC);
	drain(net);
	c = sock(net, 0, BT_TCP);
	assert_int_equal(connect_at(net, c, ip(127, 0, 0, 1), 80, 100 * SEC, &child), 0);
	bt_net_closed(net, c, 100 * SEC);
	bt_net_closed(net, child, 100 * SEC);
	assert_int_equal(info(net, c).state, BT_TIME_WAIT);
	bt_net_closed(net, l, 100 * SEC);
	end(net, 100 * SEC);
}

/* A child in TIME_WAIT that a new connection takes over: its client, closed, was waiting for it. */
static void takeover_of_child(void **state)
{
	struct bt_net *net = make(64);
	uint32_t l = listener(net, 0, ip(0, 0, 0, 0), 80), c = sock(net, 0, BT_TCP), one, two;

	(void)state;
	assert_int_equal(bind_at(net, c, ip(127, 0, 0, 1), 4000), 0);
	assert_int_equal(connect_at(net, c, ip(127, 0, 0, 1), 80, 0, &one), 0);
	bt_net_shut(net, one, 0);
	bt_net_closed(net, c, 0); /* its slot waits for the child's closing */
	drain(net);
	assert_int_equal(info(net, one).state, BT_TIME_WAIT);
	two = sock(net, 0, BT_TCP);
	bt_port_set_opts(bt_net_ports(net), c, BT_REUSEADDR);
	bt_port_set_opts(bt_net_ports(net), two, BT_REUSEADDR);
	assert_int_equal(bind_at(net, two, ip(127, 0, 0, 1), 4000), 0);
	assert_int_equal(connect_at(net, two, ip(127, 0, 0, 1), 80, 0, &one), 0);
	drain(net);
	assert_int_equal(bt_port_count(bt_net_ports(net)), 3); /* the listener and the new pair */
	bt_net_closed(net, one, 0);
	bt_net_closed(net, two, 0);
	bt_net_closed(net, l, 0);
	end(net, 0);
}

/* Whoever loses its peer has changed: its row goes on to name a slot that is another's soon. */
static void unlinked_is_told(void **state)
{
	struct bt_net *net = make(64);
	uint32_t l = listener(net, 1, ip(0, 0, 0, 0), 80), c = sock(net, 0, BT_TCP), child, slot;
	bool told = false;
	uint8_t flags;

	(void)state;
	assert_int_equal(connect_at(net, c, ip(10, 0, 0, 2), 80, 0, &child), 0);
	bt_net_reset(net, child);
	drain(net);
	bt_net_closed(net, child, 0);
	assert_int_equal(bt_net_peer(net, c), BT_NO_SLOT);
	while ((slot = bt_net_changed(net, &flags)) != BT_NO_SLOT)
		told = told || slot == c;
	assert_true(told);
	bt_net_closed(net, c, 0);
	bt_net_closed(net, l, 0);
	end(net, 0);
}

/* A client that is closed already is undone (BT_CLOSED, then BT_CONNECT_FAIL): nobody frees it. */
static void undo_after_close(void **state)
{
	struct bt_net *net = make(64);
	uint32_t l = listener(net, 1, ip(0, 0, 0, 0), 80), c = sock(net, 0, BT_TCP), child;

	(void)state;
	assert_int_equal(connect_at(net, c, ip(10, 0, 0, 2), 80, 0, &child), 0);
	bt_net_closed(net, c, 0);
	bt_net_connect_undo(net, c);
	drain(net);
	assert_int_equal(bt_port_count(bt_net_ports(net)), 1);
	bt_net_closed(net, l, 0);
	end(net, 0);
}

/* One socket that is both ends: its FIN is the other's too. */
static void to_itself(void **state)
{
	struct bt_net *net = make(64);
	struct bt_addr own = ip(10, 0, 0, 1);
	struct bt_port_info i;
	struct bt_reason why;

	(void)state;
	for (int reset = 0; reset < 2; reset++) {
		uint32_t s = sock(net, 0, BT_TCP), child = 0, l = 0;
		uint16_t port = (uint16_t)(5000 + reset);

		assert_int_equal(bt_net_bind(net, s, &own, port, true, 0, &why), 0);
		assert_int_equal(bt_net_connect(net, s, own, port, 0, &child, &l, &why), 0);
		assert_true(child == BT_NO_SLOT && l == BT_NO_SLOT);
		assert_true(bt_port_get(bt_net_ports(net), s, &i) && i.state == BT_ESTABLISHED);
		assert_int_equal(bt_port_lookup(bt_net_ports(net), 0, BT_TCP, &own, port, &own,
						port, BT_DEV_LO),
				 s);
		if (reset)
			bt_net_reset(net, s);
		else
			bt_net_shut(net, s, 0);
		assert_true(bt_port_get(bt_net_ports(net), s, &i));
		assert_int_equal(i.state, reset ? BT_CLOSE : BT_TIME_WAIT);
		bt_net_closed(net, s, 0);
		drain(net);
		assert_int_equal(bt_port_count(bt_net_ports(net)), 1 - reset);
		bt_net_advance(net, 60 * SEC);
		drain(net);
		assert_int_equal(bt_port_count(bt_net_ports(net)), 0);
	}
	end(net, 0);
}

/* A closed client's slot waits for its child, and is told to listen: it ends with the child all the
 * same. */
static void listen_after_close(void **state)
{
	struct bt_net *net = make(64);
	uint32_t l = listener(net, 1, ip(0, 0, 0, 0), 80), c = sock(net, 0, BT_TCP), child;
	struct bt_reason why;

	(void)state;
	assert_int_equal(connect_at(net, c, ip(10, 0, 0, 2), 80, 0, &child), 0);
	bt_net_shut(net, child, 0);
	bt_net_closed(net, c, 0);
	drain(net);
	bt_net_listen(net, c, 0, &why);
	bt_net_closed(net, child, 0);
	bt_net_closed(net, l, 0);
	end(net, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends),
		cmocka_unit_test(expiry),
		cmocka_unit_test(time_wait_bound),
		cmocka_unit_test(takeover),
		cmocka_unit_test(listen_after_close),
		cmocka_unit_test(connect_after_shutdown),
		cmocka_unit_test(disconnect_tcp),
		cmocka_unit_test(bound_in_time_wait),
		cmocka_unit_test(told),
		cmocka_unit_test(closed_unread),
		cmocka_unit_test(reset_came),
		cmocka_unit_test(renewed),
		cmocka_unit_test(connect_udp),
		cmocka_unit_test(reset_in_time_wait),
		cmocka_unit_test(takeover_of_child),
		cmocka_unit_test(unlinked_is_told),
		cmocka_unit_test(undo_after_close),
		cmocka_unit_test(to_itself),
	};
	return cmocka_run_group_tests_name("ends", tests, NULL, NULL);
}
