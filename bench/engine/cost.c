/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a TCP/IP stack costs by itself: the same work for each stack (stack.h), one core, no system
 * calls in the timed part. Prints key=value.
 *
 *	segment [--checksums] [--large]	ns of a segment, both ends, ACKs in; GB/s
 *	connect [--others N]		ns of a connection made and reset, both ends
 *	demux [--others N]		ns to take in a segment of any of N connections
 *	memory [--others N]		bytes of an idle connection, one end
 *
 * --iters N: segments, connections or packets. --cpu N: to pin to.
 */
#include "packet.h"
#include "stack.h"

#include "../util.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct stack_setup setup;
static uint64_t iters;

/* The time of this thread on its CPU: nothing here waits, and others may be at work on the machine.
 */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void segment(void)
{
	uint64_t n = iters ? iters : 400000, start, took;
	uint32_t size;

	stack_start(&setup);
	stack_dial();
	size = stack_carry(4u << 20); /* until windows, buffers and caches are as they stay */
	start = cpu_ns();
	stack_carry(n * size);
	took = cpu_ns() - start;
	printf("stack=%s size=%u ns=%.2f gb_per_s=%.3f\n", stack_name, size,
	       (double)took / (double)n, (double)(n * size) / (double)took);
}

static void connect_cost(void)
{
	uint64_t n = iters ? iters : 100000, start;

	stack_start(&setup);
	stack_fill(setup.others);
	for (uint64_t i = 0; i < n / 10 + 1; i++) {
		stack_dial();
		stack_reset();
	}
	start = cpu_ns();
	for (uint64_t i = 0; i < n; i++) {
		stack_dial();
		stack_reset();
	}
	printf("stack=%s ns=%.2f\n", stack_name, (double)(cpu_ns() - start) / (double)n);
}

/* The packets lie in the order in which they are taken in, so that only the stack's own memory is
 * far away. */
static uint8_t *random_acks(uint64_t n)
{
	uint8_t *packets = malloc(n * STACK_ACK);
	uint64_t random = 1;

	if (packets == NULL)
		die("malloc");
	for (uint64_t i = 0; i < n; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		stack_ack((uint32_t)((random >> 33) % setup.others), packets + i * STACK_ACK);
	}
	return packets;
}

static void demux(void)
{
	uint64_t n = iters ? iters : 1000000, start, one, batch = 0;
	uint8_t *packets;

	n -= n % 16;
	stack_start(&setup);
	stack_fill(setup.others);
	packets = random_acks(n);
	stack_input(packets, (unsigned)(n / 16));
	start = cpu_ns();
	stack_input(packets, (unsigned)n);
	one = cpu_ns() - start;
	start = cpu_ns();
	for (uint64_t i = 0; stack_has_batches && i < n; i += 16)
		stack_input_batch(packets + i * STACK_ACK, 16);
	batch = cpu_ns() - start;
	printf("stack=%s ns=%.2f", stack_name, (double)one / (double)n);
	if (stack_has_batches)
		printf(" batch_ns=%.2f", (double)batch / (double)n);
	printf("\n");
	free(packets);
}

static void memory(void)
{
	uint64_t before;

	stack_start(&setup);
	before = stack_memory();
	stack_fill(setup.others);
	printf("stack=%s bytes=%.1f\n", stack_name,
	       (double)(stack_memory() - before) / setup.others);
}

static uint64_t number(const char *text)
{
	return text == NULL ? 0 : strtoull(text, NULL, 10);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {{"segment", segment},
		     {"connect", connect_cost},
		     {"demux", demux},
		     {"memory", memory}};

	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--checksums") == 0) {
			setup.checksums = true;
		} else if (strcmp(argv[i], "--large") == 0) {
			setup.large = true;
		} else if (strcmp(argv[i], "--others") == 0) {
			setup.others = (uint32_t)number(argv[++i]);
		} else if (strcmp(argv[i], "--iters") == 0) {
			iters = number(argv[++i]);
		} else if (strcmp(argv[i], "--cpu") == 0) {
			cpu_set_t set;

			CPU_ZERO(&set);
			CPU_SET(number(argv[++i]), &set);
			sched_setaffinity(0, sizeof(set), &set);
		}
	}
	for (unsigned i = 0; argc > 1 && i < sizeof(cases) / sizeof(cases[0]); i++)
		if (strcmp(argv[1], cases[i].name) == 0) {
			cases[i].run();
			return 0;
		}
	fprintf(stderr,
		"usage: %s segment|connect|demux|memory [--checksums] [--large]"
		" [--others N] [--iters N] [--cpu N]\n",
		argv[0]);
	return 2;
}
