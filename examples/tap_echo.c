/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP echo server on a TAP device: a host of its own, on the other side of a virtual Ethernet
 * cable from the kernel. ping(8), nc(1) or curl(1) of the kernel talk to it. Read from main() on;
 * two_hosts.c explains what is not explained here.
 *
 *	cc tap_echo.c $(pkg-config --cflags --libs berth) -o tap_echo
 *	unshare -rn sh -c './tap_echo tap0 10.1.0.2 & sleep 1
 *		ip address add 10.1.0.1/24 dev tap0; ip link set tap0 up
 *		ping -c 1 10.1.0.2; echo hello | nc -N 10.1.0.2 7; kill $!'
 */
#include <arpa/inet.h>
#include <berth/berth.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define ECHO_PORT 7
#define BATCH	  32

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t must(int64_t result, const char *what)
{
	if (result < 0) {
		fprintf(stderr, "%s: %s\n", what, berth_strerror((int)result));
		exit(1);
	}
	return result;
}

/* The engine has no clock; this program gives it the kernel's monotonic one. */
static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A TAP device: what is read from it is what the kernel sends by the interface, what is written to
 * it the kernel receives. IFF_NO_PI: frames without a prefix. */
static int open_tap(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		die("/dev/net/tun");
	strncpy(request.ifr_name, name, sizeof(request.ifr_name) - 1);
	if (ioctl(fd, TUNSETIFF, &request) < 0)
		die("TUNSETIFF");
	return fd;
}

/* All frames that wait, a batch a call, so that the engine looks up their connections together. */
static void receive(struct berth *b, berth_if i, int fd)
{
	static uint8_t frames[BATCH][2048];
	struct berth_input in[BATCH];
	size_t n;

	do {
		for (n = 0; n < BATCH; n++) {
			ssize_t len = read(fd, frames[n], sizeof(frames[n]));

			if (len <= 0)
				break; /* EAGAIN: none waits */
			in[n] = (struct berth_input){
				.packet = frames[n], .len = (size_t)len, .i = i};
		}
		berth_input_batch(b, in, n, clock_ns());
	} while (n == BATCH);
}

/* All that the engine has to send. The parts of a frame need no copy: writev(2). A frame that the
 * device does not take is lost, as on any Ethernet; TCP sends it again. */
static void transmit(struct berth *b, int fd)
{
	static struct berth_output out[BATCH];
	size_t n;

	while ((n = berth_output(b, out, BATCH, clock_ns())) > 0)
		for (size_t k = 0; k < n; k++)
			(void)!writev(fd, out[k].iov, out[k].n_iov);
}

/* Sends back what has come, as long as there is room to send: what is not read yet closes TCP's
 * window by and by, and the peer has to wait. Without a copy into a buffer of our own: the engine
 * shows what waits, and is told how much of it is done with. */
static void echo(struct berth *b, berth_socket s)
{
	struct iovec part;
	unsigned n = 1;
	int r;

	while ((r = berth_recv_data(b, s, &part, &n)) == 0 && n > 0) {
		int64_t sent = berth_send(b, s, part.iov_base, part.iov_len, 0, clock_ns());

		if (sent == BERTH_EAGAIN)
			return; /* BERTH_WRITABLE will come */
		if (sent < 0)
			break;
		berth_recv_done(b, s, (size_t)sent, clock_ns());
	}
	if (r == BERTH_EAGAIN)
		return;
	/* The end, or an error. What was sent before still arrives: berth_close does not cut off.
	 */
	berth_close(b, s, clock_ns());
}

static void look_at(struct berth *b, berth_socket listener, const struct berth_event *event)
{
	berth_socket s;

	if (event->socket == listener)
		while (berth_accept(b, listener, &s, clock_ns()) == 0)
			;
	else
		echo(b, event->socket);
}

int main(int argc, char **argv)
{
	struct berth_if_config link = {.flags = BERTH_IF_ETHERNET,
				       .mtu = 1500,
				       .mac = {0x02, 0, 0, 0, 0, 0x02}}; /* a local one */
	struct berth_endpoint at = {.port = ECHO_PORT};
	struct berth_addr addr = {{[10] = 0xff, [11] = 0xff}};
	struct berth_config config = {0};
	berth_socket listener;
	struct berth *b;
	berth_host host;
	berth_if i;
	int fd;

	if (argc != 3 || inet_pton(AF_INET, argv[2], addr.b + 12) != 1) {
		fprintf(stderr, "usage: tap_echo DEVICE IPV4-ADDRESS\n");
		return 2;
	}
	if (getrandom(config.key, sizeof(config.key), 0) != sizeof(config.key))
		die("getrandom");
	fd = open_tap(argv[1]);
	b = berth_new(&config);
	if (b == NULL)
		die("berth_new");
	host = (berth_host)must(berth_host_add(b), "berth_host_add");
	i = (berth_if)must(berth_if_add(b, host, &link), "berth_if_add");
	must(berth_addr_add(b, i, &addr, 24), "berth_addr_add");

	/* An IPv6 socket that is bound to :: hears IPv4 too, as on Linux. */
	must(berth_open(b, host, BERTH_TCP, 6, &listener), "berth_open");
	must(berth_bind(b, listener, &at, clock_ns()), "berth_bind");
	must(berth_listen(b, listener, 128, clock_ns()), "berth_listen");
	printf("ready\n");
	fflush(stdout);

	for (;;) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		uint64_t now = clock_ns(), deadline = berth_deadline(b);
		struct timespec wait = {0}, *timeout = &wait;
		struct berth_event event;

		if (deadline == UINT64_MAX) {
			timeout = NULL; /* nothing will happen by itself */
		} else if (deadline > now) {
			wait.tv_sec = (time_t)((deadline - now) / 1000000000u);
			wait.tv_nsec = (long)((deadline - now) % 1000000000u);
		}
		if (ppoll(&poll_fd, 1, timeout, NULL) < 0)
			die("ppoll");
		receive(b, i, fd);
		if (clock_ns() >= berth_deadline(b))
			berth_advance(b, clock_ns());
		while (berth_event(b, &event))
			look_at(b, listener, &event);
		transmit(b, fd);
	}
}
