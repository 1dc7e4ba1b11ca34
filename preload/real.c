/* SPDX-License-Identifier: Apache-2.0 */
#include "preload.h"

#include <dlfcn.h>

static struct bt_real real;
static _Atomic int resolved;

#define BT_RESOLVE_ONE(result, name, args)                                                         \
	{                                                                                          \
		void *p = dlsym(RTLD_NEXT, #name);                                                 \
		memcpy(&real.name, &p, sizeof(p));                                                 \
	}

const struct bt_real *bt_real(void)
{
	if (LIKELY(resolved))
		return &real;
	int saved = errno;
	BT_REAL_FUNCTIONS(BT_RESOLVE_ONE)
	resolved = 1;
	errno = saved;
	return &real;
}
