/* SPDX-License-Identifier: Apache-2.0 */
/* meson.build renames what berthd's sources call (getrandom to fuzz_getrandom), and this file with
 * them. */
#include "control_fake.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

uint64_t fake_now_ns, fake_random;

ssize_t getrandom(void *buf, size_t len, unsigned flags)
{
	uint8_t *p = buf;

	(void)flags;
	for (size_t i = 0; i < len; i++) {
		fake_random = fake_random * 6364136223846793005u + 1442695040888963407u;
		p[i] = (uint8_t)(fake_random >> 56);
	}
	/* The network's id is in names that are the machine's: two processes must not meet. */
	if (len == sizeof(uint64_t))
		p[0] ^= (uint8_t)getpid(), p[1] ^= (uint8_t)(getpid() >> 8),
			p[2] ^= (uint8_t)(getpid() >> 16);
	return (ssize_t)len;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	(void)id;
	*t = (struct timespec){(time_t)(fake_now_ns / SEC), (long)(fake_now_ns % SEC)};
	return 0;
}

time_t time(time_t *t)
{
	(void)t;
	return (time_t)(fake_now_ns / SEC);
}

void d_timer_start(struct daemon *daemon, enum d_timer_of which, void (*run)(struct daemon *),
		   uint64_t after_ns, uint64_t every_ns)
{
	daemon->timers[which] = (struct d_timer){run, fake_now_ns + after_ns + 1, every_ns};
}

void d_timer_stop(struct daemon *daemon, enum d_timer_of which)
{
	daemon->timers[which].at_ns = 0;
}

bool d_timer_runs(const struct daemon *daemon, enum d_timer_of which)
{
	return daemon->timers[which].at_ns != 0;
}

void fake_timer_fire(struct daemon *daemon, unsigned which)
{
	struct d_timer *t = &daemon->timers[which % D_TIMERS];

	if (t->at_ns == 0)
		return;
	if (t->every_ns == 0)
		t->at_ns = 0;
	t->run(daemon);
}

void d_serve_close(struct daemon *daemon)
{
	daemon->leaving = true;
}

void d_launch(struct daemon *daemon, pid_t pid)
{
	(void)daemon;
	(void)pid;
}

void d_settle(struct daemon *daemon)
{
	(void)bt_net_deadline(daemon->net);
}
