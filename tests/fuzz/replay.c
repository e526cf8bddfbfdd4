/* Runs one fuzz target over files, without libFuzzer: what the fuzzers once found stays fixed.
 *
 *   replay_NAME FILE_OR_FOLDER...
 *
 * Prints each file's name before it runs, so that a crash names its input. Exit status 1 for a
 * path that cannot be read, for no file at all and for an input that takes more than 10 seconds. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "fuzz/fuzz.h"

#define SECONDS_MAX 10.0

static double seconds_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool run_file(const char *path) {
    FILE *stream = fopen(path, "rb");
    if (stream == NULL) {
        perror(path);
        return false;
    }
    struct stat info;
    bool        good = fstat(fileno(stream), &info) == 0;
    /* As large as the file, so that a sanitizer sees a read behind its end. */
    const size_t bytes = good ? (size_t)info.st_size : 0;
    uint8_t     *data  = malloc(bytes == 0 ? 1 : bytes);
    good = good && data != NULL && (bytes == 0 || fread(data, 1, bytes, stream) == bytes);
    (void)fclose(stream); /* only read */
    if (!good) {
        perror(path);
        free(data);
        return false;
    }
    (void)printf("%s\n", path);
    (void)fflush(stdout); /* before a crash */
    const double start = seconds_now();
    (void)LLVMFuzzerTestOneInput(data, bytes); /* always 0 */
    const double taken = seconds_now() - start;
    free(data);
    if (taken > SECONDS_MAX) {
        (void)fprintf(stderr, "%s: took %.1f s, at most %.0f\n", path, taken, SECONDS_MAX);
        return false;
    }
    return true;
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Adds the files that ran to *count. */
static bool run_path(const char *path, int *count) {
    struct stat info;
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode)) {
        *count += 1;
        return run_file(path);
    }
    struct dirent **items = NULL;
    const int       found = scandir(path, &items, NULL, by_name);
    bool            good  = found >= 0;
    if (!good) { perror(path); }
    for (int i = 0; i < found; i++) {
        char file[4096];
        (void)snprintf(file, sizeof file, "%s/%s", path, items[i]->d_name);
        if (items[i]->d_name[0] != '.') {
            good = run_file(file) && good;
            *count += 1;
        }
        free(items[i]);
    }
    free(items);
    return good;
}

int main(int argc, char **argv) {
    int  count = 0;
    bool good  = true;
    for (int i = 1; i < argc; i++) { good = run_path(argv[i], &count) && good; }
    (void)printf("%d inputs\n", count);
    if (count == 0) { (void)fprintf(stderr, "no input was run\n"); }
    return good && count > 0 ? 0 : 1;
}
