/* SPDX-License-Identifier: Apache-2.0 */
/* One parser of lib/wire, that of FORMAT (meson.build), on any input. */
#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)wire_check(FORMAT, data, size);
	return 0;
}
