/* Defects that threads.sh and valgrind.sh have to notice before what they say of clipcu counts:
 *
 *   planted none           nothing wrong: threads share an array, one part each
 *   planted race           OpenMP's threads add to one sum without a lock
 *   planted thread         a POSIX thread and its maker do
 *   planted leak           memory that nobody frees
 *   planted uninitialised  a decision by a byte that nobody wrote */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 4096

static long run(int shared) {
    long parts[COUNT] = { 0 };
    long sum          = 0;
#pragma omp parallel for num_threads(2)
    for (int i = 0; i < COUNT; i++) { parts[shared ? 0 : i] += i; }
#pragma omp parallel for reduction(+ : sum) num_threads(2)
    for (int i = 0; i < COUNT; i++) { sum += parts[COUNT - 1 - i]; }
    return sum;
}

static void *add(void *sum) {
    for (int i = 0; i < COUNT; i++) { *(long *)sum += i; }
    return NULL;
}

static int run_thread(void) {
    long      sum = 0;
    pthread_t thread;
    if (pthread_create(&thread, NULL, add, &sum) != 0) { return 1; }
    (void)add(&sum);
    (void)pthread_join(thread, NULL);
    (void)printf("%ld\n", sum);
    return 0;
}

static int leak(void) {
    volatile char *memory = malloc(16);
    if (memory == NULL) { return 1; }
    memory[0] = 1;
    (void)printf("%d\n", memory[0]);
    return 0;
}

int main(int argc, char **argv) {
    const char *what = argc == 2 ? argv[1] : "none";
    if (strcmp(what, "uninitialised") == 0) {
        char *memory = malloc(16);
        if (memory == NULL) { return 1; }
        volatile char *bytes = memory; /* or the compiler decides by itself */
        bytes[0]             = 1;
        (void)printf("%s\n", bytes[7] == 3 ? "three" : "not three");
        free(memory);
        return 0;
    }
    if (strcmp(what, "thread") == 0) { return run_thread(); }
    if (strcmp(what, "leak") == 0) { return leak(); }
    (void)printf("%ld\n", run(strcmp(what, "race") == 0));
    return 0;
}
