/* SPDX-License-Identifier: Apache-2.0 */
/* What numbers mean, in words. */
#include "../../include/berth/berth.h"

const char *berth_strerror(int error)
{
	static const struct {
		int error;
		const char *sentence;
	} list[] = {
		{BERTH_EPERM, "The operation is not permitted"},
		{BERTH_ENOENT, "There is no such thing"},
		{BERTH_EBADF, "The handle is of no open socket"},
		{BERTH_EAGAIN, "It cannot be done now, but may be later"},
		{BERTH_ENOMEM, "There is not enough memory"},
		{BERTH_EACCES, "It is not allowed without the option that asks for it"},
		{BERTH_EEXIST, "It exists already"},
		{BERTH_EINVAL, "An argument is wrong, or wrong in this state"},
		{BERTH_ENFILE, "There are as many as there may be"},
		{BERTH_EPIPE, "Nothing more can be sent: this side has been shut down"},
		{BERTH_EPROTO, "A packet was not understood on its way"},
		{BERTH_EDESTADDRREQ, "No destination is given, and the socket is not connected"},
		{BERTH_EMSGSIZE, "The datagram is too long"},
		{BERTH_ENOPROTOOPT, "There is no such option or protocol here"},
		{BERTH_EOPNOTSUPP, "A socket of this type cannot do that"},
		{BERTH_EAFNOSUPPORT, "The address is of another family than the socket"},
		{BERTH_EADDRINUSE, "The address is in use"},
		{BERTH_EADDRNOTAVAIL, "The address is not one of the host, or no port is free"},
		{BERTH_ENETUNREACH, "There is no route to the destination"},
		{BERTH_ECONNABORTED, "The connection was given up on this side"},
		{BERTH_ECONNRESET, "The peer has reset the connection"},
		{BERTH_ENOBUFS, "The buffers are at their limit"},
		{BERTH_EISCONN, "The socket is connected"},
		{BERTH_ENOTCONN, "The socket is not connected"},
		{BERTH_ETIMEDOUT, "The peer has not answered in time"},
		{BERTH_ECONNREFUSED, "Nobody listens there"},
		{BERTH_EHOSTUNREACH, "The destination cannot be reached"},
		{BERTH_EALREADY, "The socket is connecting already"},
		{BERTH_EINPROGRESS, "The connection is being made"},
	};

	for (unsigned i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (list[i].error == error)
			return list[i].sentence;
	return NULL;
}

const char *berth_drop_name(enum berth_drop reason)
{
	static const char *const names[] = {
#define BERTH_DROP(name, sentence) #name,
#include "../../include/berth/drops.h"
#undef BERTH_DROP
	};

	return (unsigned)reason < BERTH_DROPS ? names[reason] : NULL;
}
