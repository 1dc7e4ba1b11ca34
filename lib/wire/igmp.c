/* SPDX-License-Identifier: Apache-2.0 */
#include "igmp.h"

#include "../base/bytes.h"

#define QUERY3_BYTES 12

static bool is_multicast(uint32_t a)
{
	return a >> 28 == 0xe;
}

/* RFC 3376 4.1, 7.1: the version is told by the length, and by a response time of 0. */
static bool read_query(const uint8_t *data, size_t len, struct bt_group_query *q)
{
	uint32_t group = bt_get32(data + 4);
	uint16_t n;

	if (group != 0 && !is_multicast(group))
		return false;
	q->group = bt_addr_v4(group);
	if (len == BT_IGMP_BYTES) {
		q->version = data[1] == 0 ? 1 : 2;
		q->max_resp_ms = data[1] == 0 ? 10000 : data[1] * 100u;
		return true;
	}
	if (len < QUERY3_BYTES)
		return false;
	n = bt_get16(data + 10);
	if (n * 4u > len - QUERY3_BYTES || (group == 0 && n != 0))
		return false;
	q->version = 3;
	q->max_resp_ms = bt_group_code8(data[1]) * 100;
	q->suppress = data[8] & 8;
	q->robustness = data[8] & 7;
	q->interval_s = bt_group_code8(data[9]);
	q->n_sources = n;
	q->sources_at = QUERY3_BYTES;
	return true;
}

/* RFC 3376 4.2: records of 8 bytes, sources and auxiliary data */
static bool records_fit(const uint8_t *data, size_t len, uint16_t n)
{
	size_t at = BT_IGMP_BYTES;

	for (; n > 0; n--) {
		if (len - at < 8)
			return false;
		if ((bt_get16(data + at + 2) + (size_t)data[at + 1]) * 4 > len - at - 8)
			return false;
		at += 8 + (bt_get16(data + at + 2) + (size_t)data[at + 1]) * 4;
	}
	return true;
}

bool bt_igmp_read(const uint8_t *data, size_t len, struct bt_igmp *m)
{
	if (len < BT_IGMP_BYTES)
		return false;
	memset(m, 0, sizeof(*m));
	m->type = data[0];
	switch (m->type) {
	case BT_IGMP_QUERY:
		return read_query(data, len, &m->query);
	case BT_IGMP_REPORT1:
	case BT_IGMP_REPORT2:
	case BT_IGMP_LEAVE:
		m->group = bt_addr_v4(bt_get32(data + 4));
		return is_multicast(bt_get32(data + 4));
	case BT_IGMP_REPORT3:
		m->n_records = bt_get16(data + 6);
		return records_fit(data, len, m->n_records);
	default:
		return false;
	}
}

void bt_igmp_write(uint8_t data[BT_IGMP_BYTES], enum bt_igmp_type type, const struct bt_addr *group)
{
	bt_put32(data, (uint32_t)type << 24);
	memcpy(data + 4, group->b + 12, 4);
}

unsigned bt_igmp_report3_write(uint8_t *data, const struct bt_group_record *records, uint16_t n)
{
	uint8_t *p = data + BT_IGMP_BYTES;

	bt_put32(data, (uint32_t)BT_IGMP_REPORT3 << 24);
	bt_put32(data + 4, n);
	for (uint16_t i = 0; i < n; i++, p += 8) {
		bt_put32(p, (uint32_t)records[i].change << 24);
		memcpy(p + 4, records[i].group.b + 12, 4);
	}
	return (unsigned)(p - data);
}
