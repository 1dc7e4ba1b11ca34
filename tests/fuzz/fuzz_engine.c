/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine by its public API: two hosts on a wire. The bytes of an input decide, one act after
 * the other: calls with odd arguments on sockets old and new, packets that are carried, lost,
 * doubled, cut, or changed in some bytes (with the checksums made right again or not), packets from
 * nowhere, time that passes. After each act the deadline is later than the time that was advanced
 * to; at the end, all sockets closed and no packet carried any more, none is left after two hours.
 */
#include <berth/berth.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SOCKETS 32
#define WIRE	16
#define SECOND	((uint64_t)1000000000)

struct packet {
	uint16_t len;
	uint8_t to; /* end */
	uint8_t data[1600];
};

static struct world {
	const uint8_t *in;
	size_t left;
	struct berth *b;
	int host[2], i[2];
	uint64_t now;
	berth_socket sockets[SOCKETS];
	struct packet wire[WIRE];
	unsigned n_wire;
} w;

static uint8_t byte(void)
{
	if (w.left == 0)
		return 0;
	w.left--;
	return *w.in++;
}

static uint32_t word(void)
{
	uint32_t v = byte();

	v = v << 8 | byte();
	v = v << 8 | byte();
	return v << 8 | byte();
}

static struct berth_addr address(unsigned end, bool six)
{
	struct berth_addr a = {{[10] = 0xff, [11] = 0xff, 10, 0, 0, (uint8_t)(end + 1)}};

	if (six)
		a = (struct berth_addr){{0xfd, [15] = (uint8_t)(end + 1)}};
	return a;
}

static void begin(const uint8_t *data, size_t size)
{
	const struct berth_config config = {.max_sockets = 200, .buffer_bytes = 1 << 20};

	memset(&w, 0, sizeof(w));
	w.in = data;
	w.left = size;
	w.now = SECOND;
	w.b = berth_new(&config);
	if (w.b == NULL)
		abort();
	for (unsigned end = 0; end < 2; end++) {
		const struct berth_if_config c = {.mtu = 1500};

		w.host[end] = berth_host_add(w.b);
		w.i[end] = berth_if_add(w.b, (berth_host)w.host[end], &c);
		for (int six = 0; six < 2; six++) {
			struct berth_addr a = address(end, six);
			if (berth_addr_add(w.b, (berth_if)w.i[end], &a, six ? 64 : 24) < 0)
				abort();
		}
	}
}

/* ---- packets ---- */

static void collect(void)
{
	struct berth_output out;

	while (berth_output(w.b, &out, 1, w.now) > 0) {
		struct packet *k = &w.wire[w.n_wire];
		size_t at = 0;

		if (w.n_wire == WIRE || out.len > sizeof(k->data))
			continue; /* lost */
		for (unsigned p = 0; p < out.n_iov; at += out.iov[p++].iov_len)
			memcpy(k->data + at, out.iov[p].iov_base, out.iov[p].iov_len);
		if (at != out.len)
			abort();
		k->len = (uint16_t)at;
		k->to = out.i == w.i[0];
		w.n_wire++;
	}
}

static uint32_t sum16(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static void put_sum(uint8_t *p, uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	p[0] = (uint8_t)(~sum >> 8);
	p[1] = (uint8_t)~sum;
}

/* Makes the checksums right, so that what was changed is looked at. */
static void mend(uint8_t *p, size_t len)
{
	bool six = len > 0 && p[0] >> 4 == 6;
	size_t head = six ? 40 : 20, body = len - head, at;
	uint8_t proto;

	if (len < head + 8)
		return;
	proto = six ? p[6] : p[9];
	if (!six) {
		p[10] = p[11] = 0;
		put_sum(p + 10, sum16(0, p, 20));
	}
	at = proto == 6 ? 16 : proto == 17 ? 6 : 2;
	if (body < at + 2)
		return;
	memset(p + head + at, 0, 2);
	put_sum(p + head + at,
		sum16(proto == 1 ? 0
				 : (uint32_t)body + proto +
					   sum16(0, six ? p + 8 : p + 12, six ? 32 : 8),
		      p + head, body));
}

static void carry(unsigned how)
{
	struct packet k;
	unsigned n = w.n_wire > 0 ? byte() % w.n_wire : 0;

	if (w.n_wire == 0)
		return;
	k = w.wire[n];
	if (how & 1) { /* changed */
		for (unsigned i = byte() % 4 + 1u; i > 0; i--)
			k.data[byte() % (k.len < 80 ? k.len : 80)] = byte();
		mend(k.data, k.len);
	}
	if (how & 2) /* cut */
		k.len = (uint16_t)(byte() % k.len);
	if (!(how & 4)) /* else it stays, to come again */
		memmove(&w.wire[n], &w.wire[n + 1], (--w.n_wire - n) * sizeof(w.wire[0]));
	if (!(how & 8)) {
		/* Exactly as long as it is, so that the sanitizer sees each byte read beyond it. */
		uint8_t *exact = malloc(k.len ? k.len : 1);
		if (exact == NULL)
			return;
		memcpy(exact, k.data, k.len);
		berth_input(w.b, (berth_if)w.i[k.to], exact, k.len, w.now);
		free(exact);
	}
}

/* A packet from nowhere: the rest of a head that is plausible, then bytes of the input. */
static void from_nowhere(void)
{
	static const uint8_t protos[] = {6, 17, 1, 58, 2, 44, 0};
	uint8_t p[120] = {0}, end = byte() & 1, n = byte() % 60, proto = protos[byte() % 7];
	bool six = byte() & 1;
	struct berth_addr src = address(!end, six), dst = address(end, six);
	size_t head = six ? 40 : 20;

	if (six) {
		p[0] = 0x60;
		p[5] = n;
		p[6] = proto;
		p[7] = 255;
		memcpy(p + 8, src.b, 16);
		memcpy(p + 24, dst.b, 16);
	} else {
		p[0] = 0x45;
		p[3] = (uint8_t)(20 + n);
		p[6] = byte() & 0x3f;
		p[8] = 64;
		p[9] = proto;
		memcpy(p + 12, src.b + 12, 4);
		memcpy(p + 16, dst.b + 12, 4);
	}
	for (unsigned i = 0; i < n; i++)
		p[head + i] = byte();
	mend(p, head + n);
	berth_input(w.b, (berth_if)w.i[end], p, head + n, w.now);
}

/* ---- calls ---- */

static struct berth_endpoint endpoint(void)
{
	uint8_t kind = byte();
	struct berth_endpoint e = {.addr = address(kind & 1, kind & 2)};

	if (kind & 4)
		memset(e.addr.b, 0, kind & 2 ? 16 : 10);
	if ((kind & 12) == 12)
		memset(e.addr.b + 12, 0, 4);
	e.port = kind & 16 ? (uint16_t)word() : (uint16_t)(80 + (kind >> 5));
	return e;
}

static void call(unsigned what)
{
	static uint8_t buffer[70000];
	berth_socket *s = &w.sockets[byte() % SOCKETS], child;
	struct berth_endpoint e = endpoint();
	struct berth_tcp_info info;
	int64_t value;

	switch (what) {
	case 0:
		if (*s != 0)
			(void)berth_close(w.b, *s, w.now);
		*s = 0;
		(void)berth_open(w.b, (berth_host)w.host[byte() & 1],
				 byte() & 1 ? BERTH_TCP : BERTH_UDP, byte() & 1 ? 4 : 6, s);
		break;
	case 1:
		(void)berth_bind(w.b, *s, &e, w.now);
		break;
	case 2:
		(void)berth_listen(w.b, *s, byte() % 8, w.now);
		break;
	case 3:
		(void)berth_connect(w.b, *s, byte() % 16 ? &e : NULL, w.now);
		break;
	case 4:
		if (berth_accept(w.b, *s, &child, w.now) == 0) {
			s = &w.sockets[byte() % SOCKETS];
			if (*s != 0)
				(void)berth_abort(w.b, *s, w.now);
			*s = child;
		}
		break;
	case 5:
		(void)berth_send(w.b, *s, buffer, word() % sizeof(buffer), byte() & 3, w.now);
		break;
	case 6:
		(void)berth_recv(w.b, *s, buffer, word() % sizeof(buffer), byte() & 3, w.now);
		break;
	case 7:
		(void)berth_send_to(w.b, *s, buffer, word() % sizeof(buffer),
				    byte() & 1 ? &e : NULL, w.now);
		break;
	case 8:
		(void)berth_recv_from(w.b, *s, buffer, word() % sizeof(buffer), NULL, byte() & 1,
				      w.now);
		break;
	case 9:
		(void)berth_shutdown(w.b, *s, (enum berth_shut)(byte() % 3), w.now);
		break;
	case 10:
		(void)berth_close(w.b, *s, w.now);
		break; /* the handle stays here: a stale one */
	case 11:
		(void)berth_abort(w.b, *s, w.now);
		break;
	case 12:
		(void)berth_set(w.b, *s, (enum berth_option)(byte() % 80), (int32_t)word(), w.now);
		break;
	case 13:
		(void)berth_get(w.b, *s, (enum berth_option)(byte() % 80), &value);
		(void)berth_error_take(w.b, *s);
		break;
	default:
		(void)berth_tcp_info(w.b, *s, &info);
		(void)berth_ready(w.b, *s);
		break;
	}
}

static void advance(uint64_t by)
{
	w.now += by;
	berth_advance(w.b, w.now);
	if (berth_deadline(w.b) <= w.now)
		abort();
}

static void end(void)
{
	struct berth_event e;
	uint64_t until;

	for (unsigned i = 0; i < SOCKETS; i++)
		if (w.sockets[i] != 0)
			(void)berth_close(w.b, w.sockets[i], w.now);
	until = w.now + 7200 * SECOND;
	for (;;) {
		w.n_wire = WIRE; /* all is lost */
		collect();
		while (berth_event(w.b, &e))
			;
		if (berth_sockets(w.b) == 0 || berth_deadline(w.b) >= until)
			break;
		w.now = berth_deadline(w.b);
		advance(0);
	}
	if (berth_sockets(w.b) > 0)
		abort();
	berth_free(w.b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct berth_event e;

	begin(data, size);
	while (w.left > 0) {
		uint8_t act = byte();

		if (act < 128)
			call(act % 16);
		else if (act < 200)
			carry(act & 64 ? 0 : act & 15);
		else if (act < 215)
			from_nowhere();
		else if (act < 245)
			advance((uint64_t)byte() * 10000000);
		else
			advance((uint64_t)byte() * SECOND);
		if (act & 1)
			(void)berth_event(w.b, &e);
		collect();
	}
	end();
	return 0;
}
