/* Warpgroups and wgmma m64nNk16. A wgmma is queued when all 128 threads have issued it and runs
 * when a wait asks for its group; until then its accumulators hold NaN and must not be touched.
 *
 * Operands in shared memory are 16-byte pieces; where a piece lies is what a descriptor says:
 *
 *   K-major   a piece is 8 consecutive k of one row. Rows of an 8-row group are one line (the
 *             swizzle's width) apart, groups the stride offset; the second piece of k follows in
 *             the line, or, without swizzle, the leading offset further.
 *   MN-major  a piece is 8 consecutive rows at one k. The k of a group of 8 are one line apart,
 *             groups the stride offset; rows beyond the line are the leading offset further.
 *             Without swizzle the two offsets change roles. */
#include <algorithm>

#include "emu/emu_hopper.h"

namespace simt {

enum WarpgroupOp { OP_FENCE, OP_COMMIT, OP_WAIT, OP_REGISTERS, OP_WGMMA };

void wgmma_reset(Block *block) {
    Hopper *hopper = block->hopper.get();
    for (WarpgroupState &group : hopper->warpgroups) { group = WarpgroupState(); }
    memset(hopper->read_clock, 0, sizeof hopper->read_clock);
}

void wgmma_check_end(Block *block) {
    for (const WarpgroupState &group : block->hopper->warpgroups) {
        if (!group.queue.empty()) {
            fail(group.queue[0].site, "wgmma: the block ended before this was waited for");
        }
    }
}

/* ---- Meetings -------------------------------------------------------------------------------- */

/* As meet() of a warp: the last of the 128 calls execute(state, first thread). */
template <class Execute>
static void meet_warpgroup(int op, void *argument, Site site, const Execute &execute) {
    Thread        *me     = current();
    Block         *block  = me->owner;
    const unsigned number = me->index / WARPGROUP_THREADS;
    const unsigned place  = me->index % WARPGROUP_THREADS;
    if (block->threads < (number + 1) * WARPGROUP_THREADS) {
        fail(site, "threads %u and up are no whole warpgroup", number * WARPGROUP_THREADS);
    }
    WarpgroupState                   &group   = hopper_of(block)->warpgroups[number];
    Meeting<WARPGROUP_THREADS>       &meeting = group.meeting;
    if (meeting.arrived == 0) {
        meeting.op   = op;
        meeting.site = site;
    } else if (meeting.op != op || !same_site(meeting.site, site)) {
        fail(site, "divergent warpgroup: other threads wait at %s:%d", meeting.site.file,
             meeting.site.line);
    }
    meeting.arguments[place] = argument;
    if (++meeting.arrived < WARPGROUP_THREADS) {
        wait(AT_WARPGROUP, site);
        return;
    }
    Thread *first   = me - place;
    meeting.arrived = 0;
    execute(group, first);
    for (unsigned i = 0; i < WARPGROUP_THREADS; i++) {
        if (i != place) { make_ready(block, first + i); }
    }
}

/* ---- Operands -------------------------------------------------------------------------------- */

struct Operand {
    uint32_t start, leading, stride; /* bytes */
    uint32_t swizzle;                /* bytes: 0, 32, 64, 128 */
    bool     mn_major;
};

static Operand decode(uint64_t desc, bool mn_major, Site site) {
    const uint32_t swizzles[] = { 0, 128, 64, 32 };
    if ((desc >> 49 & 7) != 0) { fail(site, "wgmma: a descriptor with a base offset"); }
    return { (uint32_t)(desc & 0x3fff) << 4, (uint32_t)(desc >> 16 & 0x3fff) << 4,
             (uint32_t)(desc >> 32 & 0x3fff) << 4, swizzles[desc >> 62], mn_major };
}

/* The piece that starts at row (of a; column of b) and k; one of the two is a multiple of 8. */
static uint32_t piece_at(const Operand &o, uint32_t row, uint32_t k) {
    const uint32_t line = o.swizzle == 0 ? 16 : o.swizzle;
    const uint32_t wide = line / 2; /* elements */
    uint32_t       at   = o.start;
    if (!o.mn_major) {
        at += row % 8 * line + row / 8 * o.stride + k / 8 * (o.swizzle == 0 ? o.leading : 16);
    } else if (o.swizzle == 0) {
        at += k % 8 * line + k / 8 * o.leading + row / 8 * o.stride;
    } else {
        at += k % 8 * line + k / 8 * o.stride + row / wide * o.leading + row % wide * 2;
    }
    return hopper_swizzle(at, o.swizzle);
}

static float widen(uint16_t bits, bool bf16) {
    return bf16 ? of_bits<float>((uint32_t)bits << 16) : to_f32(ccu_f16{ bits });
}

/* (16, rows): k outermost, which is how the product reads it. */
static void read_operand(float *to, Block *block, const Operand &o, uint32_t rows, bool bf16,
                         Site site) {
    const uint32_t row_step = o.mn_major ? 8 : 1, k_step = o.mn_major ? 1 : 8;
    for (uint32_t row = 0; row < rows; row += row_step) {
        for (uint32_t k = 0; k < 16; k += k_step) {
            uint16_t piece[8];
            memcpy(piece, shared_at(block, piece_at(o, row, k), 16, 16, site, "wgmma operand"), 16);
            for (uint32_t i = 0; i < 8; i++) {
                const uint32_t r = row + (o.mn_major ? i : 0), c = k + (o.mn_major ? 0 : i);
                to[c * rows + r] = widen(piece[i], bf16);
            }
        }
    }
}

/* RACE: one warp's reads of an operand, rows first .. first + rows - 1. */
static void note_reads(Block *block, unsigned id, uint32_t *clock, const Operand &o, uint32_t first,
                       uint32_t rows, Site site) {
    const uint32_t row_step = o.mn_major ? 8 : 1, k_step = o.mn_major ? 1 : 8;
    for (uint32_t row = first; row < first + rows; row += row_step) {
        for (uint32_t k = 0; k < 16; k += k_step) {
            race_access(block, id, clock, piece_at(o, row, k), 16, PROXY_READ,
                        { nullptr, site });
        }
    }
}

/* ---- The product ----------------------------------------------------------------------------- */

/* Of thread t's fragment, element j is this row and column of the 64 x columns tile. */
static unsigned row_of(unsigned t, unsigned j) {
    return t / WARP * 16 + t % WARP / 4 + j / 2 % 2 * 8;
}

static unsigned column_of(unsigned t, unsigned j) {
    return j / 4 * 8 + t % 4 * 2 + j % 2;
}

/* a in registers is mma's fragment of each warp. */
static void read_fragments(float *a, const Wgmma &w) {
    for (unsigned t = 0; t < WARPGROUP_THREADS; t++) {
        if (memcmp(w.a[t], w.a_copy[t], sizeof w.a_copy[t]) != 0) {
            fail(w.site, "wgmma: thread %u changed its registers of a before the wait", t);
        }
        for (unsigned j = 0; j < 8; j++) {
            const unsigned row  = t / WARP * 16 + t % WARP / 4 + j / 2 % 2 * 8;
            const unsigned k    = j / 4 * 8 + t % 4 * 2 + j % 2;
            const uint32_t pair = w.a_copy[t][j / 2];
            a[k * 64 + row]     = widen((uint16_t)(j % 2 == 0 ? pair : pair >> 16), w.bf16);
        }
    }
}

typedef float eight_floats __attribute__((vector_size(32), aligned(4)));

static void add_product(float *c, const float *a, const float *b, int columns) {
    for (int i = 0; i < 64; i++) {
        for (int j = 0; j < columns; j += 8) {
            eight_floats sum = *(const eight_floats *)(c + i * columns + j);
            for (int k = 0; k < 16; k++) {
                sum += a[k * 64 + i] * *(const eight_floats *)(b + k * columns + j);
            }
            *(eight_floats *)(c + i * columns + j) = sum;
        }
    }
}

static Accumulator *find_accumulator(WarpgroupState *group, const float *d) {
    for (Accumulator &accumulator : group->accumulators) {
        if (accumulator.d[0] == d) { return &accumulator; }
    }
    return nullptr;
}

static void check_untouched(const Accumulator &accumulator, Site site) {
    for (unsigned t = 0; t < WARPGROUP_THREADS; t++) {
        for (int i = 0; i < accumulator.columns / 2; i++) {
            if (bits_of(accumulator.d[t][i]) != UINT32_MAX) {
                fail(site, "wgmma: thread %u touched the accumulators before the wait", t);
            }
        }
    }
}

static void run(Block *block, WarpgroupState *group, const Wgmma &w) {
    Accumulator       *accumulator = find_accumulator(group, w.d[0]);
    const unsigned     columns     = (unsigned)w.columns, each = columns / 2;
    float              a[16 * 64];
    std::vector<float> b(16 * columns), c(64 * columns, 0.0f);
    if (w.a[0] == nullptr) {
        read_operand(a, block, decode(w.desc_a, false, w.site), 64, w.bf16, w.site);
    } else {
        read_fragments(a, w);
    }
    const Operand operand_b = decode(w.desc_b, w.b_transposed, w.site);
    read_operand(b.data(), block, operand_b, columns, w.bf16, w.site);
    for (unsigned t = 0; w.accumulate && t < WARPGROUP_THREADS; t++) {
        for (unsigned j = 0; j < each; j++) {
            c[row_of(t, j) * columns + column_of(t, j)] = accumulator->value[t * each + j];
        }
    }
    add_product(c.data(), a, b.data(), w.columns);
    for (unsigned t = 0; t < WARPGROUP_THREADS; t++) {
        for (unsigned j = 0; j < each; j++) {
            accumulator->value[t * each + j] = c[row_of(t, j) * columns + column_of(t, j)];
        }
    }
    if (--accumulator->queued > 0) { return; }
    check_untouched(*accumulator, w.site);
    for (unsigned t = 0; t < WARPGROUP_THREADS; t++) {
        memcpy(accumulator->d[t], &accumulator->value[t * each], each * sizeof(float));
    }
    group->accumulators.erase(group->accumulators.begin() +
                              (accumulator - group->accumulators.data()));
}

/* ---- What kernels call ----------------------------------------------------------------------- */

void warpgroup_fence(Site site) {
    meet_warpgroup(OP_FENCE, nullptr, site,
                   [](WarpgroupState &group, Thread *) { group.fenced = true; });
}

void warpgroup_commit(Site site) {
    meet_warpgroup(OP_COMMIT, nullptr, site,
                   [](WarpgroupState &group, Thread *) { group.group++; });
}

void warpgroup_registers(int count, Site site) {
    meet_warpgroup(OP_REGISTERS + 16 * count, nullptr, site, [](WarpgroupState &, Thread *) {});
}

void warpgroup_wait(unsigned newest, Site site) {
    meet_warpgroup(OP_WAIT, nullptr, site, [newest](WarpgroupState &group, Thread *first) {
        Block *block = first->owner;
        group.fenced = false;
        while (!group.queue.empty() && group.queue[0].group + newest < group.group) {
            const Wgmma w = group.queue[0];
            group.queue.erase(group.queue.begin());
            run(block, &group, w);
            for (unsigned t = 0; RACE && t < WARPGROUP_THREADS; t++) {
                first[t].clock[race_warp_id(block, first[t].warp)] = w.read_clock[t / WARP];
            }
        }
    });
}

struct Argument {
    float          *d;
    const uint32_t *a;
    uint64_t        desc_a, desc_b;
    bool            accumulate;
};

/* What the 128 threads ask for, checked to be one thing. */
static Wgmma join(WarpgroupState *group, const WgmmaShape &shape, Site site) {
    Argument      **all = (Argument **)group->meeting.arguments;
    const Argument *one = all[0];
    Wgmma           w   = {};
    w.desc_a            = one->desc_a;
    w.desc_b            = one->desc_b;
    w.columns           = shape.columns;
    w.accumulate        = one->accumulate;
    w.b_transposed      = shape.b_transposed;
    w.bf16              = shape.bf16;
    w.group             = group->group;
    w.site              = site;
    for (unsigned t = 0; t < WARPGROUP_THREADS; t++) {
        const Argument *other = all[t];
        if (other->desc_a != one->desc_a || other->desc_b != one->desc_b ||
            other->accumulate != one->accumulate) {
            fail(site, "wgmma: threads 0 and %u of the warpgroup differ in their arguments", t);
        }
        w.d[t] = other->d;
        w.a[t] = other->a;
        if (other->a != nullptr) { memcpy(w.a_copy[t], other->a, sizeof w.a_copy[t]); }
    }
    return w;
}

/* The registers are taken over: they read NaN until the wait. */
static void take_accumulator(WarpgroupState *group, const Wgmma &w) {
    Accumulator *accumulator = find_accumulator(group, w.d[0]);
    const size_t each        = (size_t)w.columns / 2;
    if (accumulator != nullptr) {
        check_untouched(*accumulator, w.site);
        accumulator->queued++;
        return;
    }
    Accumulator taken = {};
    taken.columns     = w.columns;
    taken.queued      = 1;
    taken.value.resize(WARPGROUP_THREADS * each);
    for (unsigned t = 0; t < WARPGROUP_THREADS; t++) {
        taken.d[t] = w.d[t];
        memcpy(&taken.value[t * each], w.d[t], each * sizeof(float));
        memset(w.d[t], 0xff, each * sizeof(float));
    }
    group->accumulators.push_back(taken);
}

/* RACE: each warp reads its 16 rows of a and all of b, from now until the wait. */
static void note_wgmma(Thread *first, Wgmma *w) {
    Block *block = first->owner;
    for (unsigned warp = 0; RACE && warp < WARPGROUP_THREADS / WARP; warp++) {
        const Thread         *lane = first + warp * WARP;
        const unsigned        id   = race_warp_id(block, lane->warp);
        std::vector<uint32_t> clock(lane->clock, lane->clock + block->clock_ids);
        w->read_clock[warp] = ++block->hopper->read_clock[lane->warp];
        clock[id]           = w->read_clock[warp];
        if (w->a[0] == nullptr) {
            note_reads(block, id, clock.data(), decode(w->desc_a, false, w->site), warp * 16, 16,
                       w->site);
        }
        note_reads(block, id, clock.data(), decode(w->desc_b, w->b_transposed, w->site), 0,
                   (uint32_t)w->columns, w->site);
    }
}

void warpgroup_multiply(float *d, const uint32_t *a, uint64_t desc_a, uint64_t desc_b,
                        WgmmaShape shape, Site site) {
    Argument argument = { d, a, desc_a, desc_b, shape.accumulate };
    meet_warpgroup(OP_WGMMA, &argument, site, [&](WarpgroupState &group, Thread *first) {
        if (!group.fenced) {
            fail(site, "wgmma: no wgmma_fence since the registers were last waited for");
        }
        Wgmma w = join(&group, shape, site);
        take_accumulator(&group, w);
        note_wgmma(first, &w);
        group.queue.push_back(w);
    });
}

} // namespace simt
