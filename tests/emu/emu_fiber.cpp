/* Stacks and the switch between them: six registers by hand on x86-64, ucontext elsewhere (its
 * switch is a system call). */
#include <stdio.h>
#include <stdlib.h>

#include <sys/mman.h>

#include "emu/emu.h"

#if EMU_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__x86_64__) && !defined(EMU_UCONTEXT)
#define EMU_UCONTEXT 0
#else
#undef EMU_UCONTEXT
#define EMU_UCONTEXT 1
#include <ucontext.h>
#endif

namespace simt {

static constexpr size_t STACK_BYTES = (size_t)256 << 10;
static constexpr size_t GUARD_BYTES = 4096;

/* Who switched last on this OS thread: a fiber that starts learns from it where it came from. */
static __thread Fiber *switched_from;

static char *map_stack() {
    void *stack = mmap(nullptr, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED || mprotect(stack, GUARD_BYTES, PROT_NONE) != 0) {
        fail(NOWHERE, "no memory for the stack of an emulated thread");
    }
    return (char *)stack + GUARD_BYTES;
}

#if EMU_UCONTEXT

void fiber_make(Fiber *fiber, void (*entry)()) {
    ucontext_t *context = new ucontext_t;
    fiber->stack        = map_stack();
    fiber->stack_bytes  = STACK_BYTES;
    getcontext(context);
    context->uc_stack.ss_sp   = const_cast<void *>(fiber->stack);
    context->uc_stack.ss_size = STACK_BYTES;
    context->uc_link          = nullptr;
    makecontext(context, entry, 0);
    fiber->stack_pointer = context;
}

static void switch_stack(Fiber *from, Fiber *to) {
    if (from->stack_pointer == nullptr) { from->stack_pointer = new ucontext_t; }
    swapcontext((ucontext_t *)from->stack_pointer, (ucontext_t *)to->stack_pointer);
}

#else

/* System V: rbp, rbx and r12 to r15 survive a call. */
asm(".text\n"
    ".type emu_switch_stack, @function\n"
    "emu_switch_stack:\n"
    "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n    pushq %r13\n    pushq %r14\n"
    "    pushq %r15\n"
    "    movq %rsp, (%rdi)\n"
    "    movq %rsi, %rsp\n"
    "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbx\n    popq %rbp\n"
    "    ret\n"
    ".size emu_switch_stack, . - emu_switch_stack\n");

extern "C" void emu_switch_stack(void **save, void *to);

/* Stacks start at different cache sets: 256 KiB apart, all tops would share one. */
void fiber_make(Fiber *fiber, void (*entry)()) {
    static __thread unsigned made;
    const size_t             colour = made++ % 61 * 832;
    char                    *stack  = map_stack();
    void                   **top    = (void **)(stack + STACK_BYTES - colour);
    *--top = nullptr; /* the entry's own return address, never used */
    *--top = (void *)entry;
    for (int i = 0; i < 6; i++) { *--top = nullptr; }
    fiber->stack         = stack;
    fiber->stack_bytes   = STACK_BYTES;
    fiber->stack_pointer = top;
}

static void switch_stack(Fiber *from, Fiber *to) {
    emu_switch_stack(&from->stack_pointer, to->stack_pointer);
}

#endif

void fiber_switch(Fiber *from, Fiber *to) {
    switched_from = from;
#if EMU_ASAN
    __sanitizer_start_switch_fiber(&from->sanitizer, to->stack, to->stack_bytes);
#endif
    switch_stack(from, to);
#if EMU_ASAN
    __sanitizer_finish_switch_fiber(from->sanitizer, nullptr, nullptr);
#endif
}

void fiber_started() {
#if EMU_ASAN
    const void *stack;
    size_t      bytes;
    __sanitizer_finish_switch_fiber(nullptr, &stack, &bytes);
    if (switched_from->stack == nullptr) { /* the OS thread: it is switched back to */
        switched_from->stack       = stack;
        switched_from->stack_bytes = bytes;
    }
#endif
}

} // namespace simt
