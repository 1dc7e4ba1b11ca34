/* SPDX-License-Identifier: Apache-2.0 */
/* Names from anybody: what is read as a name is the only one of its socket. */
#include "name.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NETID 0x0123456789abcdefull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sockaddr_un again;
	struct bt_ident id;
	/* Exactly as large as said, so that the sanitizer sees each byte read beyond it. */
	struct sockaddr_un *sun = malloc(size);

	if (sun == NULL || size > sizeof(*sun)) {
		free(sun);
		return 0;
	}
	memcpy((void *)sun, data, size);
	if (bt_name_parse(sun, (socklen_t)size, NETID, &id)) {
		char directory[BT_NAME_DIRECTORY] = "";
		size_t path = size - offsetof(struct sockaddr_un, sun_path);
		socklen_t len;

		if (sun->sun_path[0] == '\0') {
			len = bt_name_make(&again, NETID, &id);
		} else { /* a file, in whatever directory */
			memcpy(directory, sun->sun_path, path - 53);
			len = bt_name_path(&again, directory, NETID, &id);
			if (memchr(directory, '\0', path - 53) != NULL || path == 53) {
				free(sun);
				return 0;
			}
		}
		if (len != size || memcmp(&again, data, size) != 0)
			abort();
	}
	free(sun);
	return 0;
}
