/* In place of conformance_hopper.cu where the device is no Hopper; never called there. */
#include "gpu/conformance.h"

void conformance_hopper(conformance *c) {
    c->failures += 1;
}
