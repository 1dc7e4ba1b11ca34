/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp.h"

#include "../base/assert.h"
#include "../base/bytes.h"

#define HEADER 20u

enum kind { /* IANA, TCP option kind numbers */
	    END = 0,
	    NOP = 1,
	    MSS = 2,
	    WSCALE = 3,
	    SACK_OK = 4,
	    SACK = 5,
	    TIMESTAMPS = 8,
	    FASTOPEN = 34,
};

#define TS_ALONE 0x0101080au /* NOP, NOP, timestamps of 10: RFC 7323 appendix A */

static void read_sack(const uint8_t *p, unsigned n, struct bt_tcp_seg *seg)
{
	seg->n_sack = 0;
	for (; n > 0; n--, p += 8) {
		struct bt_sack s = {bt_seq(bt_get32(p)), bt_seq(bt_get32(p + 4))};

		if (bt_seq_lt(s.start, s.end))
			seg->sack[seg->n_sack++] = s;
	}
	if (seg->n_sack > 0)
		seg->has |= BT_TCP_SACK;
}

/* Those that only a SYN may carry. */
static void read_syn_option(const uint8_t *p, unsigned len, struct bt_tcp_seg *seg)
{
	switch (p[0]) {
	case MSS: /* RFC 9293 3.7.1 */
		if (len == 4 && !(seg->has & BT_TCP_MSS) && bt_get16(p + 2) != 0) {
			seg->has |= BT_TCP_MSS;
			seg->mss = bt_get16(p + 2);
		}
		break;
	case WSCALE: /* RFC 7323 2.2, 2.3 */
		if (len == 3 && !(seg->has & BT_TCP_WSCALE)) {
			seg->has |= BT_TCP_WSCALE;
			seg->wscale = p[2] < 14 ? p[2] : 14;
		}
		break;
	case SACK_OK: /* RFC 2018 2 */
		if (len == 2)
			seg->has |= BT_TCP_SACK_OK;
		break;
	case FASTOPEN: /* RFC 7413 4.1.1 */
		if ((len == 2 || (len >= 6 && len <= 18 && len % 2 == 0)) &&
		    !(seg->has & BT_TCP_FASTOPEN)) {
			seg->has |= BT_TCP_FASTOPEN;
			seg->cookie_len = (uint8_t)(len - 2);
			memcpy(seg->cookie, p + 2, seg->cookie_len);
		}
		break;
	default: /* RFC 9293 MUST-6: unknown ones are ignored */
		break;
	}
}

/* RFC 9293 3.1, MUST-4, MUST-5, MUST-64: in any segment, at any place. */
static enum bt_tcp_bad read_options(const uint8_t *p, const uint8_t *end, struct bt_tcp_seg *seg)
{
	while (p < end) {
		unsigned len;

		if (p[0] == END)
			break;
		if (p[0] == NOP) {
			p++;
			continue;
		}
		/* RFC 9293 MUST-7: an illegal length, for example 0 */
		if (end - p < 2 || p[1] < 2 || p[1] > end - p)
			return BT_TCP_BAD_OPTION;
		len = p[1];
		if (p[0] == TIMESTAMPS) { /* RFC 7323 3.2 */
			if (len == 10 && !(seg->has & BT_TCP_TS)) {
				seg->has |= BT_TCP_TS;
				seg->ts_val = bt_get32(p + 2);
				seg->ts_ecr = bt_get32(p + 6);
			}
		} else if (p[0] == SACK) { /* RFC 2018 3 */
			if (len % 8 == 2 && len > 2 && !(seg->has & BT_TCP_SACK))
				read_sack(p + 2, len / 8, seg);
		} else if (seg->flags & BT_SYN) {
			read_syn_option(p, len, seg);
		}
		p += len;
	}
	return BT_TCP_OK;
}

enum bt_tcp_bad bt_tcp_read(const uint8_t *data, size_t len, struct bt_tcp_seg *seg)
{
	unsigned header_len;

	if (len < HEADER)
		return BT_TCP_SHORT;
	header_len = data[12] / 16 * 4u;
	if (header_len < HEADER || header_len > len)
		return BT_TCP_SHORT;
	seg->sport = bt_get16(data);
	seg->dport = bt_get16(data + 2);
	seg->seq = bt_seq(bt_get32(data + 4));
	seg->flags = data[13];
	seg->ack = bt_seq(seg->flags & BT_ACK ? bt_get32(data + 8) : 0);
	seg->window = bt_get16(data + 14);
	seg->urgent = seg->flags & BT_URG ? bt_get16(data + 18) : 0;
	seg->header_len = (uint8_t)header_len;
	seg->has = 0;
	seg->wscale = 0;
	seg->n_sack = 0;
	seg->mss = 0;
	seg->cookie_len = 0;
	seg->ts_val = 0;
	seg->ts_ecr = 0;
	if (header_len == HEADER + 12 && bt_get32(data + HEADER) == TS_ALONE) {
		seg->has = BT_TCP_TS;
		seg->ts_val = bt_get32(data + HEADER + 4);
		seg->ts_ecr = bt_get32(data + HEADER + 8);
		return BT_TCP_OK;
	}
	return read_options(data + HEADER, data + header_len, seg);
}

static uint8_t *put_timestamps(uint8_t *p, const struct bt_tcp_seg *seg)
{
	p[0] = TIMESTAMPS;
	p[1] = 10;
	bt_put32(p + 2, seg->ts_val);
	bt_put32(p + 6, seg->ts_ecr);
	return p + 10;
}

static uint8_t *put_sack(uint8_t *p, const uint8_t *end, const struct bt_tcp_seg *seg)
{
	unsigned n = (unsigned)(end - p) / 8;

	if (end - p < 12 || seg->n_sack == 0)
		return p;
	if ((unsigned)(end - p) % 8 < 4)
		n--;
	if (n > seg->n_sack)
		n = seg->n_sack;
	*p++ = NOP;
	*p++ = NOP;
	*p++ = SACK;
	*p++ = (uint8_t)(2 + 8 * n);
	for (unsigned i = 0; i < n; i++, p += 8) {
		bt_put32(p, seg->sack[i].start.n);
		bt_put32(p + 4, seg->sack[i].end.n);
	}
	return p;
}

/* RFC 9293 MUST-68: each has its length. The options of a SYN, without padding: at most 4 + 12 + 4
 * + 18. */
static uint8_t *put_syn_options(uint8_t *p, const struct bt_tcp_seg *seg)
{
	if (seg->has & BT_TCP_MSS) {
		p[0] = MSS;
		p[1] = 4;
		bt_put16(p + 2, seg->mss);
		p += 4;
	}
	if (seg->has & BT_TCP_SACK_OK) {
		p[0] = SACK_OK;
		p[1] = 2;
		p += 2;
	} else if (seg->has & BT_TCP_TS) {
		*p++ = NOP;
		*p++ = NOP;
	}
	if (seg->has & BT_TCP_TS)
		p = put_timestamps(p, seg);
	if (seg->has & BT_TCP_WSCALE) {
		bt_assert(seg->wscale <= 14);
		p[0] = NOP;
		p[1] = WSCALE;
		p[2] = 3;
		p[3] = seg->wscale;
		p += 4;
	}
	if (seg->has & BT_TCP_FASTOPEN) {
		bt_assert(seg->cookie_len <= 16 && seg->cookie_len % 2 == 0);
		p[0] = FASTOPEN;
		p[1] = (uint8_t)(2 + seg->cookie_len);
		memcpy(p + 2, seg->cookie, seg->cookie_len);
		p += p[1];
	}
	return p;
}

unsigned bt_tcp_write(uint8_t data[BT_TCP_HEADER_MAX], const struct bt_tcp_seg *seg)
{
	uint8_t *p = data + HEADER;
	unsigned header_len;

	bt_put16(data, seg->sport);
	bt_put16(data + 2, seg->dport);
	bt_put32(data + 4, seg->seq.n);
	bt_put32(data + 8, seg->ack.n);
	if (seg->has == BT_TCP_TS) {
		bt_put32(p, TS_ALONE);
		bt_put32(p + 4, seg->ts_val);
		bt_put32(p + 8, seg->ts_ecr);
		p += 12;
	} else if (seg->has != 0) {
		p = put_syn_options(p, seg);
		while ((p - data) % 4 != 0)
			*p++ = NOP;
		if (seg->has & BT_TCP_SACK)
			p = put_sack(p, data + BT_TCP_HEADER_MAX, seg);
	}
	header_len = (unsigned)(p - data);
	data[12] = (uint8_t)(header_len / 4 << 4);
	data[13] = seg->flags;
	bt_put16(data + 14, seg->window);
	bt_put16(data + 16, 0);
	bt_put16(data + 18, seg->urgent);
	return header_len;
}
