/* SPDX-License-Identifier: BSD-2-Clause */
#include <stddef.h>

#include "tests/unit/model.h"

struct model_page *model_page(struct model *model, struct model_place at)
{
	return &model->pools[at.client][at.pool].pages[at.object][at.index];
}

uint64_t *model_parts(struct model *model, struct model_place at)
{
	return model->parts[at.client][at.pool][at.object][at.index];
}

void model_put(struct model *model, struct model_place at, uint64_t stamp)
{
	model_page(model, at)->stamp = stamp;
}

uint64_t model_get(struct model *model, struct model_place at)
{
	struct model_page *page = model_page(model, at);
	uint64_t stamp = page->stamp;

	if (!model->pools[at.client][at.pool].persistent)
		page->stamp = 0;
	return stamp;
}

uint64_t model_flush_page(struct model *model, struct model_place at)
{
	struct model_page *page = model_page(model, at);
	bool held = page->stamp != 0;

	page->stamp = 0;
	return held;
}

uint64_t model_flush_object(struct model *model, struct model_place at)
{
	uint64_t count = 0;

	for (at.index = 0; at.index < MODEL_INDICES; at.index++)
		count += model_flush_page(model, at);
	return count;
}

uint64_t model_flush_pool(struct model *model, struct model_place at)
{
	uint64_t count = 0;

	for (at.object = 0; at.object < MODEL_OBJECTS; at.object++)
		count += model_flush_object(model, at);
	return count;
}

uint64_t model_count(const struct model *model, unsigned int client, bool ephemeral_only)
{
	uint64_t count = 0;
	unsigned int p, o, i;

	for (p = 0; p < MODEL_POOLS; p++) {
		const struct model_pool *pool = &model->pools[client][p];

		if (ephemeral_only && pool->persistent)
			continue;
		for (o = 0; o < MODEL_OBJECTS; o++)
			for (i = 0; i < MODEL_INDICES; i++)
				count += pool->pages[o][i].stamp != 0;
	}
	return count;
}
