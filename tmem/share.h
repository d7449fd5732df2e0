/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who has to give when the host's memory is full.
 *
 * Up to its reserve a client's memory is its own. What it holds above is weighed by its weight:
 * of two clients with equal weights the one that holds more gives, and in the end both hold the
 * same above their reserves; of weights 1 and 3 one ends with three times the other's.
 */
#ifndef TMEM_SHARE_H
#define TMEM_SHARE_H

#include <stdbool.h>

struct tmem_client;

/*
 * tmem_share_victim - find the client that is furthest above its share and has ephemeral pages
 * @client:  who needs a frame; not considered
 * @insists: take from any other above its reserve, not only from one that is further above its
 *	     share than @client would then be
 *
 * Looks at each client once: there are as many as guests are configured. One whose lock is taken
 * is passed over. Returns it locked, to be unlocked by the caller, or NULL. That it is above its
 * reserve holds; that it has a page, and one that can be had, did so a moment ago.
 * Context: no client's lock held.
 */
struct tmem_client *tmem_share_victim(struct tmem_client *client, bool insists);

#endif
