/* SPDX-License-Identifier: BSD-2-Clause */
/* The words about what guests share in the store; a part of config_parse(). */
#ifndef CORE_CONFIG_SHARED_H
#define CORE_CONFIG_SHARED_H

#include "core/config.h"
#include "core/words.h"

/*
 * config_parse_pool - understand what follows "pool=" on the boot line
 * Adds to @config's pools. Returns NULL, or what was expected, for a sentence about the word.
 */
const char *config_parse_pool(struct word text, struct config *config);

/*
 * config_parse_grant - understand what follows "shared=" on a kernel line
 * Adds to @guest's grants. Returns as config_parse_pool().
 */
const char *config_parse_grant(struct word text, const struct config *config,
			       struct guest_config *guest);

/*
 * config_parse_dedup - understand what follows "dedup=" on a kernel line
 * Adds a group to @config when it is the first of its name. Returns as config_parse_pool().
 */
const char *config_parse_dedup(struct word text, struct config *config, struct guest_config *guest);

#endif
