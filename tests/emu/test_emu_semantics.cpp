/* The emulator's instructions against their definitions; the kernels are in semantics*.cu. */
#include "emu/semantics.h"

int main() {
    return semantics_of_warps() + semantics_of_wgmma() + semantics_of_tma() +
               semantics_of_mbarriers() != 0;
}
