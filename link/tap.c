/* SPDX-License-Identifier: Apache-2.0 */
/* tun(4): Documentation/networking/tuntap.rst of Linux. */
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEVICE "/dev/net/tun"

__attribute__((format(printf, 2, 3))) static bool wrong(char error[BT_TAP_ERROR],
							const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	vsnprintf(error, BT_TAP_ERROR, format, ap);
	va_end(ap);
	return false;
}

static bool no_device(char error[BT_TAP_ERROR])
{
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return wrong(error, DEVICE
			     " is not there: the kernel has no TAP devices, or this container "
			     "does not show them");
	if (errno == EACCES || errno == EPERM)
		return wrong(error, DEVICE " may not be opened by this user");
	return wrong(error, DEVICE ": %s", strerror(errno));
}

static bool not_attached(const char *name, char error[BT_TAP_ERROR])
{
	if (errno == EPERM || errno == EACCES)
		return wrong(error,
			     "%s is not this user's; root makes it so with: ip tuntap add dev %s "
			     "mode tap user NAME",
			     name, name);
	if (errno == EBUSY)
		return wrong(error, "%s is in use by another program", name);
	if (errno == EINVAL)
		return wrong(error, "%s is no TAP device, or not one for a single program", name);
	return wrong(error, "%s: %s", name, strerror(errno));
}

static void look(const char *name, struct bt_tap *tap)
{
	struct ifreq r = {.ifr_flags = 0};
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	tap->mtu = 1500;
	tap->up = false;
	if (s < 0)
		return;
	memcpy(r.ifr_name, name, strlen(name) + 1);
	if (ioctl(s, SIOCGIFMTU, &r) == 0 && r.ifr_mtu > 0)
		tap->mtu = (uint32_t)r.ifr_mtu;
	if (ioctl(s, SIOCGIFFLAGS, &r) == 0)
		tap->up = (r.ifr_flags & IFF_UP) != 0;
	close(s);
}

static bool open_here(const char *name, struct bt_tap *tap, char error[BT_TAP_ERROR])
{
	struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	tap->fd = open(DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap->fd < 0)
		return no_device(error);
	memcpy(r.ifr_name, name, strlen(name) + 1);
	if (ioctl(tap->fd, TUNSETIFF, &r) < 0) {
		not_attached(name, error);
		close(tap->fd);
		return false;
	}
	look(name, tap);
	return true;
}

/* Into the namespace; *back leads home, -1: nowhere to go. */
static bool enter(const char *netns, int *back, char error[BT_TAP_ERROR])
{
	char path[4096];
	*back = -1;
	if (netns == NULL)
		return true;
	snprintf(path, sizeof(path), "%s%s", strchr(netns, '/') != NULL ? "" : "/run/netns/",
		 netns);
	int there = open(path, O_RDONLY | O_CLOEXEC);
	if (there < 0)
		return wrong(error, "no network namespace '%s': %s: %s", netns, path,
			     strerror(errno));
	*back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	bool ok = *back >= 0 && setns(there, CLONE_NEWNET) == 0;
	if (!ok)
		wrong(error, "the network namespace '%s' may not be entered: %s", netns,
		      strerror(errno));
	close(there);
	if (!ok && *back >= 0)
		close(*back);
	return ok;
}

bool bt_tap_open(const char *name, const char *netns, struct bt_tap *tap, char error[BT_TAP_ERROR])
{
	int back;
	if (name[0] == '\0' || strlen(name) >= BT_TAP_NAME || strpbrk(name, "/% \t\n") != NULL)
		return wrong(error, "'%s' cannot be a device's name", name);
	if (!enter(netns, &back, error))
		return false;
	bool ok = open_here(name, tap, error);
	if (back < 0)
		return ok;
	if (setns(back, CLONE_NEWNET) != 0 && ok) {
		close(tap->fd);
		ok = wrong(error, "there is no way back from the network namespace '%s': %s", netns,
			   strerror(errno));
	}
	close(back);
	return ok;
}

bool bt_tap_name(int fd, char name[BT_TAP_NAME])
{
	struct ifreq r = {.ifr_flags = 0};
	if (ioctl(fd, TUNGETIFF, &r) < 0 ||
	    (r.ifr_flags & (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)) != (IFF_TAP | IFF_NO_PI))
		return false;
	memcpy(name, r.ifr_name, BT_TAP_NAME);
	name[BT_TAP_NAME - 1] = '\0';
	return true;
}
