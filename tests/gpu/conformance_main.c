/* Runs the conformance cases on the device (or the emulator, whichever it is linked with).
 *
 *     conformance simt|hopper GOLDEN     compare with a stored result
 *     conformance simt|hopper            print the result: how GOLDEN is made, by the emulator
 *
 * Exit status 77: hopper, and the device is none. */
#include <string.h>

#include "gpu/conformance.h"

static int run(conformance *c, bool hopper) {
    if (hopper) {
        conformance_hopper(c);
    } else {
        conformance_simt(c);
    }
    if (c->golden != NULL && conformance_golden_cases(c) != c->cases) {
        c->failures += 1;
        printf("the golden file has %d cases, %d ran\n", conformance_golden_cases(c), c->cases);
    }
    return c->failures > 0;
}

int main(int argc, char **argv) {
    static conformance c;
    clipcu_error       error  = { 0 };
    const bool         hopper = argc > 1 && strcmp(argv[1], "hopper") == 0;
    if (argc < 2 || argc > 3 || (!hopper && strcmp(argv[1], "simt") != 0)) {
        (void)fprintf(stderr, "usage: %s simt|hopper [GOLDEN]\n", argv[0]);
        return 2;
    }
    if (argc == 3) {
        c.golden = fopen(argv[2], "r");
        if (c.golden == NULL) {
            perror(argv[2]);
            return 2;
        }
    }
    c.print = stdout;
    int status = 1;
    if (ccu_device_open(0, NULL, &c.device, &error) != CLIPCU_OK) {
        printf("%s\n", error.text);
    } else {
        const ccu_device_facts *facts = ccu_device_facts_of(c.device);
        ccu_device_enter(c.device);
        status = hopper && facts->capability != 90 ? 77 : run(&c, hopper);
        if (status == 77) {
            printf("conformance hopper: skipped on %s (sm_%d)\n", facts->name, facts->capability);
        } else if (c.golden != NULL) {
            printf("conformance %s on %s: %d cases, %d failures\n", argv[1], facts->name, c.cases,
                   c.failures);
        }
        ccu_device_leave(c.device);
        ccu_device_close(c.device);
    }
    if (c.golden != NULL) { (void)fclose(c.golden); }
    return status;
}
