/* How near the search of saved embeddings comes to reading the file at all:
 *
 *   search_bench FILE.npy [THREADS [ROUNDS]]
 *
 * Each round times, one after the other and with as many threads: the sum of the file's words, a
 * copy of it into a small buffer, and searches for 1, 4 and 32 queries; and once more for 1 query
 * through a fresh mapping, as a command that runs once sees it, beside the sum through one.
 *
 * "The read" that every way is held against is the best round of the faster of sum and copy: the
 * same mapping, chunks and threads, so the most that anything could get out of this file in memory.
 * Prints best and median of the rounds; on a machine that does other work too, only the best of
 * many rounds means anything. bench/README.md says how to make a file. */
#define _GNU_SOURCE /* madvise */
#include <clipcu.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 99
#define TOP 10
#define CHUNK ((size_t)4 << 20)
#define SMALL ((size_t)64 << 10)
#define WAYS 7

static const char *const names[WAYS] = { "sum of words", "copy",       "1 query",
                                         "4 queries",    "32 queries", "sum, fresh mapping",
                                         "1 query, fresh mapping" };

typedef struct bench {
    const char    *path;
    int            fd;
    const uint8_t *data; /* the mapped file */
    size_t         bytes;
    clipcu_index  *index;
    float         *queries; /* (32, E) */
    clipcu_hit     hits[32 * TOP];
    int32_t        threads;
    uint64_t       sink; /* so that nothing is optimised away */
} bench;

static double seconds(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static uint64_t sum_words(const uint8_t *data, size_t bytes) {
    uint64_t sum[4] = { 0, 0, 0, 0 };
    for (size_t i = 0; i + 32 <= bytes; i += 32) {
        uint64_t words[4];
        memcpy(words, data + i, sizeof words);
        for (int k = 0; k < 4; k++) { sum[k] += words[k]; }
    }
    return sum[0] ^ sum[1] ^ sum[2] ^ sum[3];
}

static uint64_t copy_all(const uint8_t *data, size_t bytes) {
    uint8_t  buffer[SMALL];
    uint64_t seen = 0;
    for (size_t i = 0; i < bytes; i += SMALL) {
        memcpy(buffer, data + i, bytes - i < SMALL ? bytes - i : SMALL);
        __asm__ volatile("" : : "r"(buffer) : "memory"); /* the copy is wanted */
        seen += buffer[0];
    }
    return seen;
}

static void read_all(bench *b, const uint8_t *data, uint64_t (*read)(const uint8_t *, size_t)) {
    const int64_t chunks = (int64_t)((b->bytes + CHUNK - 1) / CHUNK);
    uint64_t      sink   = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads(b->threads) reduction(+ : sink)
    for (int64_t i = 0; i < chunks; i++) {
        const size_t at = (size_t)i * CHUNK;
        sink += read(data + at, b->bytes - at < CHUNK ? b->bytes - at : CHUNK);
    }
    b->sink += sink;
}

static int search(bench *b, const clipcu_index *index, int32_t count) {
    clipcu_error error;
    if (clipcu_index_search(index, b->queries, count, TOP, b->threads, b->hits, &error) ==
        CLIPCU_OK) {
        return 0;
    }
    fprintf(stderr, "%s\n", error.text);
    return 1;
}

/* As the index does it; NULL: it cannot. */
static uint8_t *map(const bench *b) {
    void *data = mmap(NULL, b->bytes, PROT_READ, MAP_PRIVATE, b->fd, 0);
    if (data == MAP_FAILED) { return NULL; }
    (void)madvise(data, b->bytes, MADV_SEQUENTIAL);
    return data;
}

static int sum_fresh(bench *b) {
    uint8_t *data = map(b);
    if (data == NULL) { return 1; }
    read_all(b, data, sum_words);
    return munmap(data, b->bytes);
}

static int search_fresh(bench *b) {
    clipcu_error  error;
    clipcu_index *index = NULL;
    if (clipcu_index_open(b->path, &index, &error) != CLIPCU_OK) { return 1; }
    const int failed = search(b, index, 1);
    clipcu_index_close(index);
    return failed;
}

static int run_way(bench *b, int way) {
    switch (way) {
    case 0: read_all(b, b->data, sum_words); return 0;
    case 1: read_all(b, b->data, copy_all); return 0;
    case 2: return search(b, b->index, 1);
    case 3: return search(b, b->index, 4);
    case 4: return search(b, b->index, 32);
    case 5: return sum_fresh(b);
    default: return search_fresh(b);
    }
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int open_bench(bench *b) {
    clipcu_error error;
    struct stat  info;
    b->fd = open(b->path, O_RDONLY);
    if (b->fd < 0 || fstat(b->fd, &info) != 0 ||
        clipcu_index_open(b->path, &b->index, &error) != CLIPCU_OK) {
        fprintf(stderr, "%s: cannot open\n", b->path);
        return 1;
    }
    b->bytes = (size_t)info.st_size;
    b->data  = map(b);
    if (b->data == NULL) { return 1; }
    const size_t count = 32 * (size_t)clipcu_index_embed_dim(b->index);
    uint64_t     state = 88172645463325252u;
    b->queries         = malloc(count * sizeof *b->queries);
    for (size_t i = 0; b->queries != NULL && i < count; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b->queries[i] = (float)((double)(state >> 11) / 9007199254740992.0 - 0.5);
    }
    return b->queries == NULL;
}

static void print(const bench *b, double times[WAYS][ROUNDS_MAX], int rounds) {
    for (int way = 0; way < WAYS; way++) {
        qsort(times[way], (size_t)rounds, sizeof times[way][0], by_size);
    }
    const double read = times[0][0] < times[1][0] ? times[0][0] : times[1][0];
    printf("%s: %lld x %d, %d threads, %d rounds\n", b->path,
           (long long)clipcu_index_count(b->index), (int)clipcu_index_embed_dim(b->index),
           (int)b->threads, rounds);
    for (int way = 0; way < WAYS; way++) {
        const double best = times[way][0];
        printf("%-24s best %8.1f ms %6.2f GB/s %6.1f %% of the read, median %8.1f ms\n",
               names[way], 1e3 * best, 1e-9 * (double)b->bytes / best, 100.0 * read / best,
               1e3 * times[way][rounds / 2]);
    }
}

int main(int argc, char **argv) {
    bench  b = { .path = argc > 1 ? argv[1] : "" };
    double times[WAYS][ROUNDS_MAX];
    int    rounds = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 9;
    b.threads     = argc > 2 ? (int32_t)strtol(argv[2], NULL, 10) : 1;
    if (argc < 2 || rounds < 1 || rounds > ROUNDS_MAX || b.threads < 1) {
        fprintf(stderr, "search_bench FILE.npy [THREADS [ROUNDS]]\n");
        return 1;
    }
    if (open_bench(&b) != 0) { return 1; }
    for (int round = -1; round < rounds; round++) { /* the first warms up and is not counted */
        for (int way = 0; way < WAYS; way++) {
            const double started = seconds();
            if (run_way(&b, way) != 0) { return 1; }
            if (round >= 0) { times[way][round] = seconds() - started; }
        }
    }
    print(&b, times, rounds);
    printf("(%llx)\n", (unsigned long long)b.sink);
    clipcu_index_close(b.index);
    (void)close(b.fd); /* was only read */
    free(b.queries);
    return 0;
}
