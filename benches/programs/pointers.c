/* Pointer chasing through one random cycle that no cache holds: the latency of memory
 * and of address translation. A node fills a cache line whatever a pointer's size. */
#include "program.h"

enum { NODES = 1 << 20, STEPS = 2 << 20 };

struct node {
    _Alignas(64) struct node *next;
    uint64_t value;
};

static struct node nodes[NODES];
static uint32_t order[NODES];

static void prepare(void)
{
    for (uint32_t i = 0; i < NODES; i++) {
        order[i] = i;
        nodes[i].value = random_bits();
    }
    for (uint32_t i = NODES - 1; i > 0; i--) {
        uint32_t other = (uint32_t)(random_bits() % (i + 1)), kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
    for (uint32_t i = 0; i < NODES; i++)
        nodes[order[i]].next = &nodes[order[(i + 1) % NODES]];
}

static uint64_t work(void)
{
    const struct node *node = nodes;
    uint64_t checksum = 0;
    for (int step = 0; step < STEPS; step++) {
        checksum = (checksum ^ node->value) * 0x100000001b3u;
        node = node->next;
    }
    return checksum;
}
