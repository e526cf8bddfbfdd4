/* mbarriers, and the TMA loads that complete on them. A load lands when nothing else can go on
 * (SIMT_ASYNC=1: at once, 2: by chance); until then its target holds NaN. */
#include <algorithm>

#include "emu/emu_hopper.h"

namespace simt {

static constexpr unsigned MBARRIER_MARK = 1; /* fresh shared memory reads 3 */

/* ---- The block's machinery ------------------------------------------------------------------- */

Hopper *hopper_of(Block *block) {
    if (block->hopper == nullptr) {
        block->hopper = std::make_shared<Hopper>();
        wgmma_reset(block);
    }
    return block->hopper.get();
}

void hopper_reset(Block *block) {
    block->hopper.reset();
}

void hopper_at_switch(Block *block) {
    const bool may = options.landing == LANDS_AT_RANDOM && block->hopper != nullptr;
    if (may && random_number(block) % 8 == 0) { (void)hopper_land_one(block); }
}

/* ---- mbarriers ------------------------------------------------------------------------------- */

static MbarrierWord *word_at(Block *block, uint32_t at, Site site) {
    MbarrierWord *word = (MbarrierWord *)shared_at(block, at, 8, 8, site, "mbarrier");
    if (word->mark != MBARRIER_MARK) { fail(site, "mbarrier: not initialised"); }
    return word;
}

static unsigned index_of(const Hopper *hopper, uint32_t at, Site site) {
    for (unsigned i = 0; i < hopper->mbarriers.size(); i++) {
        if (hopper->mbarriers[i].at == at) { return i; }
    }
    fail(site, "mbarrier: not initialised");
}

static void complete_if_done(MbarrierWord *word) {
    if (word->pending == 0 && word->bytes == 0) {
        word->phase ^= 1;
        word->pending = word->expected;
    }
}

/* RACE: who waits on the mbarrier will know what clock knows. */
static void leave_clock(Block *block, Mbarrier *mbarrier, const uint32_t *clock) {
    if (!RACE) { return; }
    mbarrier->clock.resize(block->clock_ids);
    for (unsigned i = 0; i < block->clock_ids; i++) {
        mbarrier->clock[i] = std::max(mbarrier->clock[i], clock[i]);
    }
}

static void take_clock(Block *block, Thread *thread, const Mbarrier &mbarrier) {
    if (!RACE || mbarrier.clock.empty()) { return; }
    for (unsigned i = 0; i < block->clock_ids; i++) {
        thread->clock[i] = std::max(thread->clock[i], mbarrier.clock[i]);
    }
}

void mbarrier_init(uint32_t at, uint32_t count, Site site) {
    Block        *block  = current()->owner;
    Hopper       *hopper = hopper_of(block);
    MbarrierWord *word   = (MbarrierWord *)shared_at(block, at, 8, 8, site, "mbarrier");
    if (count == 0 || count > 4096) { fail(site, "mbarrier: %u arrivals per phase", count); }
    if (hopper->mbarriers.size() == MBARRIERS_MAX) {
        fail(site, "more than %u mbarriers", MBARRIERS_MAX);
    }
    for (const Mbarrier &mbarrier : hopper->mbarriers) {
        if (mbarrier.at == at) { fail(site, "mbarrier: initialised twice"); }
    }
    race_use(at, 8, WRITE, site);
    word->mark     = MBARRIER_MARK;
    word->phase    = 0;
    word->expected = count;
    word->pending  = count;
    word->bytes    = 0;
    hopper->mbarriers.push_back({ at, {} });
}

void mbarrier_arrive(uint32_t at, uint32_t expect_bytes, Site site) {
    Thread        *me       = current();
    Block         *block    = me->owner;
    MbarrierWord  *word     = word_at(block, at, site);
    const unsigned mbarrier = index_of(hopper_of(block), at, site);
    race_use(at, 8, READ, site);
    if (word->pending == 0) { fail(site, "mbarrier: more arrivals than the phase expects"); }
    if (RACE) {
        leave_clock(block, &block->hopper->mbarriers[mbarrier], me->clock);
        me->clock[me->index]++;
    }
    word->bytes += expect_bytes;
    word->pending--;
    complete_if_done(word);
}

static bool is_through(const Block *block, uint32_t at, uint32_t parity) {
    return ((const MbarrierWord *)(block->shared + at))->phase != (parity & 1);
}

void mbarrier_wait(uint32_t at, uint32_t parity, Site site) {
    Thread *me    = current();
    Block  *block = me->owner;
    (void)word_at(block, at, site);
    race_use(at, 8, READ, site);
    while (!is_through(block, at, parity)) {
        me->mbarrier = at;
        me->parity   = parity;
        wait(AT_MBARRIER, site);
    }
    const Hopper *hopper = hopper_of(block);
    take_clock(block, me, hopper->mbarriers[index_of(hopper, at, site)]);
}

bool hopper_wake(Block *block) {
    bool woken = false;
    if (block->hopper == nullptr) { return false; }
    for (unsigned i = 0; i < block->threads; i++) {
        Thread *thread = &block->thread[i];
        if (thread->state == AT_MBARRIER && is_through(block, thread->mbarrier, thread->parity)) {
            make_ready(block, thread);
            woken = true;
        }
    }
    return woken;
}

void proxy_fence() {
    Thread *me = current();
    if (RACE) { me->fenced = me->clock[me->index]++; }
}

/* ---- TMA ------------------------------------------------------------------------------------- */

uint32_t hopper_swizzle(uint32_t at, uint32_t swizzle_bytes) {
    return swizzle_bytes == 0 ? at : at ^ (at >> 3 & (swizzle_bytes - 16));
}

static uint32_t box_bytes(const TensorMap &map) {
    return map.box_width * map.element_bytes * map.box_height;
}

/* One row of the box; outside the matrix: zeros. */
static void land_row(Block *block, const TmaLoad &load, uint32_t row) {
    const TensorMap &map       = load.map;
    const uint32_t   row_bytes = map.box_width * map.element_bytes;
    const int64_t    y         = (int64_t)load.y + row;
    const bool       real      = y >= 0 && y < (int64_t)map.height;
    for (uint32_t i = 0; i < map.box_width; i++) {
        const uint32_t at = load.to + row * row_bytes + i * map.element_bytes;
        const int64_t  x  = (int64_t)load.x + i;
        unsigned char *to = block->shared + hopper_swizzle(at, map.swizzle_bytes);
        if (real && x >= 0 && x < (int64_t)map.width) {
            const unsigned char *from =
                map.base + (uint64_t)y * map.row_bytes + (uint64_t)x * map.element_bytes;
            race_use_global(from, map.element_bytes, READ, load.site);
            memcpy(to, from, map.element_bytes);
        } else {
            memset(to, 0, map.element_bytes);
        }
    }
}

static void land(Block *block, const TmaLoad &load) {
    Mbarrier     *mbarrier = &block->hopper->mbarriers[load.mbarrier];
    MbarrierWord *word     = word_at(block, mbarrier->at, load.site);
    for (uint32_t row = 0; row < load.map.box_height; row++) { land_row(block, load, row); }
    leave_clock(block, mbarrier, load.clock.data());
    word->bytes -= box_bytes(load.map);
    complete_if_done(word);
}

bool hopper_land_one(Block *block) {
    Hopper *hopper = block->hopper.get();
    if (hopper == nullptr || hopper->loads.empty()) { return false; }
    const size_t  i    = random_number(block) % hopper->loads.size();
    const TmaLoad load = hopper->loads[i];
    hopper->loads.erase(hopper->loads.begin() + (ptrdiff_t)i);
    land(block, load);
    return true;
}

static void check_load(const TensorMap &map, uint32_t to, Site site) {
    const uint32_t align = map.swizzle_bytes == 0 ? 128 : 8 * map.swizzle_bytes;
    if (map.mark != MAP_MARK) { fail(site, "TMA: not a map made by ccu_device_tensor_map"); }
    if (to % align != 0) {
        fail(site, "TMA: shared address %u is not %u-byte aligned (swizzle of %u bytes)",
             to - SHARED_BASE, align, map.swizzle_bytes);
    }
}

void tma_load(uint32_t to, const TensorMap *map, int x, int y, uint32_t at, Site site) {
    Thread *me    = current();
    Block  *block = me->owner;
    check_load(*map, to, site);
    const uint32_t bytes    = box_bytes(*map);
    unsigned char *target   = shared_at(block, to, bytes, 16, site, "TMA");
    Hopper        *hopper   = hopper_of(block);
    const unsigned mbarrier = index_of(hopper, at, site);
    TmaLoad        load     = { to, mbarrier, *map, x, y, site, {} };
    race_use(at, 8, PROXY_READ, site); /* the mbarrier's initialisation needs a fence too */
    if (RACE) {
        const unsigned id = race_mbarrier_id(block, mbarrier);
        load.clock.assign(me->clock, me->clock + block->clock_ids);
        load.clock[id] = ++hopper->load_clock;
        race_access(block, id, load.clock.data(), to, bytes, WRITE, { nullptr, site });
    }
    memset(target, 0xff, bytes);
    if (options.landing == LANDS_AT_ONCE) {
        land(block, load);
    } else {
        hopper->loads.push_back(load);
    }
}

/* ---- At the end of a block ------------------------------------------------------------------- */

void hopper_check_end(Block *block) {
    if (block->hopper == nullptr) { return; }
    here = &block->thread[0]; /* for the report */
    wgmma_check_end(block);
    if (!block->hopper->loads.empty()) {
        fail(block->hopper->loads[0].site, "TMA: the block ended before this load was waited for");
    }
    for (const Mbarrier &mbarrier : block->hopper->mbarriers) {
        const MbarrierWord *word = (const MbarrierWord *)(block->shared + mbarrier.at);
        if (word->bytes != 0) {
            const long bytes = (long)word->bytes;
            fail(NOWHERE, "mbarrier at %u: %ld bytes %s when the block ended",
                 mbarrier.at - SHARED_BASE, bytes > 0 ? bytes : -bytes,
                 bytes > 0 ? "expected never came" : "came without being expected");
        }
    }
    here = nullptr;
}

} // namespace simt
