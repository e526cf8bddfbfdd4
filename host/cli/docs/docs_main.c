/* docs_main manual|bash|zsh|fish FILE: writes one page of docs.h. Run by the build. */
#include <stdlib.h>
#include <string.h>

#include "cli/docs/docs.h"

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*write)(FILE *out);
    } pages[] = {
        { "manual", ccu_docs_manual },
        { "bash", ccu_docs_bash },
        { "zsh", ccu_docs_zsh },
        { "fish", ccu_docs_fish },
    };
    for (size_t i = 0; argc == 3 && i < sizeof pages / sizeof pages[0]; i++) {
        if (strcmp(argv[1], pages[i].name) != 0) { continue; }
        FILE *out = fopen(argv[2], "w");
        if (out != NULL) { pages[i].write(out); }
        const bool failed = out == NULL || ferror(out) != 0;
        if ((out != NULL && fclose(out) != 0) || failed) {
            perror(argv[2]);
            return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
    }
    (void)fprintf(stderr, "usage: docs_main manual|bash|zsh|fish FILE\n");
    return EXIT_FAILURE;
}
