/* Shared memory of a block and the device's memory. Both are full of NaN before they are written;
 * AddressSanitizer knows what lies outside. */
#include <stdlib.h>

#include <map>
#include <mutex>

#include "emu/emu.h"

#if EMU_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

namespace simt {

/* ---- Shared memory: from SHARED_BASE the dynamic part, then static arrays, gaps between ------ */

static constexpr uint32_t GAP_BYTES = 64;

static uint32_t round_up(uint32_t x, size_t step) {
    return (uint32_t)((x + step - 1) / step * step);
}

void shared_reset(Block *block, size_t dynamic_bytes) {
    const uint32_t end = SHARED_BASE + (uint32_t)dynamic_bytes;
    block->shared_end  = round_up(end, 16) + GAP_BYTES;
    block->arrays.clear();
    ASAN_POISON_MEMORY_REGION(block->shared, SHARED_ARENA_BYTES);
    ASAN_UNPOISON_MEMORY_REGION(block->shared + SHARED_BASE, dynamic_bytes);
    memset(block->shared + SHARED_BASE, 0xff, dynamic_bytes);
}

void *shared_dynamic() {
    return current()->owner->shared + SHARED_BASE;
}

/* The first thread that comes by makes the array, the others find it by its key. */
void *shared_static(const void *key, size_t bytes, size_t align) {
    Block *block = current()->owner;
    for (const StaticArray &array : block->arrays) {
        if (array.key == key) { return block->shared + array.offset; }
    }
    const uint32_t offset = round_up(block->shared_end, align);
    if (offset + bytes + GAP_BYTES > SHARED_ARENA_BYTES) {
        fail(NOWHERE, "static shared arrays: more than the block can have");
    }
    block->shared_end = offset + (uint32_t)bytes + GAP_BYTES;
    block->arrays.push_back({ key, offset, bytes });
    ASAN_UNPOISON_MEMORY_REGION(block->shared + offset, bytes);
    memset(block->shared + offset, 0xff, bytes);
    return block->shared + offset;
}

uint32_t shared_offset(const void *pointer, Site site) {
    const ptrdiff_t offset = (const unsigned char *)pointer - current()->owner->shared;
    if (offset < (ptrdiff_t)SHARED_BASE || offset > (ptrdiff_t)SHARED_ARENA_BYTES) {
        fail(site, "smem_addr: the pointer is not to shared memory");
    }
    return (uint32_t)offset;
}

static bool inside(const Block *block, uint32_t offset, size_t bytes) {
    const size_t end = offset + bytes;
    if (offset >= SHARED_BASE && end <= SHARED_BASE + block->launch->shared_bytes) { return true; }
    for (const StaticArray &array : block->arrays) {
        if (offset >= array.offset && end <= array.offset + array.bytes) { return true; }
    }
    return false;
}

unsigned char *shared_at(Block *block, uint32_t offset, size_t bytes, size_t align, Site site,
                         const char *what) {
    if (offset % align != 0) {
        fail(site, "%s: shared address %u is not %zu-byte aligned", what, offset - SHARED_BASE,
             align);
    }
    if (!inside(block, offset, bytes)) {
        fail(site, "%s: %zu bytes at %d are outside shared memory (%zu dynamic bytes)", what, bytes,
             (int)(offset - SHARED_BASE), block->launch->shared_bytes);
    }
    return block->shared + offset;
}

/* ---- Device memory --------------------------------------------------------------------------- */

static std::mutex                  allocations_lock;
static std::map<uintptr_t, size_t> allocations;

void *device_alloc(size_t bytes) {
    void *memory = nullptr;
    if (posix_memalign(&memory, 256, bytes == 0 ? 1 : bytes) != 0) { return nullptr; }
    memset(memory, 0xff, bytes);
    const std::lock_guard<std::mutex> hold(allocations_lock);
    allocations[(uintptr_t)memory] = bytes;
    race_track(memory, bytes);
    return memory;
}

void device_free(void *memory) {
    {
        const std::lock_guard<std::mutex> hold(allocations_lock);
        if (allocations.erase((uintptr_t)memory) == 0) {
            fail(NOWHERE, "free of %p, which is no device memory", memory);
        }
        race_forget(memory);
    }
    free(memory);
}

bool device_owns(const void *pointer, size_t bytes) {
    const std::lock_guard<std::mutex> hold(allocations_lock);
    auto after = allocations.upper_bound((uintptr_t)pointer);
    if (after == allocations.begin()) { return false; }
    const auto &[start, size] = *--after;
    const size_t at           = (uintptr_t)pointer - start;
    return at <= size && bytes <= size - at;
}

} // namespace simt
