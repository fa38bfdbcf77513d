/* What the kernels need to know of the process: its caches, and how it survives a fork. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

#include "fastloss.h"

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>
#endif

/* From the kernel's description: sysconf() multiplies the size on some virtual machines. */
ptrdiff_t fl_last_level_cache(void)
{
    ptrdiff_t bytes = 0;
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
    return bytes > 0 ? bytes : (ptrdiff_t)32 << 20;
}

/* libgomp's idle workers do not exist in a forked child, but its pool still lists them: the child's first parallel
 * region would wait for them for ever (GCC PR 58378). Giving the pool back before the fork makes the child, and the
 * parent, start a new one when they next need it. libomp has an atfork handler of its own, and the same call would hang
 * inside it. Functions are looked up, not linked: libgomp has omp_pause_resource_all from GCC 9 on only, and a build
 * without OpenMP has none. Where there is no such function, the child computes on one thread. */
static int threads_lost;

#if defined(__unix__) || defined(__APPLE__)
static int (*pause_all)(int);
enum { PAUSE_HARD = 2 };

static void before_fork(void) { pause_all(PAUSE_HARD); }
static void in_child(void) { threads_lost = 1; }

void fl_survive_fork(void)
{
    static int done;
    if (done++ || getenv("FASTLOSS_NO_ATFORK")) return;
    if (dlsym(RTLD_DEFAULT, "kmp_get_blocktime") || !dlsym(RTLD_DEFAULT, "GOMP_parallel")) return;
    *(void **)&pause_all = dlsym(RTLD_DEFAULT, "omp_pause_resource_all");
    pthread_atfork(pause_all ? before_fork : NULL, NULL, pause_all ? NULL : in_child);
}
#else
void fl_survive_fork(void) {}
#endif

int fl_threads_lost(void) { return threads_lost; }
