/* Barriers of a block, and what the lanes of a warp do together. */
#include "emu/emu.h"

namespace simt {

/* ---- Barriers -------------------------------------------------------------------------------- */

/* Hardware lets threads of one warp arrive from different places, and __syncthreads from anywhere.
 * Neither is ever meant here, so both are errors; named barriers may join different roles. */
static void check_site(Barrier *barrier, unsigned id, unsigned warp, Site site) {
    const Site other = barrier->warp_site[warp];
    if (other.file != nullptr && !same_site(other, site)) {
        fail(site, "divergent barrier %u: other threads of the warp wait at %s:%d", id, other.file,
             other.line);
    }
    if (id == 0 && !same_site(barrier->site, site)) {
        fail(site, "divergent barrier: other threads of the block wait at %s:%d",
             barrier->site.file, barrier->site.line);
    }
}

static void release(Block *block, unsigned id) {
    Thread *joined[THREADS_MAX];
    size_t  count = 0;
    for (unsigned i = 0; i < block->threads; i++) {
        Thread *thread = &block->thread[i];
        if (thread->state == AT_BARRIER && thread->barrier == id) {
            make_ready(block, thread);
            joined[count++] = thread;
        }
    }
    joined[count++] = current();
    race_join(block, joined, count);
    memset(block->barriers[id].warp_site, 0, sizeof block->barriers[id].warp_site);
    block->barriers[id].arrived = 0;
}

void barrier(unsigned id, unsigned threads, Site site) {
    Thread        *me       = current();
    Block         *block    = me->owner;
    const unsigned expected = threads == 0 ? block->threads : threads;
    if (id > 15) { fail(site, "barrier %u: there are 16", id); }
    if (expected % WARP != 0 || expected > block->threads) {
        fail(site, "barrier %u: %u threads of a block of %u", id, expected, block->threads);
    }
    Barrier *barrier = &block->barriers[id];
    if (barrier->arrived == 0) {
        barrier->expected = expected;
        barrier->site     = site;
    }
    if (barrier->expected != expected) {
        fail(site, "barrier %u: for %u threads here, for %u at %s:%d", id, expected,
             barrier->expected, barrier->site.file, barrier->site.line);
    }
    check_site(barrier, id, me->warp, site);
    barrier->warp_site[me->warp] = site;
    me->barrier                  = id;
    if (++barrier->arrived < expected) {
        wait(AT_BARRIER, site);
        return;
    }
    release(block, id);
    if (options.seed != 0) { /* the last to arrive is not always the first to go on */
        make_ready(block, me);
        wait(READY, site);
    }
}

/* ---- Warps ----------------------------------------------------------------------------------- */

void meet(uint32_t mask, int op, void *argument, Site site,
          void (*execute)(Thread *warp, void **arguments, uint32_t mask)) {
    Thread *me    = current();
    Block  *block = me->owner;
    if ((mask >> me->lane & 1) == 0) {
        fail(site, "lane %u is not in its own mask %08x", me->lane, mask);
    }
    Meeting<WARP> &meeting = block->meetings[me->warp][__builtin_ctz(mask)];
    if (meeting.arrived == 0) {
        meeting.mask = mask;
        meeting.op   = op;
        meeting.site = site;
    } else if (meeting.mask != mask || meeting.op != op || !same_site(meeting.site, site)) {
        fail(site, "divergent warp: mask %08x here, other lanes wait at %s:%d with mask %08x", mask,
             meeting.site.file, meeting.site.line, meeting.mask);
    }
    meeting.arguments[me->lane] = argument;
    meeting.arrived |= 1u << me->lane;
    if (meeting.arrived != mask) {
        wait(AT_WARP, site);
        return;
    }
    Thread *warp    = me - me->lane;
    meeting.arrived = 0;
    execute(warp, meeting.arguments, mask);
    for (uint32_t left = mask & ~(1u << me->lane); left != 0; left &= left - 1) {
        make_ready(block, warp + __builtin_ctz(left));
    }
}

void warp_sync(uint32_t mask, Site site) {
    meet(mask, OP_SYNC, nullptr, site, [](Thread *warp, void **, uint32_t lanes) {
        Thread *joined[WARP];
        size_t  count = 0;
        for (uint32_t left = lanes; left != 0; left &= left - 1) {
            joined[count++] = warp + __builtin_ctz(left);
        }
        race_join(warp->owner, joined, count);
    });
}

/* ---- Shuffles and votes: no fences, so nothing of the past is joined ------------------------- */

struct Shuffled {
    uint32_t value, result;
    int      from;
};

static int source_lane(int lane, Shuffle mode, int argument, int width) {
    const int first = lane & ~(width - 1);
    int       from  = lane;
    switch (mode) {
    case FROM_LANE: from = first + (argument & (width - 1)); break;
    case FROM_BELOW: from = lane - argument < first ? lane : lane - argument; break;
    case FROM_ABOVE: from = lane + argument >= first + width ? lane : lane + argument; break;
    case FROM_XOR: from = (lane ^ argument) >= first + width ? lane : lane ^ argument; break;
    }
    return from;
}

uint32_t shuffle(uint32_t mask, uint32_t value, Shuffle mode, int argument, int width, Site site) {
    const int from     = source_lane((int)current()->lane, mode, argument, width);
    Shuffled  shuffled = { value, value, from };
    if ((mask >> from & 1) == 0) {
        fail(site, "shuffle reads lane %d, which is not in mask %08x", from, mask);
    }
    meet(mask, OP_SHUFFLE + mode, &shuffled, site, [](Thread *, void **arguments, uint32_t lanes) {
        Shuffled **all = (Shuffled **)arguments;
        for (uint32_t left = lanes; left != 0; left &= left - 1) {
            Shuffled *one = all[__builtin_ctz(left)];
            one->result   = all[one->from]->value;
        }
    });
    return shuffled.result;
}

uint32_t ballot(uint32_t mask, int predicate, Site site) {
    uint32_t vote = predicate != 0;
    meet(mask, OP_BALLOT, &vote, site, [](Thread *, void **arguments, uint32_t lanes) {
        uint32_t result = 0;
        for (uint32_t left = lanes; left != 0; left &= left - 1) {
            const int lane = __builtin_ctz(left);
            result |= *(uint32_t *)arguments[lane] << lane;
        }
        for (uint32_t left = lanes; left != 0; left &= left - 1) {
            *(uint32_t *)arguments[__builtin_ctz(left)] = result;
        }
    });
    return vote;
}

/* ---- Atomics --------------------------------------------------------------------------------- */

static void note_atomic(const void *at) {
    const Block    *block  = current()->owner;
    const ptrdiff_t offset = (const unsigned char *)at - block->shared;
    if (offset >= 0 && (size_t)offset < SHARED_ARENA_BYTES) {
        race_use((uint32_t)offset, 4, ATOMIC, NOWHERE);
    }
}

float atomic_add(float *at, float value) {
    uint32_t *bits = (uint32_t *)at;
    uint32_t  old  = __atomic_load_n(bits, __ATOMIC_RELAXED);
    note_atomic(at);
    while (!__atomic_compare_exchange_n(bits, &old, bits_of(of_bits<float>(old) + value), true,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    return of_bits<float>(old);
}

int atomic_add(int *at, int value) {
    note_atomic(at);
    return __atomic_fetch_add(at, value, __ATOMIC_RELAXED);
}

} // namespace simt
