/* SPDX-License-Identifier: Apache-2.0 */
/* Linux's rules for ports, told without any index: every question looks at every socket. */
#ifndef BERTH_TESTS_PORT_RULES_H
#define BERTH_TESTS_PORT_RULES_H

#include "../../lib/port/port.h"

#define N_MODEL 160

struct model {
	struct bt_port_info i;
	bool used, port_lock, addr_lock, held, v6_addr, tuple;
	uint64_t since, until; /* TIME_WAIT */
	int64_t place, tuple_place;
};

/* What a TCP port remembers of the sockets with SO_REUSEPORT that took it. */
struct history {
	bool on;
	uint16_t host, port;
	struct model like;
};

/* bind names the port; a search tries it; so too with ip_autobind_reuse, nothing else being free.
 */
enum ask { NAMED, CHOSEN, RELAXED };

extern struct model socks[N_MODEL];
extern struct history remembered[N_MODEL];
extern struct bt_port_net *net; /* for its hosts' settings */
extern uint64_t now;

bool v6only(const struct model *s); /* also after a bind to an IPv6 address */
/* NULL: nothing is remembered of the port. */
struct history *history(const struct model *a, uint16_t port);
/* After a bind or listen of this socket. */
void remember(const struct model *a);
bool conflicts(const struct model *a, uint16_t port, enum ask ask);
bool reserved(const struct bt_port_conf *c, uint16_t port);
bool port_used(const struct model *s, uint16_t port, bool held_only);
/* 3: not in use by anything; 2: free for bind to 0 only because addresses differ; 1: only with
 * ip_autobind_reuse; 0: not free. */
int bind_free(const struct model *s, uint16_t port);
/* The most that bind_free says of any port. */
int best_bind_free(const struct model *s);
/* BT_NO_SLOT: nobody has it. */
uint32_t find_tuple(uint16_t host, uint8_t proto, const struct bt_addr *laddr, uint16_t lport,
		    const struct bt_addr *raddr, uint16_t rport, uint8_t dev);
/* 0: taken; 1: only by taking over; 2: free */
int connect_free(const struct model *s, const struct bt_addr *src, uint16_t port,
		 const struct bt_addr *raddr, uint16_t rport);
/* How well a packet's destination fits; the best gets it. */
int score(const struct model *s, const struct bt_addr *laddr, uint8_t dev);
bool receives(const struct model *s, uint16_t host, uint8_t proto, uint16_t lport);
uint32_t find_listener(uint16_t host, uint8_t proto, const struct bt_addr *laddr, uint16_t lport,
		       uint8_t dev);

#endif
