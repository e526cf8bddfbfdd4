// simt_emu.cpp - SIMT emulator runtime: fibers, warp collectives, barriers, async copies, mbarrier/TMA/wgmma, race detector.
// Always compiled WITHOUT -fsanitize=thread: with -fsanitize=thread on the kernels only, their loads and stores call the
// __tsan_* hooks at the end of this file (libtsan is not linked).
#include "simt.h"
#include <cstdarg>
#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>
#include <execinfo.h>
#include <algorithm>
#include <map>
#include <vector>
#if !defined(__has_feature)
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SIMT_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
#define SIMT_ASAN 0
#endif
namespace simt {
enum { MAXT = 1024, STACK = 256 << 10, SMEM_MAX = 227 << 10, SMEM_BASE = 1024, ARENA = 256 << 10, GRAN = 2 };
enum State : uint8_t { READY, W_BAR, W_WARP, W_WG, W_MBAR, DONE };
static const char *const state_name[] = {"ready", "barrier", "warp collective", "warpgroup op", "mbarrier", "exited"};
enum Async { LAZY, EAGER, RANDOM };
static int env(const char *n, int d) { const char *s = getenv(n); return s ? atoi(s) : d; }
static const int opt_seed = env("SIMT_SEED", 0), opt_async = env("SIMT_ASYNC", LAZY), opt_race = env("SIMT_RACE", 1);
__thread Stats stats; __thread Ctx *cur; static __thread const char *kname = "?"; static uint32_t launch_id;

struct CpOp { uint32_t dst; const void *src; int n, nsrc; uint32_t group; };
struct Thr : Ctx { State st; unsigned bar; Loc loc; uint32_t mb, mbp; void *sp; void *fake; char *stack; std::vector<CpOp> cp; uint32_t cp_group; uint32_t *vc; uint32_t fence_clk; };
struct Group { uint32_t arrived, mask; int op; Loc loc; void *arg[32]; };
struct Bar { unsigned arrived, need; Loc loc; };
struct MBar { int32_t tx; uint16_t pend; uint16_t exp : 15, phase : 1; };
struct TmaOp { uint32_t dst, bar; TensorMap m; int x, y; std::vector<uint32_t> vc; Loc loc; };
struct WgOp { float *d[128]; const uint32_t *ra[128]; bool areg; uint64_t da, db; int n, scale; bool tb, bf16; uint32_t group, clk[4]; Loc loc; };
struct Acc { float *d[128]; int n, inflight; std::vector<float> v; };
struct WgArg { int op; float *d; const uint32_t *ra; uint64_t da, db; int n, scale; bool tb, bf16; unsigned N; };
struct WG { unsigned arrived; int op; Loc loc; WgArg *arg[128]; std::vector<WgOp> q; std::vector<Acc> acc; uint32_t group; bool fenced; };
struct Shadow { uint32_t wc, r1c, r2c; uint16_t wt, r1t, r2t; bool atomic; const void *wpc, *rpc; };
struct Block {
    unsigned n, nv, ndone, pos; uint64_t ready[MAXT / 64]; uint16_t order[MAXT], where[MAXT];
    Thr t[MAXT]; Group grp[MAXT / 32][32]; Bar bar[16]; WG wg[MAXT / 128]; std::vector<TmaOp> tma; uint32_t tma_clk, wgclk[MAXT / 32];
    unsigned char *smem; size_t dyn, top; std::vector<std::pair<const void *, size_t>> stat;
    void (*fn)(void *); void *arg; void *main_sp; void *main_fake; const void *main_stk; size_t main_len; uint64_t rng;
    std::vector<Shadow> sh; std::vector<uint32_t> vc; std::map<uint32_t, std::vector<uint32_t>> mbvc; bool race;
};
void fail(Loc l, const char *fmt, ...) {
    char b[512]; va_list ap; va_start(ap, fmt); vsnprintf(b, sizeof b, fmt, ap); va_end(ap);
    fprintf(stderr, "SIMT ERROR: %s\n", b);
    if (cur) fprintf(stderr, "  in kernel %s block (%u,%u,%u) thread %u (%u,%u,%u)", kname, cur->bid.x, cur->bid.y, cur->bid.z, cur->lin, cur->tid.x, cur->tid.y, cur->tid.z);
    if (l.file) fprintf(stderr, " at %s:%d", l.file, l.line);
    fputc('\n', stderr); fflush(stderr); _exit(86);
}
uint16_t f2h_soft(float f) {
    uint32_t x = bits(f), s = x >> 16 & 0x8000, a = x & 0x7fffffff;
    if (a > 0x7f800000) return s | 0x7e00;
    if (a >= 0x477ff000) return s | 0x7c00;
    if (a < 0x38800000) { uint32_t sh = 126 - (a >> 23); if (sh > 24) return s; uint32_t m = (a & 0x7fffff) | 0x800000, h = m >> sh, r = m & ((1u << sh) - 1), hf = 1u << (sh - 1); return s | (h + (r > hf || (r == hf && (h & 1)))); }
    uint32_t h = (a - 0x38000000) >> 13, r = a & 0x1fff; return s | (h + (r > 0x1000 || (r == 0x1000 && (h & 1))));
}
float h2f_soft(uint16_t h) {
    uint32_t s = (uint32_t)(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 0x3ff;
    if (e == 31) return unbits<float>(s | 0x7f800000 | m << 13);
    if (e) return unbits<float>(s | (e + 112) << 23 | m << 13);
    float v = m * (1.0f / 16777216.0f); return s ? -v : v;
}
// ---- context switch (x86-64 System V; other CPUs: ucontext) ----
asm(".text\n.type simt_switch,@function\nsimt_switch:\npushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp,(%rdi)\nmovq %rsi,%rsp\npopq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n.size simt_switch,.-simt_switch\n");
extern "C" void simt_switch(void **save, void *to);
static inline uint32_t rnd(Block *b) { b->rng = b->rng * 6364136223846793005ull + 1442695040888963407ull; return (uint32_t)(b->rng >> 33); }
static inline void set_ready(Block *b, Thr *t) { t->st = READY; unsigned p = b->where[t->lin]; b->ready[p >> 6] |= 1ull << (p & 63); }
static bool async_step(Block *b); static bool mb_done(Block *b, uint32_t a, uint32_t parity);
static Thr *pick(Block *b) {
    if (opt_seed && (rnd(b) & 3) == 0) b->pos = rnd(b) % b->n;                    // random preemption of the round robin
    if (opt_async == RANDOM && !b->tma.empty() && (rnd(b) & 7) == 0) async_step(b);
    for (;;) {
        unsigned nw = (b->n + 63) / 64, w = b->pos >> 6; uint64_t m = b->ready[w] & (~0ull << (b->pos & 63));
        for (unsigned i = 0; i <= nw; i++) {
            if (m) { unsigned p = w * 64 + __builtin_ctzll(m); b->ready[w] &= ~(1ull << (p & 63)); b->pos = p + 1 == b->n ? 0 : p + 1; return &b->t[b->order[p]]; }
            w = w + 1 >= nw ? 0 : w + 1; m = b->ready[w];
        }
        bool any = false;
        for (unsigned i = 0; i < b->n; i++) if (b->t[i].st == W_MBAR && mb_done(b, b->t[i].mb, b->t[i].mbp)) { set_ready(b, &b->t[i]); any = true; }
        if (!any && !async_step(b)) return nullptr;
    }
}
static void deadlock(Block *b) {
    fprintf(stderr, "SIMT ERROR: deadlock / divergent synchronisation in kernel %s block (%u,%u,%u): no thread can run\n", kname, b->t[0].bid.x, b->t[0].bid.y, b->t[0].bid.z);
    for (unsigned i = 0; i < b->n;) {
        unsigned j = i; Thr &a = b->t[i];
        while (j < b->n && b->t[j].st == a.st && (a.st == DONE || (b->t[j].loc.line == a.loc.line && b->t[j].loc.file == a.loc.file))) j++;
        fprintf(stderr, "  threads %u..%u: %s", i, j - 1, state_name[a.st]);
        if (a.st != DONE) fprintf(stderr, " at %s:%d", a.loc.file, a.loc.line);
        fputc('\n', stderr); i = j;
    }
    fflush(stderr); _exit(86);
}
static void go(Block *b, Thr *from, Thr *to, bool dying) {       // to == nullptr: back to the OS thread
    stats.switches++; cur = to; void *sp = to ? to->sp : b->main_sp;
    (void)dying;
#if SIMT_ASAN
    if (to) __sanitizer_start_switch_fiber(from ? &from->fake : &b->main_fake, to->stack, STACK);
    else __sanitizer_start_switch_fiber(&from->fake, b->main_stk, b->main_len);
#endif
    simt_switch(from ? &from->sp : &b->main_sp, sp);
#if SIMT_ASAN
    const void *os; size_t ol; __sanitizer_finish_switch_fiber(from ? from->fake : b->main_fake, &os, &ol);
#endif
}
static void yield() {                                            // the current fiber has left state READY
    Thr *me = static_cast<Thr *>(cur); Block *b = me->blk; Thr *t = pick(b);
    if (!t) deadlock(b);
    if (t != me) go(b, me, t, false);
}
static void cp_run(Thr *t, uint32_t upto);
__attribute__((no_sanitize("address"))) static void fiber_main() {
    Thr *me = static_cast<Thr *>(cur);
#if SIMT_ASAN
    { const void *os; size_t ol; __sanitizer_finish_switch_fiber(nullptr, &os, &ol); if (!me->blk->main_stk) { me->blk->main_stk = os; me->blk->main_len = ol; } }
#endif
    for (;;) {                                                   // one iteration per block: fibers are reused
        Block *b = me->blk; b->fn(b->arg);
        cp_run(me, ~0u); me->st = DONE; b->ndone++;
        if (b->ndone == b->n) go(b, me, nullptr, false);
        else { Thr *t = pick(b); if (!t) deadlock(b); go(b, me, t, false); }
    }
}
static Block *get_block() {
    static __thread Block *b; if (b) return b;
    b = new Block(); b->smem = (unsigned char *)aligned_alloc(1024, ARENA); return b;
}
static void make_fiber(Thr *t) {
    t->stack = (char *)mmap(nullptr, STACK + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (t->stack == MAP_FAILED) { perror("mmap"); abort(); }
    mprotect(t->stack, 4096, PROT_NONE); t->stack += 4096;
    static __thread unsigned colour; size_t col = (colour++ % 61) * 832; /* spread stacks over cache sets */ void **s = (void **)(t->stack + STACK - (col & ~15ull)); *--s = nullptr; *--s = (void *)fiber_main; for (int i = 0; i < 6; i++) *--s = nullptr; t->sp = s;
}
static void run_block(Block *b, const Cfg &c, uint3 id, void (*fn)(void *), void *arg) {
    unsigned n = c.block.x * c.block.y * c.block.z; b->n = n; b->nv = n + 1 + n / 32; b->ndone = b->pos = 0; b->fn = fn; b->arg = arg; b->dyn = c.smem; b->top = SMEM_BASE + ((c.smem + 15) & ~15ull) + 64;
    b->rng = (uint64_t)opt_seed * 0x9e3779b97f4a7c15ull + id.x * 1000003ull + id.y * 7919 + id.z; memset(b->grp, 0, ((n + 31) / 32) * sizeof b->grp[0]); memset(b->bar, 0, sizeof b->bar);
    for (auto &w : b->wg) { w.arrived = 0; w.q.clear(); w.acc.clear(); w.group = 0; w.fenced = false; }
    b->tma.clear(); b->tma_clk = 0; b->stat.clear(); b->mbvc.clear();
#if SIMT_ASAN
    ASAN_UNPOISON_MEMORY_REGION(b->smem, ARENA);
#endif
    memset(b->smem, 0xff, SMEM_BASE + c.smem + 1024);
#if SIMT_ASAN
    ASAN_POISON_MEMORY_REGION(b->smem, SMEM_BASE); ASAN_POISON_MEMORY_REGION(b->smem + SMEM_BASE + c.smem, ARENA - SMEM_BASE - c.smem);
#endif
    if (b->race) { b->sh.assign(ARENA / GRAN, Shadow{0, 0, 0, 0xffff, 0xffff, 0xffff, false, nullptr, nullptr}); b->vc.assign((size_t)n * b->nv, 0); memset(b->wgclk, 0, sizeof b->wgclk); }
    memset(b->ready, 0, sizeof b->ready); for (unsigned i = 0; i < n; i++) b->order[i] = i;
    if (opt_seed == -1) std::reverse(b->order, b->order + n); else if (opt_seed) for (unsigned i = n - 1; i; i--) std::swap(b->order[i], b->order[rnd(b) % (i + 1)]);
    for (unsigned i = 0; i < n; i++) b->where[b->order[i]] = i;
    for (unsigned i = 0; i < n; i++) {
        Thr &t = b->t[i]; if (!t.stack) make_fiber(&t);
        t.lin = i; t.lane = i & 31; t.warp = i >> 5; t.tid = {i % c.block.x, i / c.block.x % c.block.y, i / (c.block.x * c.block.y)}; t.bid = id; t.bdim = c.block; t.gdim = c.grid; t.blk = b;
        t.cp.clear(); t.cp_group = 0; t.fence_clk = 0; if (b->race) { t.vc = &b->vc[(size_t)i * b->nv]; t.vc[i] = 1; }
        set_ready(b, &t);
    }
    go(b, nullptr, pick(b), false);
}
#ifndef SIMT_RACE_BUILD
#define SIMT_RACE_BUILD 0
#endif
void run_grid(const char *name, const Cfg &c, void (*fn)(void *), void *arg) {
    unsigned n = c.block.x * c.block.y * c.block.z; Loc none = {nullptr, 0}; kname = name; launch_id++;
    if (!n || n > MAXT || c.block.z > 64) fail(none, "%s: bad block size %u", name, n);
    if (n % 32) fail(none, "%s: block of %u threads is not a multiple of the warp size", name, n);
    if (c.smem > SMEM_MAX) fail(none, "%s: %zu bytes of dynamic shared memory > %d", name, c.smem, (int)SMEM_MAX);
    if (!c.grid.x || !c.grid.y || !c.grid.z || c.grid.y > 65535 || c.grid.z > 65535) fail(none, "%s: bad grid", name);
    long nb = (long)c.grid.x * c.grid.y * c.grid.z;
#pragma omp parallel for schedule(dynamic) if (nb > 1 && !SIMT_RACE_BUILD)
    for (long i = 0; i < nb; i++) {
        Block *b = get_block(); b->race = SIMT_RACE_BUILD && opt_race; kname = name;
        run_block(b, c, {(unsigned)(i % c.grid.x), (unsigned)(i / c.grid.x % c.grid.y), (unsigned)(i / ((long)c.grid.x * c.grid.y))}, fn, arg);
    }
}
// ---- race detector: vector clocks per thread, FastTrack-like shadow cell per GRAN bytes of shared memory ----
static void where(const void *pc) { if (!pc) return; void *a[1] = {const_cast<void *>(pc)}; backtrace_symbols_fd(a, 1, 2); }
static void race_report(Block *b, uint32_t off, const char *what, unsigned other, const char *owhat, const void *pc, const void *opc) {
    fprintf(stderr, "SIMT RACE: shared memory byte %u: %s by thread %u is not ordered after %s by thread %u\n", off - SMEM_BASE, what, cur ? cur->lin : ~0u, owhat, other);
    if (other >= b->n) fprintf(stderr, "  (%u is the %s)\n", other, other == b->n ? "TMA engine" : "async proxy of a warp: wgmma");
    where(pc); where(opc); fail({nullptr, 0}, "shared-memory race");
}
static void touch(Block *b, unsigned tid, uint32_t *vc, uint32_t off, size_t n, bool wr, bool atomic, bool async_rd, const void *pc) {
    for (size_t g = off / GRAN; g <= (off + n - 1) / GRAN; g++) {
        Shadow &s = b->sh[g]; bool sa = atomic && s.atomic;
        if (s.wt != 0xffff && s.wt != tid && s.wc > vc[s.wt] && !sa) race_report(b, g * GRAN, wr ? "write" : "read", s.wt, "write", pc, s.wpc);
        if (async_rd && s.wt != 0xffff && s.wt < b->n && s.wc > b->t[s.wt].fence_clk) race_report(b, g * GRAN, "async-proxy read without fence.proxy.async", s.wt, "generic write", pc, s.wpc);
        if (!wr && s.wt == 0xffff) { where(pc); fail({nullptr, 0}, "read of never written shared memory, byte %zu", g * GRAN - SMEM_BASE); }
        if (wr) {
            if (s.r1t != 0xffff && s.r1t != tid && s.r1c > vc[s.r1t] && !sa) race_report(b, g * GRAN, "write", s.r1t, "read", pc, s.rpc);
            if (s.r2t != 0xffff && s.r2t != tid && s.r2c > vc[s.r2t] && !sa) race_report(b, g * GRAN, "write", s.r2t, "read", pc, s.rpc);
            s.wt = tid; s.wc = vc[tid]; s.r1t = s.r2t = 0xffff; s.atomic = atomic; s.wpc = pc;
        } else {
            if (s.r1t == 0xffff || s.r1t == tid || s.r1c <= vc[s.r1t]) { s.r1t = tid; s.r1c = vc[tid]; }
            else if (s.r2t == 0xffff || s.r2t == tid || s.r2c <= vc[s.r2t] || (g & 1)) { s.r2t = tid; s.r2c = vc[tid]; }
            s.rpc = pc;
        }
    }
}
static inline void use(uint32_t off, size_t n, bool wr, bool async_rd = false, bool atomic = false) {
    Block *b = cur->blk; if (b->race) { Thr *t = static_cast<Thr *>(cur); touch(b, t->lin, t->vc, off, n, wr, atomic, async_rd, nullptr); }
}
static void join_all(Block *b, const std::vector<Thr *> &v) {    // everybody's past becomes everybody's past
    std::vector<uint32_t> m(b->nv, 0); for (Thr *t : v) for (unsigned i = 0; i < b->nv; i++) m[i] = std::max(m[i], t->vc[i]);
    for (Thr *t : v) { std::copy(m.begin(), m.end(), t->vc); t->vc[t->lin]++; }
}
// ---- shared memory ----
void *dyn_smem() { return cur->blk->smem + SMEM_BASE; }
void *static_smem(const void *key, size_t bytes, size_t align) {
    Block *b = cur->blk; for (auto &p : b->stat) if (p.first == key) return b->smem + p.second;
    size_t o = (b->top + align - 1) / align * align; if (o + bytes + 64 > ARENA) fail({nullptr, 0}, "static shared memory exhausted"); b->top = o + bytes + 64; b->stat.push_back({key, o});
#if SIMT_ASAN
    ASAN_UNPOISON_MEMORY_REGION(b->smem + o, bytes);
#endif
    memset(b->smem + o, 0xff, bytes); return b->smem + o;
}
uint32_t smem_off(const void *p, Loc l) { ptrdiff_t o = (const unsigned char *)p - cur->blk->smem; if (o < SMEM_BASE || o > ARENA) fail(l, "smem_addr of a pointer outside shared memory"); return (uint32_t)o; }
static unsigned char *sm(uint32_t a, size_t n, size_t align, Loc l, const char *what) {
    Block *b = cur ? cur->blk : nullptr;
    if (a % align) fail(l, "%s: shared address %u not %zu-byte aligned", what, a, align);
    if (a < SMEM_BASE || a + n > ARENA) fail(l, "%s: shared address %u out of range", what, a);
#if SIMT_ASAN
    if (void *q = __asan_region_is_poisoned(b->smem + a, n)) fail(l, "%s: %zu bytes at shared offset %u touch unallocated shared memory (offset %ld, dynamic size %zu)", what, n, a - SMEM_BASE, (long)((unsigned char *)q - b->smem) - SMEM_BASE, b->dyn);
#else
    bool in = a + n <= SMEM_BASE + b->dyn; for (auto &p : b->stat) in = in || (a >= p.second && a + n <= b->top);
    if (!in) fail(l, "%s: %zu bytes at shared offset %u beyond the block's %zu bytes of shared memory", what, n, a - SMEM_BASE, b->dyn);
#endif
    return b->smem + a;
}
// ---- barriers ----
void bar_sync(unsigned id, unsigned need, Loc l) {
    Thr *t = static_cast<Thr *>(cur); Block *b = t->blk; Bar &r = b->bar[id]; if (!need) need = b->n;
    if (!r.arrived) { r.need = need; r.loc = l; }
    else if (r.need != need || r.loc.line != l.line || strcmp(r.loc.file, l.file)) fail(l, "divergent barrier %u: other threads wait at %s:%d", id, r.loc.file, r.loc.line);
    r.arrived++; t->bar = id; t->loc = l;
    if (r.arrived < r.need) { t->st = W_BAR; yield(); return; }
    r.arrived = 0; stats.barriers++; std::vector<Thr *> v;
    for (unsigned i = 0; i < b->n; i++) if (b->t[i].st == W_BAR && b->t[i].bar == id) { set_ready(b, &b->t[i]); if (b->race) v.push_back(&b->t[i]); }
    if (b->race) { v.push_back(t); join_all(b, v); }
    if (opt_seed) { set_ready(b, t); yield(); }
}
// ---- warp collectives: the last lane to arrive executes for all ----
template <class F> static void collective(uint32_t mask, int op, void *arg, Loc l, F exec) {
    Thr *t = static_cast<Thr *>(cur); Block *b = t->blk;
    if (!(mask >> t->lane & 1)) fail(l, "lane %u is not in its own mask %08x", t->lane, mask);
    Group &g = b->grp[t->warp][__builtin_ctz(mask)];
    if (!g.arrived) { g.mask = mask; g.op = op; g.loc = l; }
    else if (g.mask != mask || g.op != op || g.loc.line != l.line || (g.loc.file != l.file && strcmp(g.loc.file, l.file))) fail(l, "divergent warp collective: other lanes of the warp wait in op %d mask %08x at %s:%d, this lane is in op %d mask %08x", g.op, g.mask, g.loc.file, g.loc.line, op, mask);
    g.arg[t->lane] = arg; g.arrived |= 1u << t->lane;
    if (g.arrived != mask) { t->st = W_WARP; t->loc = l; yield(); return; }
    g.arrived = 0; stats.collectives++; exec(g.arg, t - t->lane);
    for (uint32_t m = mask & ~(1u << t->lane); m; m &= m - 1) set_ready(b, t - t->lane + __builtin_ctz(m));
}
void sync_warp(uint32_t mask, Loc l) {
    collective(mask, 1, nullptr, l, [&](void **, Thr *w) { if (w->blk->race) { std::vector<Thr *> v; for (uint32_t m = mask; m; m &= m - 1) v.push_back(w + __builtin_ctz(m)); join_all(w->blk, v); } });
}
uint32_t shfl(uint32_t mask, uint32_t v, int mode, int arg, int width, Loc l) {
    struct S { uint32_t v; int lane; uint32_t out; } s{v, 0, v}; int me = cur->lane, lo = me & ~(width - 1), src;
    switch (mode) { case 0: src = lo + (arg & (width - 1)); break; case 1: src = me - arg < lo ? me : me - arg; break; case 2: src = me + arg >= lo + width ? me : me + arg; break; default: src = (me ^ arg) >= lo + width ? me : me ^ arg; }
    if (!(mask >> src & 1)) fail(l, "shuffle reads lane %d outside mask %08x", src, mask);
    s.lane = src;
    collective(mask, 2 + mode, &s, l, [&](void **a, Thr *) { for (uint32_t m = mask; m; m &= m - 1) { S *p = (S *)a[__builtin_ctz(m)]; p->out = ((S *)a[p->lane])->v; } });
    return s.out;
}
uint32_t ballot(uint32_t mask, int p, Loc l) {
    struct S { int p; uint32_t out; } s{p, 0};
    collective(mask, 6, &s, l, [&](void **a, Thr *) { uint32_t r = 0; for (uint32_t m = mask; m; m &= m - 1) if (((S *)a[__builtin_ctz(m)])->p) r |= m & -m; for (uint32_t m = mask; m; m &= m - 1) ((S *)a[__builtin_ctz(m)])->out = r; });
    return s.out;
}
void ldsm(uint32_t *r, int n, bool trans, uint32_t addr, Loc l) {
    struct S { uint32_t *r; uint32_t a; } s{r, addr};
    collective(~0u, 16 + n + 8 * trans, &s, l, [&](void **a, Thr *) {
        for (int i = 0; i < n; i++) {
            const unsigned char *row[8]; uint8_t bank[8] = {}; int worst = 0;
            for (int j = 0; j < 8; j++) { uint32_t x = ((S *)a[8 * i + j])->a; row[j] = sm(x, 16, 16, l, "ldmatrix"); use(x, 16, false); worst = std::max<int>(worst, ++bank[x >> 4 & 7]); }
            stats.ldsm_phases++; stats.ldsm_conflicts += worst - 1;
            for (int k = 0; k < 32; k++) {
                uint32_t v; if (!trans) memcpy(&v, row[k / 4] + 4 * (k % 4), 4);
                else { uint16_t x, y; memcpy(&x, row[2 * (k % 4)] + 2 * (k / 4), 2); memcpy(&y, row[2 * (k % 4) + 1] + 2 * (k / 4), 2); v = x | (uint32_t)y << 16; }
                ((S *)a[k])->r[i] = v;
            }
        }
    });
}
static inline void cvt8(float *o, const uint16_t *h, bool bf) {
#if defined(__F16C__) && defined(__AVX__)
    if (!bf) { _mm256_storeu_ps(o, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)h))); return; }
#endif
    for (int i = 0; i < 8; i++) o[i] = bf ? unbits<float>((uint32_t)h[i] << 16) : h2f(h[i]);
}
static inline float cvt(uint16_t h, bool bf) { return bf ? unbits<float>((uint32_t)h << 16) : h2f(h); }
void mma16816(float *d, const uint32_t *a_, uint32_t b0, uint32_t b1, bool bf, Loc l) {
    struct S { float *d; const uint32_t *a; uint32_t b[2]; } s{d, a_, {b0, b1}};
    collective(~0u, 40 + bf, &s, l, [&](void **arg, Thr *) {
        alignas(32) uint32_t A[16][8], C[16][8]; alignas(32) uint16_t B[16][8]; typedef float v8 __attribute__((vector_size(32))); v8 Bf[16]; stats.mma++;
        for (int k = 0; k < 32; k++) {
            const S *p = (const S *)arg[k]; int g = k / 4, t = k % 4;
            A[g][t] = p->a[0]; A[g + 8][t] = p->a[1]; A[g][t + 4] = p->a[2]; A[g + 8][t + 4] = p->a[3];
            B[2 * t][g] = p->b[0]; B[2 * t + 1][g] = p->b[0] >> 16; B[2 * t + 8][g] = p->b[1]; B[2 * t + 9][g] = p->b[1] >> 16;
            memcpy(&C[g][2 * t], p->d, 8); memcpy(&C[g + 8][2 * t], p->d + 2, 8);
        }
        for (int k = 0; k < 16; k++) cvt8((float *)&Bf[k], B[k], bf);
        for (int i = 0; i < 16; i++) { alignas(32) float a[16]; cvt8(a, (uint16_t *)A[i], bf); cvt8(a + 8, (uint16_t *)A[i] + 8, bf); v8 c; memcpy(&c, C[i], 32); for (int k = 0; k < 16; k++) c += a[k] * Bf[k]; memcpy(C[i], &c, 32); }
        for (int k = 0; k < 32; k++) { float *q = ((S *)arg[k])->d; int g = k / 4, t = k % 4; memcpy(q, &C[g][2 * t], 8); memcpy(q + 2, &C[g + 8][2 * t], 8); }
    });
}
// ---- cp.async: LAZY = destination holds NaN until the issuing thread waits; EAGER = copied at once ----
static void cp_do(const CpOp &o) { unsigned char *d = cur->blk->smem + o.dst; memcpy(d, o.src, o.nsrc); memset(d + o.nsrc, 0, o.n - o.nsrc); }
void cp_async(uint32_t dst, const void *src, int n, int nsrc, Loc l) {
    Thr *t = static_cast<Thr *>(cur); unsigned char *d = sm(dst, n, n, l, "cp.async"); if (nsrc && (uintptr_t)src % n) fail(l, "cp.async: global address %p not %d-byte aligned", src, n);
    use(dst, n, true); CpOp o{dst, src, n, nsrc, t->cp_group}; if (opt_async == EAGER || (opt_async == RANDOM && rnd(t->blk) % 2)) cp_do(o); else memset(d, 0xff, n);
    t->cp.push_back(o);
}
static void cp_run(Thr *t, uint32_t upto) {                      // completes all groups < upto
    size_t i = 0; for (; i < t->cp.size() && t->cp[i].group < upto; i++) { cp_do(t->cp[i]); use(t->cp[i].dst, t->cp[i].n, true); } t->cp.erase(t->cp.begin(), t->cp.begin() + i);
}
void cp_commit() { static_cast<Thr *>(cur)->cp_group++; }
void cp_wait(unsigned n) { Thr *t = static_cast<Thr *>(cur); if (t->cp_group > n) cp_run(t, t->cp_group - n); }
float atomic_addf(float *p, float v) {
    ptrdiff_t o = (unsigned char *)p - cur->blk->smem; if (o >= 0 && o < ARENA) use(o, 4, true, false, true);
    uint32_t *u = (uint32_t *)p, old = __atomic_load_n(u, __ATOMIC_RELAXED); while (!__atomic_compare_exchange_n(u, &old, bits(unbits<float>(old) + v), true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {} return unbits<float>(old);
}
int atomic_addi(int *p, int v) { ptrdiff_t o = (unsigned char *)p - cur->blk->smem; if (o >= 0 && o < ARENA) use(o, 4, true, false, true); return __atomic_fetch_add(p, v, __ATOMIC_RELAXED); }
// ---- mbarrier + TMA ----
static MBar *mbp(uint32_t a, Loc l) { return (MBar *)sm(a, 8, 8, l, "mbarrier"); }
static void mb_check(MBar *m) { if (!m->pend && !m->tx) { m->phase ^= 1; m->pend = m->exp; } }
static bool mb_done(Block *b, uint32_t a, uint32_t parity) { return ((MBar *)(b->smem + a))->phase != (parity & 1); }
static void mb_release(Block *b, uint32_t a, const uint32_t *vc) { auto &v = b->mbvc[a]; v.resize(b->nv); for (unsigned i = 0; i < b->nv; i++) v[i] = std::max(v[i], vc[i]); }
void mb_init(uint32_t a, uint32_t n, Loc l) { MBar *m = mbp(a, l); use(a, 8, true); m->tx = 0; m->pend = m->exp = n; m->phase = 0; }
void mb_arrive(uint32_t a, uint32_t tx, Loc l) {
    Thr *t = static_cast<Thr *>(cur); MBar *m = mbp(a, l); use(a, 8, false); if (!m->pend) fail(l, "mbarrier: more arrivals than expected in this phase");
    if (t->blk->race) { mb_release(t->blk, a, t->vc); t->vc[t->lin]++; }
    m->tx += tx; m->pend--; mb_check(m);
}
void mb_wait(uint32_t a, uint32_t parity, Loc l) {
    Thr *t = static_cast<Thr *>(cur); mbp(a, l); use(a, 8, false); t->loc = l;
    while (!mb_done(t->blk, a, parity)) { t->st = W_MBAR; t->mb = a; t->mbp = parity; yield(); }
    if (t->blk->race) { auto &v = t->blk->mbvc[a]; v.resize(t->blk->nv); for (unsigned i = 0; i < t->blk->nv; i++) t->vc[i] = std::max(t->vc[i], v[i]); }
}
void proxy_fence() { Thr *t = static_cast<Thr *>(cur); if (t->blk->race) t->fence_clk = t->vc[t->lin]++; }
static uint32_t swz(uint32_t a, unsigned mode) { return mode == 1 ? a ^ (a >> 3 & 0x70) : mode == 2 ? a ^ (a >> 3 & 0x30) : mode == 3 ? a ^ (a >> 3 & 0x10) : a; }
static void tma_run(Block *b, TmaOp &o) {
    const TensorMap &m = o.m; uint32_t row = m.box[0] * m.esize; std::vector<uint32_t> vc = o.vc; if (b->race) { vc[b->n] = ++b->tma_clk; }
    for (uint32_t r = 0; r < m.box[1]; r++) for (uint32_t c = 0; c < m.box[0]; c++) {
        int64_t gx = (int64_t)o.x + c, gy = (int64_t)o.y + r; unsigned char *d = b->smem + swz(o.dst + r * row + c * m.esize, m.swizzle);
        if (gx < 0 || gy < 0 || gx >= (int64_t)m.dim[0] || gy >= (int64_t)m.dim[1]) memset(d, 0, m.esize); else memcpy(d, m.base + gy * m.stride + gx * m.esize, m.esize);
    }
    if (b->race) { touch(b, b->n, vc.data(), o.dst, row * m.box[1], true, false, false, nullptr); mb_release(b, o.bar, vc.data()); }
    MBar *mb = (MBar *)(b->smem + o.bar); mb->tx -= row * m.box[1]; mb_check(mb);
}
static bool async_step(Block *b) { if (b->tma.empty()) return false; size_t i = rnd(b) % b->tma.size(); TmaOp o = b->tma[i]; b->tma.erase(b->tma.begin() + i); tma_run(b, o); return true; }
void tma2d(uint32_t dst, const TensorMap *m, int x, int y, uint32_t bar, Loc l) {
    Thr *t = static_cast<Thr *>(cur); Block *b = t->blk; uint32_t row = m->box[0] * m->esize;
    if (m->box[0] > 256 || m->box[1] > 256) fail(l, "TMA: box > 256");
    if (row % 16 || (m->swizzle == 1 && row > 128)) fail(l, "TMA: bad inner box of %u bytes", row);
    if ((uintptr_t)m->base % 16 || m->stride % 16) fail(l, "TMA: global base/stride not 16-byte aligned");
    unsigned char *d = sm(dst, row * m->box[1], m->swizzle ? 1024 : 128, l, "TMA"); mbp(bar, l); use(bar, 8, false, true);   // async proxy sees the mbarrier: init needs a fence
    TmaOp o{dst, bar, *m, x, y, {}, l}; if (b->race) { o.vc.assign(t->vc, t->vc + b->nv); touch(b, b->n, o.vc.data(), dst, row * m->box[1], true, false, false, nullptr); }
    if (opt_async == EAGER) tma_run(b, o); else { memset(d, 0xff, row * m->box[1]); b->tma.push_back(o); }
}
// ---- wgmma: queued at issue (accumulators become NaN), executed in order when wait_group demands it ----
template <class F> static void wg_coll(WgArg *arg, Loc l, F exec) {
    Thr *t = static_cast<Thr *>(cur); Block *b = t->blk; WG &g = b->wg[t->lin / 128]; if (b->n < (t->lin / 128 + 1) * 128) fail(l, "wgmma: incomplete warpgroup");
    if (!g.arrived) { g.op = arg->op; g.loc = l; } else if (g.op != arg->op || g.loc.line != l.line || strcmp(g.loc.file, l.file)) fail(l, "divergent warpgroup op (others at %s:%d)", g.loc.file, g.loc.line);
    g.arg[t->lin & 127] = arg; if (++g.arrived < 128) { t->st = W_WG; t->loc = l; yield(); return; }
    g.arrived = 0; exec(g, t - (t->lin & 127)); for (unsigned i = 0; i < 128; i++) if (t - (t->lin & 127) + i != t) set_ready(b, t - (t->lin & 127) + i);
}
static uint32_t desc_addr(uint64_t d, bool mn_major, int mn, int k, Loc l) {
    uint32_t start = (d & 0x3fff) << 4, lbo = (d >> 16 & 0x3fff) << 4, sbo = (d >> 32 & 0x3fff) << 4, mode = d >> 62, a;
    const uint32_t pitch = mode == 1 ? 128 : mode == 2 ? 64 : mode == 3 ? 32 : 16, e = pitch / 2;
    if (d >> 49 & 7) fail(l, "wgmma: base_offset != 0 not supported");
    if (!mn_major) a = mode ? start + mn % 8 * pitch + mn / 8 * sbo + k * 2 : start + mn % 8 * 16 + mn / 8 * sbo + k / 8 * lbo + k % 8 * 2;
    else a = mode ? start + mn % e * 2 + mn / e * lbo + k % 8 * pitch + k / 8 * sbo : start + mn % 8 * 2 + mn / 8 * sbo + k % 8 * 16 + k / 8 * lbo;
    a = swz(a, mode); sm(a, 2, 2, l, "wgmma operand"); return a;
}
static void wg_exec(Block *b, WG &g, WgOp &o) {
    float A[64][16]; static thread_local float B[16][256], C[64][256]; stats.wgmma++;
    Acc *ac = nullptr; for (auto &x : g.acc) if (x.d[0] == o.d[0]) ac = &x;
    for (int i = 0; i < 64; i++) for (int k = 0; k < 16; k++) {
        if (!o.areg) A[i][k] = cvt(*(uint16_t *)(b->smem + desc_addr(o.da, false, i, k, o.loc)), o.bf16);
        else { int w = i / 16, r = i % 16, ln = r % 8 * 4 + k % 8 / 2; uint32_t v = o.ra[w * 32 + ln][(r >= 8) + 2 * (k >= 8)]; A[i][k] = cvt(k & 1 ? v >> 16 : v & 0xffff, o.bf16); }
    }
    for (int k = 0; k < 16; k++) for (int j = 0; j < o.n; j++) B[k][j] = cvt(*(uint16_t *)(b->smem + desc_addr(o.db, o.tb, j, k, o.loc)), o.bf16);
    auto at = [&](int i, int j) -> float & { int w = i / 16, r = i % 16, ln = r % 8 * 4 + j % 8 / 2; return ac->v[(size_t)(w * 32 + ln) * (o.n / 2) + j / 8 * 4 + (r >= 8) * 2 + (j & 1)]; };
    for (int i = 0; i < 64; i++) for (int j = 0; j < o.n; j++) C[i][j] = o.scale ? at(i, j) : 0.0f;
    for (int i = 0; i < 64; i++) for (int k = 0; k < 16; k++) for (int j = 0; j < o.n; j++) C[i][j] += A[i][k] * B[k][j];
    for (int i = 0; i < 64; i++) for (int j = 0; j < o.n; j++) at(i, j) = C[i][j];
    if (!--ac->inflight) { for (int t = 0; t < 128; t++) memcpy(ac->d[t], &ac->v[(size_t)t * (o.n / 2)], o.n / 2 * 4); g.acc.erase(g.acc.begin() + (ac - g.acc.data())); }
}
void wg_fence(Loc l) { WgArg a{1, 0, 0, 0, 0, 0, 0, false, false, 0}; wg_coll(&a, l, [](WG &g, Thr *) { g.fenced = true; }); }
void wg_commit(Loc l) { WgArg a{2, 0, 0, 0, 0, 0, 0, false, false, 0}; wg_coll(&a, l, [](WG &g, Thr *) { g.group++; }); }
void wg_wait(unsigned n, Loc l) {
    WgArg a{3, 0, 0, 0, 0, 0, 0, false, false, n};
    wg_coll(&a, l, [&](WG &g, Thr *w) { g.fenced = false; while (!g.q.empty() && g.group > n && g.q[0].group < g.group - n) { WgOp o = g.q[0]; g.q.erase(g.q.begin()); wg_exec(w->blk, g, o); if (w->blk->race) for (int t = 0; t < 128; t++) w[t].vc[w->blk->n + 1 + w[t].warp] = o.clk[t / 32]; } });
}
void wg_mma(float *d, int n, const uint32_t *ra, uint64_t da, uint64_t db, bool tb, bool bf16, int scale, Loc l) {
    WgArg a{4, d, ra, da, db, n, scale, tb, bf16, 0};
    wg_coll(&a, l, [&](WG &g, Thr *w) {
        if (!g.fenced) fail(l, "wgmma without wgmma.fence after the registers were last touched / waited for");
        WgOp o{}; o.areg = ra != nullptr; o.da = da; o.db = db; o.n = n; o.scale = scale; o.tb = tb; o.bf16 = bf16; o.group = g.group; o.loc = l;
        for (int t = 0; t < 128; t++) { WgArg *p = g.arg[t]; if (p->da != da || p->db != db || p->scale != scale) fail(l, "wgmma: descriptors differ between threads"); o.d[t] = p->d; o.ra[t] = p->ra; }
        Acc *ac = nullptr; for (auto &x : g.acc) if (x.d[0] == d || x.d[0] == g.arg[0]->d) ac = &x;
        if (!ac) { g.acc.push_back({}); ac = &g.acc.back(); ac->n = n; ac->inflight = 0; ac->v.resize(128 * n / 2); for (int t = 0; t < 128; t++) { ac->d[t] = g.arg[t]->d; memcpy(&ac->v[(size_t)t * n / 2], ac->d[t], n / 2 * 4); } }
        else for (int t = 0; t < 128; t++) for (int i = 0; i < n / 2; i++) if (bits(ac->d[t][i]) != ~0u) fail(l, "wgmma: accumulator touched while in flight");
        for (int t = 0; t < 128; t++) memset(ac->d[t], 0xff, n / 2 * 4);
        ac->inflight++; Block *b = w->blk;
        if (b->race) for (int q = 0; q < 4; q++) {                                       // each warp reads its 16 rows of A and all of B, from now until its wait_group
            unsigned id = b->n + 1 + w->warp + q; std::vector<uint32_t> vc(w[q * 32].vc, w[q * 32].vc + b->nv); vc[id] = o.clk[q] = ++b->wgclk[w->warp + q];
            for (int k = 0; k < 16; k++) { if (!ra) for (int i = 0; i < 16; i++) touch(b, id, vc.data(), desc_addr(da, false, q * 16 + i, k, l), 2, false, false, true, nullptr); for (int j = 0; j < n; j++) touch(b, id, vc.data(), desc_addr(db, tb, j, k, l), 2, false, false, true, nullptr); }
        }
        g.q.push_back(o);
    });
}
// ---- device memory ----
struct GShadow { uint32_t wl, wb, rl, rb; }; struct Alloc { unsigned char *p; size_t n; std::vector<GShadow> sh; };
static std::vector<Alloc *> allocs;
void *dev_malloc(size_t n) { void *p; if (posix_memalign(&p, 256, n ? n : 1)) abort(); memset(p, 0xff, n); if (SIMT_RACE_BUILD) { Alloc *a = new Alloc{(unsigned char *)p, n, {}}; a->sh.resize(n / GRAN + 1); allocs.push_back(a); } return p; }
void dev_free(void *p) { for (size_t i = 0; i < allocs.size(); i++) if (allocs[i]->p == p) { delete allocs[i]; allocs.erase(allocs.begin() + i); break; } free(p); }
#if SIMT_RACE_BUILD
static void hook(void *p, size_t n, bool wr, const void *pc) {
    if (!cur) return;
    Thr *t = static_cast<Thr *>(cur); Block *b = t->blk;
    if (!b->race) return;
    ptrdiff_t o = (unsigned char *)p - b->smem;
    if (o >= 0 && o < ARENA) { touch(b, t->lin, t->vc, (uint32_t)o, n, wr, false, false, pc); return; }
    if ((char *)p >= t->stack && (char *)p < t->stack + STACK) return;
    uint32_t bl = 1 + t->bid.x + t->gdim.x * (t->bid.y + t->gdim.y * t->bid.z);
    for (Alloc *a : allocs) if ((unsigned char *)p >= a->p && (unsigned char *)p < a->p + a->n)       // global memory: conflicts between blocks of one launch
        for (size_t g = (size_t)((unsigned char *)p - a->p) / GRAN; g <= (size_t)((unsigned char *)p + n - 1 - a->p) / GRAN; g++) {
            GShadow &s = a->sh[g]; bool w2 = s.wl == launch_id && s.wb != bl, r2 = s.rl == launch_id && s.rb != bl;
            if (w2 || (wr && r2)) { where(pc); fail({nullptr, 0}, "global-memory race at byte %zu of a %zu-byte buffer: %s by this block, %s by block %u of the same launch", g * GRAN, a->n, wr ? "write" : "read", w2 ? "write" : "read", (w2 ? s.wb : s.rb) - 1); }
            if (wr) { s.wl = launch_id; s.wb = bl; } else if (s.rl != launch_id) { s.rl = launch_id; s.rb = bl; }
        }
}
extern "C" {
#define H(n) void __tsan_read##n(void *p) { hook(p, n, false, __builtin_return_address(0)); } void __tsan_write##n(void *p) { hook(p, n, true, __builtin_return_address(0)); } \
    void __tsan_unaligned_read##n(void *p) { hook(p, n, false, __builtin_return_address(0)); } void __tsan_unaligned_write##n(void *p) { hook(p, n, true, __builtin_return_address(0)); }
H(1) H(2) H(4) H(8) H(16)
void __tsan_read_range(void *p, size_t n) { if (n) hook(p, n, false, __builtin_return_address(0)); }
void __tsan_write_range(void *p, size_t n) { if (n) hook(p, n, true, __builtin_return_address(0)); }
void __tsan_init() {} void __tsan_func_entry(void *) {} void __tsan_func_exit() {} void __tsan_vptr_update(void *, void *) {} void __tsan_vptr_read(void *) {}
}
#endif
}
