/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	control_run(data, size);
	return 0;
}
