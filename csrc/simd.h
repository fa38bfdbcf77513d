/* A vector of reals as wide as the instruction set has it, and the few operations that C has no operator for.
 *
 * `vreal` is a GCC/Clang vector type: + - * / and, on `vint`, shifts and integer arithmetic are plain C. All
 * functions round as IEEE 754 says, so that a width changes no result; `fmadd` is fused wherever the instruction
 * set has it. Sums run over LANES logical lanes on every instruction set, whatever the width.
 */
#ifndef FASTLOSS_SIMD_H
#define FASTLOSS_SIMD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

#if FL_REAL == 32
typedef float real;
typedef int32_t real_int;
typedef uint32_t real_uint;
#else
typedef double real;
typedef int64_t real_int;
typedef uint64_t real_uint;
#endif

enum { LANES = 64 / sizeof(real) };

/* for what every loss shares: one copy, called once a tile */
#define SHARED static __attribute__((noinline))

#define CACHE_ALIGNED __attribute__((aligned(64)))

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#include <immintrin.h>
#define VECTOR_BYTES 64
#if FL_REAL == 32
#define OP(name) PASTE(_mm512_, PASTE(name, _ps))
#define COMPARE(a, b, how) _mm512_cmp_ps_mask(a, b, how)
#define SELECT(m, a, b) _mm512_mask_blend_ps(m, b, a)
typedef __mmask16 vmask;
#else
#define OP(name) PASTE(_mm512_, PASTE(name, _pd))
#define COMPARE(a, b, how) _mm512_cmp_pd_mask(a, b, how)
#define SELECT(m, a, b) _mm512_mask_blend_pd(m, b, a)
typedef __mmask8 vmask;
#endif
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define VECTOR_BYTES 32
#if FL_REAL == 32
#define OP(name) PASTE(_mm256_, PASTE(name, _ps))
#else
#define OP(name) PASTE(_mm256_, PASTE(name, _pd))
#endif
#define COMPARE(a, b, how) OP(cmp)(a, b, how)
#define SELECT(m, a, b) OP(blendv)(b, a, m)
#define MASK_IS_VECTOR
#elif defined(__SSE2__)
#include <emmintrin.h>
#define VECTOR_BYTES 16
#if FL_REAL == 32
#define OP(name) PASTE(_mm_, PASTE(name, _ps))
#else
#define OP(name) PASTE(_mm_, PASTE(name, _pd))
#endif
#define MASK_IS_VECTOR
#else /* NEON, and anything else: the compiler's own vectors */
#define VECTOR_BYTES 16
#if defined(__aarch64__)
#include <arm_neon.h>
#endif
#endif

typedef real vreal __attribute__((vector_size(VECTOR_BYTES)));
#ifdef MASK_IS_VECTOR
typedef vreal vmask;
#endif

enum { WIDTH = VECTOR_BYTES / sizeof(real), GROUP = LANES / WIDTH };

typedef real_int vint __attribute__((vector_size(VECTOR_BYTES)));
typedef real vreal_unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));
typedef real_int vint_unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));

ALWAYS_INLINE vreal load(const real *p) { return (vreal) * (const vreal_unaligned *)p; }
ALWAYS_INLINE void store(real *p, vreal v) { *(vreal_unaligned *)p = (vreal_unaligned)v; }
ALWAYS_INLINE vint load_int(const real_int *p) { return (vint) * (const vint_unaligned *)p; }
ALWAYS_INLINE void store_int(real_int *p, vint v) { *(vint_unaligned *)p = (vint_unaligned)v; }
ALWAYS_INLINE vreal splat(real x) { return x - (vreal){0}; }
#define ZERO splat(0)
#define ONE splat(1)
#define UNIFORM(x) splat((real)(x))
ALWAYS_INLINE vint splat_int(real_int x) { return x - (vint){0}; }
#if VECTOR_BYTES == 64 && FL_REAL == 32
#define LANE_NUMBERS ((vint){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
#elif VECTOR_BYTES * 8 / FL_REAL == 8
#define LANE_NUMBERS ((vint){0, 1, 2, 3, 4, 5, 6, 7})
#elif VECTOR_BYTES * 8 / FL_REAL == 4
#define LANE_NUMBERS ((vint){0, 1, 2, 3})
#else
#define LANE_NUMBERS ((vint){0, 1})
#endif
ALWAYS_INLINE vint bits_of(vreal x) { return (vint)x; }
ALWAYS_INLINE vreal from_bits(vint x) { return (vreal)x; }

#define SIGN_BIT splat_int((real_int)((real_uint)1 << (8 * sizeof(real) - 1)))
ALWAYS_INLINE vreal vabs(vreal x) { return from_bits(bits_of(x) & ~SIGN_BIT); }
ALWAYS_INLINE vreal with_sign_of(vreal magnitude, vreal sign)
{
    return from_bits(bits_of(magnitude) | (bits_of(sign) & SIGN_BIT));
}

#if defined(COMPARE)
/* max and min return b where a or b is nan */
ALWAYS_INLINE vreal vmax(vreal a, vreal b) { return OP(max)(a, b); }
ALWAYS_INLINE vreal vmin(vreal a, vreal b) { return OP(min)(a, b); }
ALWAYS_INLINE vreal fmadd(vreal a, vreal b, vreal c) { return OP(fmadd)(a, b, c); }
ALWAYS_INLINE vmask lt(vreal a, vreal b) { return COMPARE(a, b, _CMP_LT_OQ); }
ALWAYS_INLINE vmask le(vreal a, vreal b) { return COMPARE(a, b, _CMP_LE_OQ); }
ALWAYS_INLINE vmask eq(vreal a, vreal b) { return COMPARE(a, b, _CMP_EQ_OQ); }
ALWAYS_INLINE vreal choose(vmask m, vreal a, vreal b) { return SELECT(m, a, b); }
#if VECTOR_BYTES == 64
ALWAYS_INLINE vmask both(vmask a, vmask b) { return (vmask)(a & b); }
ALWAYS_INLINE vmask either(vmask a, vmask b) { return (vmask)(a | b); }
ALWAYS_INLINE int all_true(vmask m) { return m == (vmask)((1u << WIDTH) - 1); }
ALWAYS_INLINE int any_true(vmask m) { return m != 0; }
#if FL_REAL == 32
ALWAYS_INLINE vmask eq_int(vint a, vint b) { return _mm512_cmpeq_epi32_mask((__m512i)a, (__m512i)b); }
#else
ALWAYS_INLINE vmask eq_int(vint a, vint b) { return _mm512_cmpeq_epi64_mask((__m512i)a, (__m512i)b); }
#endif
#else
ALWAYS_INLINE vmask both(vmask a, vmask b) { return OP(and)(a, b); }
ALWAYS_INLINE vmask either(vmask a, vmask b) { return OP(or)(a, b); }
ALWAYS_INLINE int all_true(vmask m) { return OP(movemask)(m) == (1 << WIDTH) - 1; }
ALWAYS_INLINE int any_true(vmask m) { return OP(movemask)(m) != 0; }
ALWAYS_INLINE vmask eq_int(vint a, vint b) { return (vmask)(a == b); }
#endif
ALWAYS_INLINE void stream(real *aligned, vreal v) { OP(stream)(aligned, v); }
ALWAYS_INLINE void stream_end(void) { _mm_sfence(); }
#elif defined(__SSE2__)
ALWAYS_INLINE vreal vmax(vreal a, vreal b) { return OP(max)(a, b); }
ALWAYS_INLINE vreal vmin(vreal a, vreal b) { return OP(min)(a, b); }
#define NOT_FUSED
ALWAYS_INLINE vreal fmadd(vreal a, vreal b, vreal c) { return a * b + c; } /* no fused one before x86-64-v3 */
ALWAYS_INLINE vmask lt(vreal a, vreal b) { return OP(cmplt)(a, b); }
ALWAYS_INLINE vmask le(vreal a, vreal b) { return OP(cmple)(a, b); }
ALWAYS_INLINE vmask eq(vreal a, vreal b) { return OP(cmpeq)(a, b); }
ALWAYS_INLINE vreal choose(vmask m, vreal a, vreal b) { return OP(or)(OP(and)(m, a), OP(andnot)(m, b)); }
ALWAYS_INLINE vmask both(vmask a, vmask b) { return OP(and)(a, b); }
ALWAYS_INLINE vmask either(vmask a, vmask b) { return OP(or)(a, b); }
ALWAYS_INLINE int all_true(vmask m) { return OP(movemask)(m) == (1 << WIDTH) - 1; }
ALWAYS_INLINE int any_true(vmask m) { return OP(movemask)(m) != 0; }
ALWAYS_INLINE vmask eq_int(vint a, vint b) { return (vmask)(a == b); }
ALWAYS_INLINE void stream(real *aligned, vreal v) { OP(stream)(aligned, v); }
ALWAYS_INLINE void stream_end(void) { _mm_sfence(); }
#else
typedef vint vmask;
ALWAYS_INLINE vmask lt(vreal a, vreal b) { return (vmask)(a < b); }
ALWAYS_INLINE vmask le(vreal a, vreal b) { return (vmask)(a <= b); }
ALWAYS_INLINE vmask eq(vreal a, vreal b) { return (vmask)(a == b); }
ALWAYS_INLINE vmask eq_int(vint a, vint b) { return (vmask)(a == b); }
ALWAYS_INLINE vmask both(vmask a, vmask b) { return a & b; }
ALWAYS_INLINE vmask either(vmask a, vmask b) { return a | b; }
ALWAYS_INLINE vreal choose(vmask m, vreal a, vreal b) { return from_bits((m & bits_of(a)) | (~m & bits_of(b))); }
ALWAYS_INLINE vreal vmax(vreal a, vreal b) { return choose(lt(b, a), a, b); }
ALWAYS_INLINE vreal vmin(vreal a, vreal b) { return choose(lt(a, b), a, b); }
ALWAYS_INLINE int any_true(vmask m)
{
    for (int i = 0; i < WIDTH; i++)
        if (m[i]) return 1;
    return 0;
}
ALWAYS_INLINE int all_true(vmask m) { return !any_true(~m); }
#if defined(__aarch64__) && FL_REAL == 32
ALWAYS_INLINE vreal fmadd(vreal a, vreal b, vreal c) { return vfmaq_f32(c, a, b); }
#elif defined(__aarch64__)
ALWAYS_INLINE vreal fmadd(vreal a, vreal b, vreal c) { return vfmaq_f64(c, a, b); }
#else
#define NOT_FUSED
ALWAYS_INLINE vreal fmadd(vreal a, vreal b, vreal c) { return a * b + c; }
#endif
ALWAYS_INLINE void stream(real *aligned, vreal v) { store(aligned, v); }
ALWAYS_INLINE void stream_end(void) {}
#endif

#if !defined(COMPARE) && !defined(__SSE2__)
ALWAYS_INLINE vreal vsqrt(vreal x)
{
    for (int i = 0; i < WIDTH; i++) x[i] = FL_REAL == 32 ? __builtin_sqrtf((float)x[i]) : (real)__builtin_sqrt(x[i]);
    return x;
}
#else
ALWAYS_INLINE vreal vsqrt(vreal x) { return OP(sqrt)(x); }
#endif

#if FL_REAL == 32 && VECTOR_BYTES == 64
#define HAVE_HALVES
ALWAYS_INLINE vreal load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
ALWAYS_INLINE void store_f16(uint16_t *p, vreal x)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
#elif FL_REAL == 32 && defined(__F16C__)
#define HAVE_HALVES
ALWAYS_INLINE vreal load_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
ALWAYS_INLINE void store_f16(uint16_t *p, vreal x)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}
#endif

ALWAYS_INLINE void prefetch(const void *p) { __builtin_prefetch(p, 0, 3); }
ALWAYS_INLINE void prefetch_far(const void *p) { __builtin_prefetch(p, 0, 2); } /* into the second level */

/* table[index % 16] in each lane; the table is CACHE_ALIGNED. */
ALWAYS_INLINE vreal look_up_16(const real *table, vint index)
{
#if VECTOR_BYTES == 64 && FL_REAL == 32
    return _mm512_permutexvar_ps((__m512i)index, load(table));
#elif VECTOR_BYTES == 64
    return _mm512_permutex2var_pd(load(table), (__m512i)index, load(table + 8));
#elif VECTOR_BYTES == 32 && FL_REAL == 32
    vreal low = _mm256_permutevar8x32_ps(load(table), (__m256i)index);
    vreal high = _mm256_permutevar8x32_ps(load(table + 8), (__m256i)index);
    return _mm256_blendv_ps(low, high, (vreal)(index << 28)); /* by the sign bit */
#elif VECTOR_BYTES == 32
    const vint at = index & 15; /* four loads take less than half of the time of a gather */
    return (vreal){table[at[0]], table[at[1]], table[at[2]], table[at[3]]};
#else
    vreal result = {0};
    for (int i = 0; i < WIDTH; i++) result[i] = table[index[i] & 15];
    return result;
#endif
}

#if VECTOR_BYTES == 32 && FL_REAL == 32
#define FIRST_HALF_ONES -1, -1, -1, -1, -1, -1, -1, -1
#elif VECTOR_BYTES == 32
#define FIRST_HALF_ONES -1, -1, -1, -1
#endif

/* The first `count` <= WIDTH elements, `otherwise` in the lanes beyond, which are not read. */
ALWAYS_INLINE vreal load_some_or(const real *p, ptrdiff_t count, real otherwise)
{
    if (count == WIDTH) return load(p);
#if VECTOR_BYTES == 64 && FL_REAL == 32
    return _mm512_mask_loadu_ps(splat(otherwise), (__mmask16)((1u << count) - 1), p);
#elif VECTOR_BYTES == 64
    return _mm512_mask_loadu_pd(splat(otherwise), (__mmask8)((1u << count) - 1), p);
#elif VECTOR_BYTES == 32
    static const real_int ones_then_zeros[2 * WIDTH] = {FIRST_HALF_ONES};
    __m256i mask = (__m256i)load_int(ones_then_zeros + WIDTH - count);
    return choose((vreal)mask, OP(maskload)(p, mask), splat(otherwise));
#else
    CACHE_ALIGNED real padded[WIDTH];
    for (ptrdiff_t i = 0; i < WIDTH; i++) padded[i] = i < count ? p[i] : otherwise;
    return load(padded);
#endif
}

/* The first n lanes, 0 beyond; n may be negative. */
ALWAYS_INLINE vreal first_lanes(vreal x, ptrdiff_t n)
{
    CACHE_ALIGNED real lane[WIDTH];
    store(lane, x);
    for (ptrdiff_t i = n > 0 ? n : 0; i < WIDTH; i++) lane[i] = 0;
    return load(lane);
}

#if FL_REAL == 32
/* Half a vector of floats as doubles. */
typedef double vdouble __attribute__((vector_size(VECTOR_BYTES)));
#if VECTOR_BYTES == 64
ALWAYS_INLINE vdouble low_half(vreal x) { return _mm512_cvtps_pd(_mm512_castps512_ps256(x)); }
ALWAYS_INLINE vdouble high_half(vreal x) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1)); }
#elif VECTOR_BYTES == 32
ALWAYS_INLINE vdouble low_half(vreal x) { return _mm256_cvtps_pd(_mm256_castps256_ps128(x)); }
ALWAYS_INLINE vdouble high_half(vreal x) { return _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)); }
#elif defined(__SSE2__)
ALWAYS_INLINE vdouble low_half(vreal x) { return _mm_cvtps_pd(x); }
ALWAYS_INLINE vdouble high_half(vreal x) { return _mm_cvtps_pd(_mm_movehl_ps(x, x)); }
#else
ALWAYS_INLINE vdouble low_half(vreal x) { return (vdouble){x[0], x[1]}; }
ALWAYS_INLINE vdouble high_half(vreal x) { return (vdouble){x[2], x[3]}; }
#endif
#endif

/* LANES logical lanes to one number. The sum is taken in double and in halves, the same order on every width. */
#if VECTOR_BYTES == 64 && FL_REAL == 32
ALWAYS_INLINE double sum_lanes(const vreal *v)
{
    __m512d eight = _mm512_cvtps_pd(_mm512_castps512_ps256(v[0])) + _mm512_cvtps_pd(_mm512_extractf32x8_ps(v[0], 1));
    __m256d four = _mm512_castpd512_pd256(eight) + _mm512_extractf64x4_pd(eight, 1);
    __m128d two = _mm256_castpd256_pd128(four) + _mm256_extractf128_pd(four, 1);
    return two[0] + two[1];
}
#elif VECTOR_BYTES == 64
ALWAYS_INLINE double sum_lanes(const vreal *v)
{
    __m256d four = _mm512_castpd512_pd256(v[0]) + _mm512_extractf64x4_pd(v[0], 1);
    __m128d two = _mm256_castpd256_pd128(four) + _mm256_extractf128_pd(four, 1);
    return two[0] + two[1];
}
#elif VECTOR_BYTES == 32 && FL_REAL == 32
ALWAYS_INLINE double sum_lanes(const vreal *v)
{
    __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(v[0])) + _mm256_cvtps_pd(_mm256_castps256_ps128(v[1]));
    __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(v[0], 1)) + _mm256_cvtps_pd(_mm256_extractf128_ps(v[1], 1));
    __m256d four = low + high;
    __m128d two = _mm256_castpd256_pd128(four) + _mm256_extractf128_pd(four, 1);
    return two[0] + two[1];
}
#elif VECTOR_BYTES == 32
ALWAYS_INLINE double sum_lanes(const vreal *v)
{
    __m256d four = v[0] + v[1];
    __m128d two = _mm256_castpd256_pd128(four) + _mm256_extractf128_pd(four, 1);
    return two[0] + two[1];
}
#else
ALWAYS_INLINE double sum_lanes(const vreal *v)
{
    double half[LANES / 2];
    for (int i = 0; i < LANES / 2; i++)
        half[i] = (double)v[i / WIDTH][i % WIDTH] + (double)v[(i + LANES / 2) / WIDTH][(i + LANES / 2) % WIDTH];
    for (int n = LANES / 4; n; n /= 2)
        for (int i = 0; i < n; i++) half[i] += half[i + n];
    return half[0];
}
#endif

ALWAYS_INLINE real largest_lane(const vreal *v)
{
#if VECTOR_BYTES == 64
    return OP(reduce_max)(v[0]);
#else
    vreal most = v[0];
    for (int g = 1; g < GROUP; g++) most = vmax(v[g], most);
    real result = most[0];
    for (int i = 1; i < WIDTH; i++) result = most[i] > result ? most[i] : result;
    return result;
#endif
}

#endif
