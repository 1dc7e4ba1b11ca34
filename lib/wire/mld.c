/* SPDX-License-Identifier: Apache-2.0 */
#include "mld.h"

#include "../base/bytes.h"
#include "nd.h"

#define QUERY2_BYTES 28
#define RECORD_BYTES 20

/* RFC 3810 5.1, 8.1: the version is told by the length. */
static bool read_query(const uint8_t *data, size_t len, struct bt_group_query *q)
{
	bool general;
	uint16_t n;

	if (len < BT_MLD_BYTES)
		return false;
	memcpy(q->group.b, data + 8, sizeof(q->group.b));
	general = bt_addr_is_any(&q->group);
	/* A mapped 0.0.0.0 is not the wildcard of IPv6. */
	if (bt_addr_is_v4(&q->group) || (!general && q->group.b[0] != 0xff))
		return false;
	if (len == BT_MLD_BYTES) {
		q->version = 1;
		q->max_resp_ms = bt_get16(data + 4);
		return true;
	}
	if (len < QUERY2_BYTES)
		return false;
	n = bt_get16(data + 26);
	if (n * 16u > len - QUERY2_BYTES || (general && n != 0))
		return false;
	q->version = 2;
	q->max_resp_ms = bt_group_code16(bt_get16(data + 4));
	q->suppress = data[24] & 8;
	q->robustness = data[24] & 7;
	q->interval_s = bt_group_code8(data[25]);
	q->n_sources = n;
	q->sources_at = QUERY2_BYTES;
	return true;
}

/* RFC 3810 5.2: records of 20 bytes, sources and auxiliary data */
static bool records_fit(const uint8_t *data, size_t len, uint16_t n)
{
	size_t at = 8;

	for (; n > 0; n--) {
		size_t more;

		if (len - at < RECORD_BYTES)
			return false;
		more = bt_get16(data + at + 2) * (size_t)16 + data[at + 1] * (size_t)4;
		if (more > len - at - RECORD_BYTES)
			return false;
		at += RECORD_BYTES + more;
	}
	return true;
}

bool bt_mld_read(const uint8_t *data, size_t len, const struct bt_addr *src, uint8_t hops,
		 bool router_alert, struct bt_mld *m)
{
	if (len < 8 || hops != 1 || !router_alert)
		return false;
	memset(m, 0, sizeof(*m));
	m->type = data[0];
	if (!bt_addr_is_link_local6(src) &&
	    !(m->type != BT_MLD_QUERY && bt_addr_is_any(src) && !bt_addr_is_v4(src)))
		return false;
	switch (m->type) {
	case BT_MLD_QUERY:
		return read_query(data, len, &m->query);
	case BT_MLD_REPORT1:
	case BT_MLD_DONE:
		if (len < BT_MLD_BYTES)
			return false;
		memcpy(m->group.b, data + 8, sizeof(m->group.b));
		return m->group.b[0] == 0xff;
	case BT_MLD_REPORT2:
		m->n_records = bt_get16(data + 6);
		return records_fit(data, len, m->n_records);
	default:
		return false;
	}
}

void bt_mld_write(uint8_t data[BT_MLD_BYTES], enum bt_mld_type type, const struct bt_addr *group)
{
	bt_put32(data, (uint32_t)type << 24);
	bt_put32(data + 4, 0);
	memcpy(data + 8, group->b, sizeof(group->b));
}

unsigned bt_mld_report2_write(uint8_t *data, const struct bt_group_record *records, uint16_t n)
{
	uint8_t *p = data + 8;

	bt_put32(data, (uint32_t)BT_MLD_REPORT2 << 24);
	bt_put32(data + 4, n);
	for (uint16_t i = 0; i < n; i++, p += RECORD_BYTES) {
		bt_put32(p, (uint32_t)records[i].change << 24);
		memcpy(p + 4, records[i].group.b, sizeof(records[i].group.b));
	}
	return (unsigned)(p - data);
}
