/* SPDX-License-Identifier: Apache-2.0 */
/*
 * berthd's own timers, on one timerfd. libuv gives its earliest timer to every epoll_wait, and a
 * wait with an end costs the kernel a clock set and taken back: 3 to 8 us of every round trip on a
 * virtual machine. Here a wait has no end, and the clock is set only for an earlier time than it
 * stands at.
 */
#include "daemon.h"

#include <errno.h>
#include <sys/timerfd.h>

static void set_clock(struct daemon *d, uint64_t at_ns)
{
	const struct itimerspec t = {
		.it_value = {(time_t)(at_ns / 1000000000u), (long)(at_ns % 1000000000u)}};
	d->rings_ns = at_ns;
	timerfd_settime(d->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
}

static void on_ring(uv_poll_t *h, int status, int events)
{
	struct daemon *d = h->loop->data;
	uint64_t now = d_now(), next = 0;
	(void)status;
	(void)events;
	for (unsigned i = 0; i < D_TIMERS; i++) {
		struct d_timer *t = &d->timers[i];
		if (t->at_ns == 0 || t->at_ns > now)
			continue;
		t->at_ns = t->every_ns == 0 ? 0 : now + t->every_ns;
		t->run(d);
	}
	for (unsigned i = 0; i < D_TIMERS; i++)
		if (d->timers[i].at_ns != 0 && (next == 0 || d->timers[i].at_ns < next))
			next = d->timers[i].at_ns;
	set_clock(d, next); /* 0: it rings no more */
}

int d_timers_open(struct daemon *d)
{
	d->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (d->timer_fd < 0)
		return -errno;
	int r = uv_poll_init(&d->loop, &d->timer, d->timer_fd);
	return r == 0 ? uv_poll_start(&d->timer, UV_READABLE, on_ring) : r;
}

void d_timer_start(struct daemon *d, enum d_timer_of which, void (*run)(struct daemon *),
		   uint64_t after_ns, uint64_t every_ns)
{
	uint64_t at = d_now() + (after_ns == 0 ? 1 : after_ns);
	d->timers[which] = (struct d_timer){run, at, every_ns};
	if (d->rings_ns == 0 || at < d->rings_ns)
		set_clock(d, at);
}

void d_timer_stop(struct daemon *d, enum d_timer_of which)
{
	d->timers[which].at_ns = 0;
}

bool d_timer_runs(const struct daemon *d, enum d_timer_of which)
{
	return d->timers[which].at_ns != 0;
}
