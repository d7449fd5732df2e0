/* SPDX-License-Identifier: BSD-2-Clause */
#include <stddef.h>

#include "tests/unit/model.h"

struct model_page *model_page(struct model *model, struct model_place at)
{
	return &model->pools[at.client][at.pool].pages[at.object][at.index];
}

void model_put(struct model *model, struct model_place at, uint64_t stamp)
{
	struct model_page *page = model_page(model, at);

	page->stamp = stamp;
	page->time = ++model->clock;
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

bool model_evict(struct model *model, unsigned int client)
{
	struct model_page *oldest = NULL;
	struct model_place at = {.client = client};

	for (at.pool = 0; at.pool < MODEL_POOLS; at.pool++) {
		if (model->pools[client][at.pool].persistent)
			continue;
		for (at.object = 0; at.object < MODEL_OBJECTS; at.object++) {
			for (at.index = 0; at.index < MODEL_INDICES; at.index++) {
				struct model_page *page = model_page(model, at);

				if (page->stamp && (!oldest || page->time < oldest->time))
					oldest = page;
			}
		}
	}
	if (!oldest)
		return false;
	oldest->stamp = 0;
	return true;
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
