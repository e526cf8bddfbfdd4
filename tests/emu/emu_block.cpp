/* Launches, and the scheduler of a block's threads. */
#include <stdlib.h>

#include <algorithm>

#include "emu/emu.h"
#include "emu/emu_hopper.h"

namespace simt {

__thread const Place *here;

static int environment_number(const char *name) {
    const char *text = getenv(name);
    return text == nullptr ? 0 : (int)strtol(text, nullptr, 10);
}

const Options options = { environment_number("SIMT_SEED"),
                          (Landing)environment_number("SIMT_ASYNC") };

uint32_t random_number(Block *block) {
    block->random = block->random * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(block->random >> 33);
}

/* ---- Scheduler ------------------------------------------------------------------------------- */

/* The first ready thread from the next place on, round robin; NULL if there is none. */
static Thread *next_ready(Block *block) {
    const unsigned words = (block->threads + 63) / 64;
    unsigned       word  = block->next / 64;
    uint64_t       ready = block->ready[word] & ~(uint64_t)0 << block->next % 64;
    for (unsigned i = 0; i <= words; i++) {
        if (ready != 0) {
            const unsigned place = word * 64 + (unsigned)__builtin_ctzll(ready);
            block->ready[word] &= ~((uint64_t)1 << place % 64);
            block->next = place + 1 == block->threads ? 0 : place + 1;
            return &block->thread[block->order[place]];
        }
        word  = word + 1 >= words ? 0 : word + 1;
        ready = block->ready[word];
    }
    return nullptr;
}

/* Who runs next. When everyone waits, mbarriers are looked at, then a TMA load lands. */
static Thread *choose(Block *block) {
    if (options.seed != 0 && random_number(block) % 4 == 0) {
        block->next = random_number(block) % block->threads;
    }
    hopper_at_switch(block);
    for (;;) {
        Thread *thread = next_ready(block);
        if (thread != nullptr) { return thread; }
        if (!hopper_wake(block) && !hopper_land_one(block)) { fail_deadlock(block); }
    }
}

static void switch_to(Block *block, Fiber *from, Thread *to) {
    here = to;
    fiber_switch(from, to == nullptr ? &block->outside : &to->fiber);
}

void wait(State state, Site site) {
    Thread *me = current();
    me->site   = site;
    if (state != READY) { me->state = state; }
    Thread *to = choose(me->owner);
    if (to != me) { switch_to(me->owner, &me->fiber, to); }
}

/* A fiber outlives its block: the next block of this OS thread uses it again. */
__attribute__((no_sanitize("address"))) static void thread_main() {
    fiber_started();
    for (;;) {
        Thread *me    = current();
        Block  *block = me->owner;
        block->launch->body();
        copies_land(me, UINT32_MAX);
        me->state = EXITED;
        block->exited++;
        switch_to(block, &me->fiber, block->exited == block->threads ? nullptr : choose(block));
    }
}

/* ---- Blocks ---------------------------------------------------------------------------------- */

static void set_order(Block *block) {
    uint16_t *order = block->order;
    for (unsigned i = 0; i < block->threads; i++) { order[i] = (uint16_t)i; }
    if (options.seed == -1) {
        std::reverse(order, order + block->threads);
    } else if (options.seed != 0) {
        for (unsigned i = block->threads - 1; i > 0; i--) {
            std::swap(order[i], order[random_number(block) % (i + 1)]);
        }
    }
    for (unsigned i = 0; i < block->threads; i++) { block->place[order[i]] = (uint16_t)i; }
}

static void start_thread(Block *block, unsigned index, uint3 where) {
    const dim3 &size   = block->launch->threads;
    Thread     *thread = &block->thread[index];
    if (thread->fiber.stack == nullptr) { fiber_make(&thread->fiber, thread_main); }
    thread->thread     = { index % size.x, index / size.x % size.y, index / (size.x * size.y) };
    thread->block      = where;
    thread->threads    = size;
    thread->blocks     = block->launch->blocks;
    thread->owner      = block;
    thread->index      = index;
    thread->lane       = index % WARP;
    thread->warp       = index / WARP;
    thread->copy_group = 0;
    thread->copies.clear();
    make_ready(block, thread);
}

static void run_block(Block *block, const Launch &launch, uint3 where) {
    block->launch  = &launch;
    block->threads = launch.threads.x * launch.threads.y * launch.threads.z;
    block->exited  = 0;
    block->next    = 0;
    block->random  = (uint64_t)options.seed * 0x9e3779b97f4a7c15ull + where.x * 1000003ull +
                    where.y * 7919ull + where.z;
    memset(block->ready, 0, sizeof block->ready);
    memset(block->barriers, 0, sizeof block->barriers);
    memset(block->meetings, 0, block->threads / WARP * sizeof block->meetings[0]);
    shared_reset(block, launch.shared_bytes);
    hopper_reset(block);
    set_order(block);
    for (unsigned i = 0; i < block->threads; i++) { start_thread(block, i, where); }
    race_block_begin(block);
    switch_to(block, &block->outside, choose(block));
    hopper_check_end(block);
}

/* One per OS thread, kept for ever: its stacks are expensive. */
static Block *block_of_this_os_thread() {
    static __thread Block *block;
    if (block == nullptr) {
        block         = new Block();
        block->shared = (unsigned char *)aligned_alloc(SHARED_BASE, SHARED_ARENA_BYTES);
        if (block->shared == nullptr) { fail(NOWHERE, "no memory for shared memory"); }
    }
    return block;
}

static void run_grid(const Launch &launch) {
    const long across = launch.blocks.x, down = launch.blocks.y;
    const long count = across * down * (long)launch.blocks.z;
    race_launch_begin();
#pragma omp parallel for schedule(dynamic) if (count > 1 && !RACE)
    for (long i = 0; i < count; i++) {
        const uint3 where = { (unsigned)(i % across), (unsigned)(i / across % down),
                              (unsigned)(i / (across * down)) };
        run_block(block_of_this_os_thread(), launch, where);
    }
}

/* ---- Launch ---------------------------------------------------------------------------------- */

/* 0, or the error that the CUDA runtime gives for such a launch. */
static int check_launch(const Launch &launch) {
    const dim3    &blocks = launch.blocks, &threads = launch.threads;
    const uint64_t count = (uint64_t)threads.x * threads.y * threads.z;
    if (count == 0 || count > THREADS_MAX || threads.z > 64) { return ERROR_CONFIGURATION; }
    if (blocks.x == 0 || blocks.y == 0 || blocks.z == 0) { return ERROR_CONFIGURATION; }
    if (blocks.x > 0x7fffffffu || blocks.y > 65535 || blocks.z > 65535) {
        return ERROR_CONFIGURATION;
    }
    if (launch.shared_bytes > device_shared_max()) { return ERROR_ARGUMENT; }
    if (count % WARP != 0) { /* legal, but never meant in this project */
        fail(NOWHERE, "%s: a block of %u threads is not whole warps", launch.kernel,
             (unsigned)count);
    }
    return 0;
}

int launch(const Launch &launch, simt_stream stream) {
    const int error = check_launch(launch);
    if (error != 0) { return error; }
    return device_queue(stream, [launch]() { run_grid(launch); });
}

} // namespace simt
