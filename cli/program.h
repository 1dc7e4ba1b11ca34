/* SPDX-License-Identifier: Apache-2.0 */
/* Which file a program's name means, and whether the preload library can enter it. */
#ifndef BERTH_CLI_PROGRAM_H
#define BERTH_CLI_PROGRAM_H

#include <limits.h>

/* Finds name as execvp(3) does. 0, or the exit status (126, 127) after saying why. */
int bt_program_find(const char *name, char path[PATH_MAX]);

/* Follows #! lines and reads the ELF header. 0, or 126 after saying why the program cannot be put
 * in a host. */
int bt_program_check(const char *path);

#endif
