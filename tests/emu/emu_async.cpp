/* cp.async. A copy lands when its thread waits for its group, which is the latest that hardware may
 * take; until then the target holds NaN. SIMT_ASYNC=1 lands it at once, 2 either way by chance. */
#include "emu/emu.h"

namespace simt {

static constexpr size_t COPY_BYTES = 16;

static void land(Block *block, const AsyncCopy &copy) {
    unsigned char *to = block->shared + copy.to;
    if (copy.real) {
        memcpy(to, copy.from, COPY_BYTES);
    } else {
        memset(to, 0, COPY_BYTES);
    }
}

void copy_async(uint32_t to, const void *from, bool real, Site site) {
    Thread        *me     = current();
    Block         *block  = me->owner;
    unsigned char *target = shared_at(block, to, COPY_BYTES, COPY_BYTES, site, "cp.async");
    if (real && (uintptr_t)from % COPY_BYTES != 0) {
        fail(site, "cp.async: global address %p is not 16-byte aligned", from);
    }
    if (real) { race_use_global(from, COPY_BYTES, READ, site); }
    race_use(to, COPY_BYTES, WRITE, site);
    const AsyncCopy copy    = { to, from, real, me->copy_group, site };
    const bool      at_once = options.landing == LANDS_AT_ONCE ||
                         (options.landing == LANDS_AT_RANDOM && random_number(block) % 2 == 0);
    if (at_once) {
        land(block, copy);
    } else {
        memset(target, 0xff, COPY_BYTES);
    }
    me->copies.push_back(copy);
}

void copies_land(Thread *thread, uint32_t end) {
    size_t count = 0;
    for (; count < thread->copies.size() && thread->copies[count].group < end; count++) {
        const AsyncCopy &copy = thread->copies[count];
        land(thread->owner, copy);
        race_use(copy.to, COPY_BYTES, WRITE, copy.site);
    }
    thread->copies.erase(thread->copies.begin(), thread->copies.begin() + (ptrdiff_t)count);
}

void copy_async_commit() {
    current()->copy_group++;
}

void copy_async_wait(unsigned newest) {
    Thread *me = current();
    if (me->copy_group > newest) { copies_land(me, me->copy_group - newest); }
}

} // namespace simt
