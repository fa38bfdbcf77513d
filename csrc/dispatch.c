/* Which tables of kernels were built, and which of them this processor can run. Compiled without any wide flags. */
#include <string.h>

#include "fastloss.h"

#define DECLARE(isa) extern const fl_kernels fl_kernels_##isa##_f32, fl_kernels_##isa##_f64;
#define TABLES(isa) {#isa, runs_##isa, &fl_kernels_##isa##_f32, &fl_kernels_##isa##_f64},

#if defined(FL_HAVE_x86_v3) || defined(FL_HAVE_x86_v4)
#include <cpuid.h>

/* By CPUID and not __builtin_cpu_supports, whose table is in a library that clang-cl does not link. */
static int has_all(unsigned int ebx7, unsigned int ecx1, unsigned int registers)
{
    unsigned int a, b, c, d, saved;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & (ecx1 | bit_OSXSAVE)) != (ecx1 | bit_OSXSAVE)) return 0;
    __asm__ volatile("xgetbv" : "=a"(saved), "=d"(d) : "c"(0)); /* those that the operating system saves */
    return (saved & registers) == registers && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & ebx7) == ebx7;
}

#define V3 (bit_AVX2 | bit_BMI | bit_BMI2)
#define V3_ECX (bit_FMA | bit_F16C)
#define V4 (V3 | bit_AVX512F | bit_AVX512DQ | bit_AVX512CD | bit_AVX512BW | bit_AVX512VL)
enum { XMM_YMM = 0x06, XMM_YMM_ZMM = 0xe6 }; /* 512-bit registers and their masks, too */
#endif

#ifdef FL_HAVE_x86_v4
DECLARE(x86_v4)
static int runs_x86_v4(void) { return has_all(V4, V3_ECX, XMM_YMM_ZMM); }
#endif
#ifdef FL_HAVE_x86_v3
DECLARE(x86_v3)
static int runs_x86_v3(void) { return has_all(V3, V3_ECX, XMM_YMM); }
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
