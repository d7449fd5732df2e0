/* SPDX-License-Identifier: BSD-2-Clause */
/* Setting the store up, taking it down, and its totals. */
#include <tidepool/abi.h>

#include "tmem/client.h"
#include "tmem/compact.h"
#include "tmem/frame.h"
#include "tmem/hold.h"
#include "tmem/scratch.h"
#include "tmem/store.h"

struct tmem_store tmem_store;
void (*tmem_lock_relax)(void);

int tmem_init(const struct tmem_host *host)
{
	tmem_store.host = *host;
	tmem_store.clients.first = NULL;
	tmem_lock_relax = host->relax;
	if (tmem_frame_init() < 0)
		return -TIDEPOOL_ENOMEM;
	tmem_hold_init();
	tmem_scratch_init();
	tmem_compact_init();
	return 0;
}

void tmem_exit(void)
{
	tmem_scratch_drain();
	tmem_frame_exit();
}

void tmem_store_stats(struct tmem_store_stats *stats)
{
	struct tmem_link *link;

	tmem_frame_stats(&stats->blocks, &stats->pages_free);
	stats->pages_free += tmem_scratch_count();
	stats->pages_held = 0;
	stats->pages_saved = tmem_hold_count();
	tmem_lock_acquire(&tmem_store.lock);
	for (link = tmem_store.clients.first; link; link = link->next) {
		struct tmem_client *client = tmem_list_entry(link, struct tmem_client, link);

		stats->pages_held += tmem_client_held(client);
		stats->pages_saved += tmem_dedup_shared(client);
	}
	tmem_lock_release(&tmem_store.lock);
}
