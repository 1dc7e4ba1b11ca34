/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BERTH_CLI_HTML_H
#define BERTH_CLI_HTML_H

#include <stdint.h>
#include <stdio.h>

/* Any bytes as text of an element or of an attribute in quotes: nothing in them is markup, and what
 * is not UTF-8 is taken for Latin-1. Control characters become U+FFFD. */
void bt_html_text(FILE *f, const char *s);
/* 28,232 */
void bt_html_number(FILE *f, uint64_t n);

#endif
