/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TAP devices: a virtual Ethernet cable whose other end is an interface of the kernel's. A frame
 * that is read from the descriptor is what the kernel sends by that interface; what is written the
 * kernel receives.
 */
#ifndef BERTH_LINK_TAP_H
#define BERTH_LINK_TAP_H

#include <stdbool.h>
#include <stdint.h>

#define BT_TAP_NAME  16	 /* bytes of a device's name with its NUL */
#define BT_TAP_ERROR 256 /* bytes that hold any error */

struct bt_tap {
	int fd; /* non-blocking, close-on-exec; the caller's */
	uint32_t mtu;
	bool up; /* the kernel's interface */
};

/* Opens the device, or makes it where the caller has the right; one that is made so goes with its
 * descriptor. netns: NULL, or the network namespace that it is in: a name of ip-netns(8), or a path
 * (/proc/PID/ns/net). False: error has one sentence without a full stop. Changes the calling
 * thread's namespace for a moment. */
bool bt_tap_open(const char *name, const char *netns, struct bt_tap *tap, char error[BT_TAP_ERROR]);
/* The device that an open descriptor is of; false: it is none, or its frames are not bare. */
bool bt_tap_name(int fd, char name[BT_TAP_NAME]);

#endif
