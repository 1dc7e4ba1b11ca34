/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of a wire, rules of a packet filter: what is read is written so that reading it again
 * gives the same. Captures: every byte that a packet names is there. */
#include "capture.h"
#include "rule.h"
#include "settings.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void settings(const uint8_t *data, size_t size)
{
	struct bt_link_settings s = bt_link_perfect, again = bt_link_perfect;
	char error[BT_LINK_TEXT], written[BT_LINK_TEXT];
	char *text = malloc(size + 1);

	if (text == NULL)
		return;
	memcpy(text, data, size);
	text[size] = '\0';
	if (!bt_link_read(text, &s, error)) {
		if (memcmp(&s, &bt_link_perfect, sizeof(s)) != 0 || strlen(error) < 10)
			abort();
	} else {
		bt_link_write(&s, written);
		if (!bt_link_read(written, &again, error) || memcmp(&s, &again, sizeof(s)) != 0)
			abort();
	}
	free(text);
}

static void rule(const uint8_t *data, size_t size)
{
	struct bt_rule r = {.dir = 77}, again;
	char error[BT_RULE_TEXT], written[BT_RULE_TEXT];
	char *text = malloc(size + 1);

	if (text == NULL)
		return;
	memcpy(text, data, size);
	text[size] = '\0';
	if (!bt_rule_read(text, &r, error)) {
		if (r.dir != 77 || strlen(error) < 10)
			abort();
	} else {
		bt_rule_write(&r, written);
		if (!bt_rule_legal(&r) || !bt_rule_read(written, &again, error) ||
		    !bt_rule_eq(&r, &again))
			abort();
	}
	free(text);
}

static void capture(const uint8_t *data, size_t size)
{
	static struct bt_capture c;
	struct bt_capture_packet k;
	volatile uint8_t sink = 0;

	if (bt_capture_open(&c, data, size))
		while (bt_capture_next(&c, &k) == 1)
			for (uint32_t i = 0; i < k.len; i++)
				sink = sink ^ k.data[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	settings(data, size);
	rule(data, size);
	capture(data, size);
	return 0;
}
