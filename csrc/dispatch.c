/* Which tables of kernels were built, and which of them this processor can run. Compiled without any wide flags. */
#include <string.h>

#include "fastloss.h"

#define DECLARE(isa) extern const fl_kernels fl_kernels_##isa##_f32, fl_kernels_##isa##_f64;
#define TABLES(isa) {#isa, runs_##isa, &fl_kernels_##isa##_f32, &fl_kernels_##isa##_f64},

#ifdef FL_HAVE_x86_v4
DECLARE(x86_v4)
/* __builtin_cpu_supports asks whether the operating system saves the registers, too. */
static int runs_x86_v4(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}
#endif
#ifdef FL_HAVE_x86_v3
DECLARE(x86_v3)
static int runs_x86_v3(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
}
#endif
#ifdef FL_HAVE_neon
DECLARE(neon)
static int runs_neon(void) { return 1; } /* part of every aarch64 */
#endif
#ifdef FL_HAVE_baseline
DECLARE(baseline)
static int runs_baseline(void) { return 1; }
#endif

static const struct {
    const char *isa;
    int (*runs)(void);
    const fl_kernels *f32, *f64;
} tables[] = { /* best first */
#ifdef FL_HAVE_x86_v4
              TABLES(x86_v4)
#endif
#ifdef FL_HAVE_x86_v3
                  TABLES(x86_v3)
#endif
#ifdef FL_HAVE_neon
                      TABLES(neon)
#endif
#ifdef FL_HAVE_baseline
                          TABLES(baseline)
#endif
};

enum { N_TABLES = sizeof tables / sizeof *tables };

const char *fl_isa(int index)
{
    for (int i = 0; i < N_TABLES; i++)
        if (tables[i].runs() && index-- == 0) return tables[i].isa;
    return NULL;
}

const fl_kernels *fl_select(const char *isa, int real_bits)
{
    for (int i = 0; i < N_TABLES; i++)
        if (!strcmp(isa, tables[i].isa))
            return !tables[i].runs() ? NULL : real_bits == 32 ? tables[i].f32 : tables[i].f64;
    return NULL;
}
