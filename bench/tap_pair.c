/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two TAP devices, each in a network namespace, joined by the wire that berth's links are
 *(link/pair.h): so the kernel's TCP can be measured over the same loss and delay as berth's.
 *
 *	tap_pair DEVICE NETNS NETNS SEED [WORDS...]	says "ready", and runs until it is ended
 */
#include "../link/pair.h"
#include "../link/tap.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void take(struct bt_pair *p, unsigned end, int fd)
{
	static char frame[65536];
	for (int n = 0; n < BATCH; n++) {
		ssize_t len = read(fd, frame, sizeof(frame));
		const struct iovec whole = {frame, len > 0 ? (size_t)len : 0};
		if (len <= 0)
			return;
		bt_pair_in(p, end, &whole, 1, now_ns());
	}
}

static void give(struct bt_pair *p, const struct bt_tap taps[2])
{
	struct bt_pair_packet packet;
	for (int n = 0; n < BATCH && bt_pair_out(p, now_ns(), &packet); n++)
		if (write(taps[packet.to].fd, packet.data, packet.len) < 0 && errno == EBADFD)
			exit(1);
}

static int run(struct bt_pair *p, const struct bt_tap taps[2])
{
	struct pollfd fds[2] = {{.fd = taps[0].fd, .events = POLLIN},
				{.fd = taps[1].fd, .events = POLLIN}};
	for (;;) {
		uint64_t now = now_ns(), due = bt_pair_deadline(p),
			 left = due > now ? due - now : 0;
		struct timespec wait = {.tv_sec = (time_t)(left / 1000000000u),
					.tv_nsec = (long)(left % 1000000000u)};
		if (ppoll(fds, 2, due == UINT64_MAX ? NULL : &wait, NULL) < 0)
			return 1;
		for (unsigned end = 0; end < 2; end++)
			if (fds[end].revents != 0)
				take(p, end, taps[end].fd);
		give(p, taps);
	}
}

int main(int argc, char **argv)
{
	struct bt_link_settings settings = bt_link_perfect;
	struct bt_tap taps[2];
	char error[BT_LINK_TEXT], text[4096] = "";
	if (argc < 5) {
		fprintf(stderr, "usage: tap_pair DEVICE NETNS NETNS SEED [WORDS...]\n");
		return 2;
	}
	for (int i = 5; i < argc; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", argv[i]);
	struct bt_pair *p = bt_pair_new(strtoull(argv[4], NULL, 10), 0);
	bool ok = p != NULL && bt_link_read(text, &settings, error);
	for (unsigned end = 0; ok && end < 2; end++) {
		ok = bt_tap_open(argv[1], argv[2 + end], &taps[end], error);
		bt_pair_set(p, end, &settings, now_ns());
	}
	if (!ok) {
		fprintf(stderr, "tap_pair: %s\n", p == NULL ? "out of memory" : error);
		return 1;
	}
	printf("ready\n");
	fflush(stdout);
	return run(p, taps);
}
