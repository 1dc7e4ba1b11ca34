/* SPDX-License-Identifier: Apache-2.0 */
/* What the drawings of a map say alike. */
#include "map.h"

#include "addr.h"
#include "join.h"
#include "services.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *bt_map_zone_name(enum bt_map_kind kind)
{
	static const char *const names[] = {"Well-known", "Registered", "Ephemeral", "Dynamic"};
	return names[kind];
}

const char *bt_map_share(const struct bt_map_host *h, char text[BT_MAP_SHARE])
{
	unsigned percent = h->capacity ? (unsigned)((uint64_t)h->in_use * 100 / h->capacity) : 0;
	snprintf(text, BT_MAP_SHARE, h->in_use && percent == 0 ? "under 1 %%" : "%u %%", percent);
	return text;
}

bool bt_map_in(const struct bt_map_zone *z, const struct bt_map_seat *s)
{
	return s->first >= z->first && s->first <= z->last;
}

const char *bt_map_service(const struct bt_map_seat *s)
{
	return s->first == s->last ? bt_service_word(s->proto == BT_PROTO_UDP, s->first) : NULL;
}

const char *bt_map_host_name(const struct bt_map *m, uint16_t host)
{
	return host == BT_MAP_OUTSIDE ? "outside" : m->hosts[host].name;
}

__attribute__((format(printf, 3, 4))) static void append(char *text, size_t size, const char *fmt,
							 ...)
{
	size_t used = strlen(text);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text + used, size - used, fmt, ap);
	va_end(ap);
}

void bt_map_programs(const struct bt_map_seat *s, char *text, size_t size)
{
	*text = '\0';
	for (unsigned i = 0; i < s->n_programs; i++) {
		const struct bt_program *p = &s->programs[i];
		if (i && strcmp(p->name, p[-1].name) == 0)
			append(text, size, ", %d", p->pid);
		else
			append(text, size, "%s%s (%d", i ? "), " : "", p->name, p->pid);
	}
	if (s->more_programs)
		append(text, size, " +%u", s->more_programs);
	append(text, size, s->n_programs ? ")" : "?");
}

void bt_map_addrs(const struct bt_map_seat *s, char *text, size_t size)
{
	*text = '\0';
	for (unsigned i = 0; i < s->n_addrs; i++) {
		char addr[BT_ADDR_TEXT];
		bt_addr_text(s->addrs[i], addr);
		append(text, size, "%s%s", i ? ", " : "", addr);
	}
	if (s->more_addrs)
		append(text, size, " +%u", s->more_addrs);
}
