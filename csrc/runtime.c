/* What the kernels need to know of the process: its caches, and how it survives a fork. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fastloss.h"

#if FL_WITH_OPENMP && !defined(_WIN32)
#include <dlfcn.h>
#include <omp.h>
#include <pthread.h>
#endif

/* From Linux's description: sysconf() multiplies the size on some virtual machines. */
ptrdiff_t fl_last_level_cache(void)
{
    ptrdiff_t bytes = 0;
#ifdef __linux__
    for (int index = 2; index <= 3; index++) {
        char path[64], unit = 0;
        long size = 0;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", index);
        FILE *file = fopen(path, "r");
        if (!file) continue;
        if (fscanf(file, "%ld%c", &size, &unit) >= 1)
            bytes = (ptrdiff_t)size << (unit == 'K' ? 10 : unit == 'M' ? 20 : 0);
        fclose(file);
    }
#endif
    return bytes > 0 ? bytes : (ptrdiff_t)32 << 20;
}

/* libgomp's idle workers do not exist in a forked child, but its pool still lists them: the child's first parallel
 * region would wait for them for ever (GCC PR 58378). Giving the pool back before the fork makes the child, and the
 * parent, start a new one when they next need it. libomp has an atfork handler of its own, and the same call would hang
 * inside it; but joblib tells libomp to do without its handler, by a variable that it sets wherever it is imported.
 * Functions are looked up, not linked: libgomp has omp_pause_resource_all from GCC 9 on only. Where nobody cares for the
 * workers, the child computes on one thread.
 *
 * They are looked up in the library that our own OpenMP calls have been bound to. A process may hold several (a wheel
 * brings its own libgomp, and so does torch's), which one was bound depends on what was imported first, and RTLD_DEFAULT
 * may find another one, or with musl, none. */
static int threads_lost;

#if FL_WITH_OPENMP && !defined(_WIN32)
static int (*pause_all)(int);
enum { PAUSE_HARD = 2 };

static void before_fork(void) { pause_all(PAUSE_HARD); }
static void in_child(void) { threads_lost = 1; }

static void in_child_of_libomp(void)
{
    const char *has_handler = getenv("KMP_INIT_AT_FORK");
    if (has_handler && !strchr("1TtYy", has_handler[0])) threads_lost = 1;
}

static void *openmp_library(void)
{
    int (*ours)(void) = omp_get_max_threads;
    void *address, *library = NULL;
    Dl_info info;
    memcpy(&address, &ours, sizeof address);
    if (dladdr(address, &info) && info.dli_fname) library = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    return library ? library : RTLD_DEFAULT; /* RTLD_DEFAULT: linked into the program itself */
}

void fl_survive_fork(void)
{
    static int done;
    if (done++ || getenv("FASTLOSS_NO_ATFORK")) return;
    void *library = openmp_library();
    if (dlsym(library, "kmp_get_blocktime")) {
        pthread_atfork(NULL, NULL, in_child_of_libomp);
        return;
    }
    if (!dlsym(library, "GOMP_parallel")) return;
    *(void **)&pause_all = dlsym(library, "omp_pause_resource_all");
    pthread_atfork(pause_all ? before_fork : NULL, NULL, pause_all ? NULL : in_child);
}
#else
void fl_survive_fork(void) {}
#endif

int fl_threads_lost(void) { return threads_lost; }

/* The floating-point state of a thread: how it rounds, what it makes of subnormal numbers, which exceptions there have been.
 * Workers compute in their caller's, so that results do not depend on which thread they come from; and no call leaves a
 * trace in it. Written only if it differs, for that takes longer than to look. */
#if defined(__x86_64__)
#include <immintrin.h>
uint64_t fl_float_state(void) { return _mm_getcsr(); }
uint64_t fl_set_float_state(uint64_t state)
{
    const uint64_t before = _mm_getcsr();
    if (before != state) _mm_setcsr((unsigned)state);
    return before;
}
#elif defined(__aarch64__)
uint64_t fl_float_state(void)
{
    uint64_t control, status;
    __asm__ volatile("mrs %0, fpcr\n\tmrs %1, fpsr" : "=r"(control), "=r"(status));
    return (control & UINT32_MAX) | status << 32;
}
uint64_t fl_set_float_state(uint64_t state)
{
    const uint64_t before = fl_float_state();
    if (before != state) __asm__ volatile("msr fpcr, %0\n\tmsr fpsr, %1" : : "r"(state & UINT32_MAX), "r"(state >> 32));
    return before;
}
#else
uint64_t fl_float_state(void) { return 0; }
uint64_t fl_set_float_state(uint64_t state) { return state; }
#endif
