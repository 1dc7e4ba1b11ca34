/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two hosts in one process: "server" listens on port 80, "client" connects, asks, and gets an
 * answer. Nothing leaves the program: the wire between them is the function carry() below, and time
 * is a number that this program moves forward. Read from main() on.
 *
 *	cc two_hosts.c $(pkg-config --cflags --libs berth) && ./a.out
 */
#include <berth/berth.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct berth *b;	     /* the engine: it holds both hosts */
static uint64_t now;	     /* nanoseconds; any clock that does not go back will do */
static berth_if wire_end[2]; /* the interfaces that the wire joins */

/* Functions say 0 or a number, or a negative number of enum berth_error. This program expects
 * success, and gives up otherwise. */
static int64_t must(int64_t result, const char *what)
{
	if (result >= 0 || result == BERTH_EINPROGRESS)
		return result;
	fprintf(stderr, "%s: %s\n", what, berth_strerror((int)result));
	exit(1);
}

/* 10.0.0.n. Addresses are 16 bytes; IPv4 stands at the end of ::ffff:0:0/96. */
static struct berth_addr address(uint8_t n)
{
	return (struct berth_addr){{[10] = 0xff, [11] = 0xff, [12] = 10, [15] = n}};
}

/*
 * The wire. The engine never sends: it is asked. What it gives for one interface is put into the
 * other. A packet is in parts (the headers, then pieces of the sender's buffer, not copied); here
 * they are put together, as a device's driver would do with writev(2).
 *
 * A real wire would wait, and sometimes lose one: do it here, and see TCP cope.
 */
static void carry(void)
{
	static uint8_t packet[65536];
	struct berth_output out;

	while (berth_output(b, &out, 1, now) == 1) {
		size_t len = 0;

		for (unsigned i = 0; i < out.n_iov; i++) {
			memcpy(packet + len, out.iov[i].iov_base, out.iov[i].iov_len);
			len += out.iov[i].iov_len;
		}
		berth_input(b, out.i == wire_end[0] ? wire_end[1] : wire_end[0], packet, len, now);
	}
}

/* A host with one interface and an address. Routes to the addresses of its link come by themselves;
 * berth_route_add adds others. Without BERTH_IF_ETHERNET packets are bare IP, so nobody has to ask
 * for link addresses. */
static berth_host make_host(uint8_t n, berth_if *i)
{
	struct berth_if_config config = {.mtu = 1500};
	struct berth_addr addr = address(n);
	berth_host host = (berth_host)must(berth_host_add(b), "berth_host_add");

	*i = (berth_if)must(berth_if_add(b, host, &config), "berth_if_add");
	must(berth_addr_add(b, *i, &addr, 24), "berth_addr_add");
	return host;
}

/* What the server does when something has happened to one of its sockets. Events are edges: each is
 * told once, so all that waits is taken at once, until BERTH_EAGAIN. */
static void serve(berth_socket listener, const struct berth_event *event)
{
	char question[100], answer[200];
	berth_socket s;
	int64_t n;

	if (event->socket == listener) {
		/* The connection's own events follow; nothing is to be done but to take it. */
		while (berth_accept(b, listener, &s, now) == 0)
			printf("server: a connection\n");
		return;
	}
	while ((n = berth_recv(b, event->socket, question, sizeof(question), 0, now)) > 0) {
		int len = snprintf(answer, sizeof(answer), "you said: %.*s", (int)n, question);

		printf("server: %lld bytes\n", (long long)n);
		must(berth_send(b, event->socket, answer, (size_t)len, 0, now), "berth_send");
	}
	if (n == 0) /* the client has ended its side: end ours */
		must(berth_close(b, event->socket, now), "berth_close");
}

/* The client: asks when it is connected, prints what it gets. True: that was all. */
static bool ask(const struct berth_event *event)
{
	char answer[200];
	int64_t n;

	if (event->what & BERTH_ERROR) {
		printf("client: %s\n", berth_strerror(berth_error_take(b, event->socket)));
		exit(1);
	}
	n = berth_recv(b, event->socket, answer, sizeof(answer), 0, now);
	if (n > 0) {
		printf("client: %.*s\n", (int)n, answer);
		must(berth_shutdown(b, event->socket, BERTH_SHUT_WR, now), "berth_shutdown");
	} else if (n == 0) {
		must(berth_close(b, event->socket, now), "berth_close");
		return true;
	} else if (event->what & BERTH_WRITABLE) {
		printf("client: connected\n");
		must(berth_send(b, event->socket, "hello", 5, 0, now), "berth_send");
	}
	return false;
}

int main(void)
{
	/* The key is what sequence numbers and ports are made of: 16 random bytes in earnest. With
	 * the same key and the same calls, every run is the same. */
	struct berth_config config = {.key = "not so secret..."};
	struct berth_endpoint web = {.addr = address(1), .port = 80};
	berth_socket listener, client;
	berth_host server_host, client_host;
	bool done = false;

	b = berth_new(&config);
	if (b == NULL)
		return 1;
	server_host = make_host(1, &wire_end[0]);
	client_host = make_host(2, &wire_end[1]);

	must(berth_open(b, server_host, BERTH_TCP, 4, &listener), "berth_open");
	must(berth_bind(b, listener, &web, now), "berth_bind");
	must(berth_listen(b, listener, 16, now), "berth_listen");

	must(berth_open(b, client_host, BERTH_TCP, 4, &client), "berth_open");
	must(berth_connect(b, client, &web, now), "berth_connect"); /* in progress */

	/* The loop of every program that has an engine: carry packets, look at sockets, and when
	 * nothing moves, wait until the engine's next deadline. */
	while (!done) {
		struct berth_event event;
		bool moved = false;

		carry();
		while (!done && berth_event(b, &event)) {
			moved = true;
			if (event.socket == client)
				done = ask(&event);
			else
				serve(listener, &event);
		}
		if (moved)
			continue;
		now = berth_deadline(b); /* virtual time: no need to wait in earnest */
		berth_advance(b, now);
	}

	/* The side that ends a connection first waits for late packets, a minute of TIME_WAIT. */
	must(berth_close(b, listener, now), "berth_close");
	while (berth_sockets(b) > 0) {
		carry();
		if (berth_sockets(b) == 0)
			break;
		now = berth_deadline(b);
		berth_advance(b, now);
	}
	printf("all sockets are gone after %.3f s\n", (double)now / 1e9);
	berth_free(b);
	return 0;
}
