/* SPDX-License-Identifier: Apache-2.0 */
/* Names of programs are any bytes; what says it is UTF-8 must be. */
#ifndef BERTH_CLI_UTF8_H
#define BERTH_CLI_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#define BT_UTF8_MAX 4

/* The first character of s, which is not empty, in UTF-8 and ended by NUL; a byte that begins none
 * (RFC 3629 3, 4) is taken for Latin-1. Returns how many bytes of s it was. */
size_t bt_utf8_next(const char *s, char c[BT_UTF8_MAX + 1]);
/* Such a character is a control, which may steer a terminal; new line is one. */
bool bt_utf8_control(const char *c);
#define BT_UTF8_INSTEAD "\xef\xbf\xbd" /* U+FFFD, to stand for one */

#endif
