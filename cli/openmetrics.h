/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text in the form of OpenMetrics 1.0 (github.com/prometheus/OpenMetrics,
 * specification/OpenMetrics.md): families with their type, unit and help, samples with labels, and
 * an end. Whoever writes gives each family once, with all its samples after it, each with labels of
 * its own.
 */
#ifndef BERTH_CLI_OPENMETRICS_H
#define BERTH_CLI_OPENMETRICS_H

#include <stdio.h>

#define BT_OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

enum bt_om_type { BT_OM_GAUGE, BT_OM_COUNTER, BT_OM_INFO };

struct bt_om {
	FILE *f;
	const char *family;
	enum bt_om_type type;
};

struct bt_om_label {
	const char *name, *value; /* value: any bytes; what is not UTF-8 is taken for
				   * Latin-1, and U+FFFD stands for controls */
};

/* unit: NULL, or what the name ends in. help: a sentence. */
void bt_om_family(struct bt_om *o, const char *name, enum bt_om_type type, const char *unit,
		  const char *help);
/* A sample of that family; a counter's name gets _total, an info's _info. value: finite, not
 * negative. */
void bt_om_sample(struct bt_om *o, const struct bt_om_label *labels, unsigned n, double value);
void bt_om_end(struct bt_om *o);

#endif
