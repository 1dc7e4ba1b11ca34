/* SPDX-License-Identifier: Apache-2.0 */
#include "services.h"

#include <stddef.h>
#include <strings.h>

unsigned bt_services_of_port(uint16_t port, const struct bt_service **first)
{
	unsigned lo = 0, hi = bt_n_services, n = 0;
	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		if (bt_services[mid].port < port)
			lo = mid + 1;
		else
			hi = mid;
	}
	*first = &bt_services[lo];
	while (lo + n < bt_n_services && bt_services[lo + n].port == port)
		n++;
	return n;
}

static int compare(unsigned at, const char *name)
{
	return strcasecmp(bt_service_name(&bt_services[bt_service_by_name[at]]), name);
}

unsigned bt_services_of_name(const char *name, unsigned *first)
{
	unsigned lo = 0, hi = bt_n_service_names, n = 0;
	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		if (compare(mid, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*first = lo;
	while (lo + n < bt_n_service_names && compare(lo + n, name) == 0)
		n++;
	return n;
}

const char *bt_service_word(bool udp, uint16_t port)
{
	enum { EPHEMERAL_FIRST = 32768, EPHEMERAL_LAST = 60999 };
	if (port >= EPHEMERAL_FIRST && port <= EPHEMERAL_LAST)
		return NULL;
	/* Read off once: a list of 100,000 sockets asks twice for each. */
	static const char *words[2][65536];
	static bool filled;
	for (unsigned i = bt_n_services; !filled && i-- > 0;) {
		const struct bt_service *s = &bt_services[i];
		for (unsigned k = 0; k < 2 && *bt_service_name(s); k++) {
			if (s->protocols & (k ? BT_SERVICE_UDP : BT_SERVICE_TCP))
				words[k][s->port] = bt_service_name(s);
		}
	}
	filled = true;
	return words[udp][port];
}
