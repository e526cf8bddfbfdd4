/* The asynchronous machinery of a block: mbarriers, TMA loads under way, wgmma under way. */
#ifndef CCU_EMU_EMU_HOPPER_H
#define CCU_EMU_EMU_HOPPER_H

#include "emu/emu.h"
#include "emu/simt_emu_hopper.h"

namespace simt {

/* ---- mbarriers and TMA: emu_mbarrier.cpp ----------------------------------------------------- */

/* What an mbarrier's 8 bytes of shared memory hold. */
struct MbarrierWord {
    uint64_t mark     : 2;  /* MBARRIER_MARK, once initialised */
    uint64_t phase    : 1;  /* parity of the phase under way */
    uint64_t expected : 15; /* arrivals of a phase */
    uint64_t pending  : 15; /* of this one */
    int64_t  bytes    : 31; /* expected by this phase and not here yet */
};

static_assert(sizeof(MbarrierWord) == 8, "as on the device");

/* What the emulator knows of one besides. */
struct Mbarrier {
    uint32_t              at;
    std::vector<uint32_t> clock; /* RACE: the past of everyone who arrived */
};

struct TmaLoad {
    uint32_t              to;
    unsigned              mbarrier; /* index */
    TensorMap             map;
    int                   x, y;
    Site                  site;
    std::vector<uint32_t> clock; /* RACE: of the thread that started it */
};

/* ---- wgmma: emu_wgmma.cpp -------------------------------------------------------------------- */

/* One wgmma, queued. Per thread: where its registers are. */
struct Wgmma {
    float          *d[WARPGROUP_THREADS];
    const uint32_t *a[WARPGROUP_THREADS]; /* NULL: from shared memory */
    uint32_t        a_copy[WARPGROUP_THREADS][4];
    uint64_t        desc_a, desc_b;
    int             columns;
    bool            accumulate, b_transposed, bf16;
    uint32_t        group;
    uint32_t        read_clock[4]; /* RACE: per warp, the clock of its reads of shared memory */
    Site            site;
};

/* Accumulators that some queued wgmma writes: meanwhile the registers hold NaN. */
struct Accumulator {
    float             *d[WARPGROUP_THREADS];
    int                columns, queued;
    std::vector<float> value; /* (thread, columns / 2) */
};

struct WarpgroupState {
    Meeting<WARPGROUP_THREADS> meeting;
    std::vector<Wgmma>         queue;
    std::vector<Accumulator>   accumulators;
    uint32_t                   group; /* number of the open group */
    bool                       fenced;
};

struct Hopper {
    std::vector<Mbarrier> mbarriers;
    std::vector<TmaLoad>  loads;
    uint32_t              load_clock;
    WarpgroupState        warpgroups[THREADS_MAX / WARPGROUP_THREADS];
    uint32_t              read_clock[WARPS_MAX];
};

/* Nothing of it costs anything before a block first uses it. */
Hopper *hopper_of(Block *block);

void hopper_reset(Block *block);
void hopper_at_switch(Block *block);  /* SIMT_ASYNC=2: sometimes a load lands */
bool hopper_wake(Block *block);       /* threads whose mbarrier is through; false: none */
bool hopper_land_one(Block *block);   /* false: no load is under way */
void hopper_check_end(Block *block);  /* errors that only the end of a block shows */

/* The swizzle of a tile: 16-byte pieces of a line change places by the line's number. */
uint32_t hopper_swizzle(uint32_t at, uint32_t swizzle_bytes);

void wgmma_reset(Block *block);
void wgmma_check_end(Block *block);

} // namespace simt

#endif
