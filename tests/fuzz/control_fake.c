/* SPDX-License-Identifier: Apache-2.0 */
/* meson.build renames what berthd's sources call (getrandom to fuzz_getrandom), and this file with
 * them. */
#include "control_fake.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define N_TIMERS 4u

uint64_t fake_now_ns, fake_random;

static struct {
	uv_timer_t *timer;
	uv_timer_cb cb;
} timers[N_TIMERS];

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

int uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t after_ms, uint64_t repeat_ms)
{
	(void)after_ms;
	(void)repeat_ms;
	for (unsigned i = 0; i < N_TIMERS; i++)
		if (timers[i].timer == timer || timers[i].timer == NULL) {
			timers[i].timer = timer;
			timers[i].cb = cb;
			return 0;
		}
	abort();
}

int uv_timer_stop(uv_timer_t *timer)
{
	for (unsigned i = 0; i < N_TIMERS; i++)
		if (timers[i].timer == timer)
			timers[i].cb = NULL;
	return 0;
}

void fake_timer_fire(unsigned which, const uv_timer_t *repeats)
{
	unsigned t = which % N_TIMERS;
	uv_timer_cb cb = timers[t].cb;

	if (cb == NULL)
		return;
	if (timers[t].timer != repeats)
		timers[t].cb = NULL;
	cb(timers[t].timer);
}

void fake_timers_forget(void)
{
	for (unsigned i = 0; i < N_TIMERS; i++) {
		timers[i].timer = NULL;
		timers[i].cb = NULL;
	}
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
