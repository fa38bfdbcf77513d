/* Arrays as they are stored, of any element type and stride, to and from tiles of reals. */
#ifndef FASTLOSS_STORED_H
#define FASTLOSS_STORED_H

#include <stdint.h>

#include "fastloss.h"
#include "simd.h"

#define REAL_TYPE (FL_REAL == 32 ? FL_F32 : FL_F64)

#define FOR_EACH_INTEGER_TYPE(CASE) \
    CASE(FL_BOOL, uint8_t)          \
    CASE(FL_I8, int8_t)             \
    CASE(FL_U8, uint8_t)            \
    CASE(FL_I16, int16_t)           \
    CASE(FL_U16, uint16_t)          \
    CASE(FL_I32, int32_t)           \
    CASE(FL_U32, uint32_t)          \
    CASE(FL_I64, int64_t)           \
    CASE(FL_U64, uint64_t)
#define FOR_EACH_TYPE(CASE)     \
    FOR_EACH_INTEGER_TYPE(CASE) \
    CASE(FL_F32, float)         \
    CASE(FL_F64, double)

ALWAYS_INLINE ptrdiff_t size_of_type(int type)
{
    return type <= FL_U8 ? 1 : type <= FL_U16 || type >= FL_F16 ? 2 : type <= FL_U32 || type == FL_F32 ? 4 : 8;
}

/* Halves by arithmetic on integers, which compilers turn into vectors of every instruction set: so the bits are the same on all. A
 * float16 has 5 bits of exponent with a bias of 15, and 10 of mantissa; a bfloat16 is the upper half of a float. */
ALWAYS_INLINE float float_of_bits(uint32_t x)
{
    float y;
    memcpy(&y, &x, sizeof y);
    return y;
}

ALWAYS_INLINE uint32_t bits_of_float(float x)
{
    uint32_t y;
    memcpy(&y, &x, sizeof y);
    return y;
}

ALWAYS_INLINE float from_f16(uint16_t x)
{
    const uint32_t rest = x & 0x7fffu, sign = (uint32_t)(x & 0x8000u) << 16;
    const uint32_t normal = (rest << 13) + (rest >= 0x7c00 ? 224u << 23 : 112u << 23); /* or infinite, or nan */
    const uint32_t subnormal = bits_of_float((float)(int32_t)rest * 0x1p-24f);
    return float_of_bits((rest < 0x400 ? subnormal : normal) | sign);
}

/* To the nearest, of two the even one. */
ALWAYS_INLINE uint16_t to_f16(float x)
{
    const uint32_t bits = bits_of_float(x), rest = bits & 0x7fffffffu;
    const uint32_t moved = rest - (112u << 23), normal = (moved + 0xfffu + (moved >> 13 & 1)) >> 13;
    const uint32_t subnormal = bits_of_float(float_of_bits(rest) + 0.5f) - bits_of_float(0.5f); /* rounds to 2^-24 */
    const uint32_t beyond = rest > 0x7f800000u ? 0x7e00u | (rest >> 13 & 0x3ffu) : 0x7c00u;
    const uint32_t y = rest >= 0x47800000u ? beyond : rest < 0x38800000u ? subnormal : normal;
    return (uint16_t)(y | (bits >> 16 & 0x8000u));
}

ALWAYS_INLINE float from_bf16(uint16_t x) { return float_of_bits((uint32_t)x << 16); }

ALWAYS_INLINE uint16_t to_bf16(float x)
{
    const uint32_t bits = bits_of_float(x);
    const uint32_t y = x == x ? bits + 0x7fffu + (bits >> 16 & 1) : bits | 0x400000u;
    return (uint16_t)(y >> 16);
}

/* How many of `count` consecutive float16 the processor has converted itself, to the same bits. */
ALWAYS_INLINE ptrdiff_t load_f16s(real *tile, const char *from, ptrdiff_t count)
{
    ptrdiff_t i = 0;
#ifdef HAVE_HALVES
    for (; i + WIDTH <= count; i += WIDTH) store(tile + i, load_f16((const uint16_t *)(const void *)from + i));
#endif
    (void)tile, (void)from, (void)count;
    return i;
}

ALWAYS_INLINE ptrdiff_t store_f16s(char *to, const real *tile, ptrdiff_t count)
{
    ptrdiff_t i = 0;
#ifdef HAVE_HALVES
    for (; i + WIDTH <= count; i += WIDTH) store_f16((uint16_t *)(void *)to + i, load(tile + i));
#endif
    (void)to, (void)tile, (void)count;
    return i;
}

/* tile[i] = the element at `from + i * stride` */
SHARED void load_strided(real *tile, const char *from, ptrdiff_t stride, int type, ptrdiff_t count)
{
    if (stride == 0 && count > 1) { /* one number for all */
        load_strided(tile, from, size_of_type(type), type, 1);
        for (ptrdiff_t i = 1; i < count; i++) tile[i] = tile[0];
        return;
    }
    if (type == REAL_TYPE && stride == 2 * (ptrdiff_t)sizeof(real)) { /* one of two columns */
        for (ptrdiff_t i = 0; i < count; i++) tile[i] = ((const real *)(const void *)from)[2 * i];
        return;
    }
    if (type == FL_F16 && stride == 2) {
        const ptrdiff_t done = load_f16s(tile, from, count);
        tile += done, from += 2 * done, count -= done;
    }
    switch (type) {
#define CASE_BY(code, ctype, CONVERT)                                                                              \
    case code:                                                                                                     \
        if (stride == (ptrdiff_t)sizeof(ctype))                                                                    \
            for (ptrdiff_t i = 0; i < count; i++) tile[i] = (real)CONVERT(((const ctype *)(const void *)from)[i]); \
        else                                                                                                       \
            for (ptrdiff_t i = 0; i < count; i++)                                                                  \
                tile[i] = (real)CONVERT(*(const ctype *)(const void *)(from + i * stride));                        \
        break;
#define CASE(code, ctype) CASE_BY(code, ctype, )
        FOR_EACH_TYPE(CASE)
        CASE_BY(FL_F16, uint16_t, from_f16)
        CASE_BY(FL_BF16, uint16_t, from_bf16)
#undef CASE
#undef CASE_BY
    }
}

/* The element at `to + i * stride` = tile[i], rounded where it is narrower. */
SHARED void store_strided(char *to, ptrdiff_t stride, int type, const real *tile, ptrdiff_t count)
{
    if (type == FL_F16 && stride == 2) {
        const ptrdiff_t done = store_f16s(to, tile, count);
        tile += done, to += 2 * done, count -= done;
    }
    switch (type) {
#define CASE(code, ctype, CONVERT)                                                                        \
    case code:                                                                                            \
        if (stride == (ptrdiff_t)sizeof(ctype))                                                           \
            for (ptrdiff_t i = 0; i < count; i++) ((ctype *)(void *)to)[i] = CONVERT(tile[i]);            \
        else                                                                                              \
            for (ptrdiff_t i = 0; i < count; i++) *(ctype *)(void *)(to + i * stride) = CONVERT(tile[i]); \
        break;
#define TO_F16(x) to_f16((float)(x))
#define TO_BF16(x) to_bf16((float)(x))
        CASE(FL_F32, float, (float))
        CASE(FL_F64, double, (double))
        CASE(FL_F16, uint16_t, TO_F16)
        CASE(FL_BF16, uint16_t, TO_BF16)
#undef TO_F16
#undef TO_BF16
#undef CASE
    }
}

/* Elements [first, first + count) of an (outer, inner) array, in C order, one run of constant stride at a time:
 * the body sees `run` elements from `at`, `stride` bytes apart, `done` elements after `first`. */
#define FOR_EACH_RUN(array, n_inner, first, count, ...)                                      \
    for (ptrdiff_t done = 0, run; done < (count); done += run) {                             \
        const int column_only_ = (n_inner) == 1;                                             \
        const ptrdiff_t stride = column_only_ ? (array)->outer : (array)->inner;             \
        const ptrdiff_t row_ = column_only_ ? (first) + done : ((first) + done) / (n_inner); \
        const ptrdiff_t column_ = column_only_ ? 0 : ((first) + done) % (n_inner);           \
        char *at = (array)->data + row_ * (array)->outer + column_ * (array)->inner;         \
        run = (count) - done;                                                                \
        if (!column_only_ && run > (n_inner) - column_) run = (n_inner) - column_;           \
        __VA_ARGS__;                                                                         \
    }

/* A number for each row, in all places of its row: each is read once, and written a vector at a time. */
SHARED void spread_numbers(real *tile, const fl_array *array, ptrdiff_t n_inner, ptrdiff_t first, ptrdiff_t count)
{
    enum { AT_ONCE = 64, SHORT = LANES * FL_REAL / 32 };
    real number[AT_ONCE];
    ptrdiff_t row = first / n_inner, end = n_inner - first % n_inner; /* of the row's places */
    for (ptrdiff_t at = 0; at < count; row += AT_ONCE) {
        const ptrdiff_t left = end < count ? (count - end + n_inner - 1) / n_inner + 1 : 1;
        const ptrdiff_t n = left < AT_ONCE ? left : AT_ONCE;
        load_strided(number, array->data + row * array->outer, array->outer, array->type, n);
        ptrdiff_t i = 0;
        /* Rows are short more often than not: of those 16 places are written, and what is too much by the next row. */
        for (; n_inner <= SHORT && i < n && end + SHORT <= count; i++, at = end, end += n_inner) {
            for (int k = 0; k < SHORT; k += WIDTH) store(tile + at + k, splat(number[i]));
        }
        for (; i < n; i++, end += n_inner) {
            const vreal x = splat(number[i]);
            if (end + WIDTH <= count)
                for (; at < end; at += WIDTH) store(tile + at, x);
            else
                for (; at < end && at < count; at++) tile[at] = number[i];
            at = end < count ? end : count;
        }
    }
}

/* A row that all rows share: read once, then repeated. */
SHARED void repeat_row(real *tile, const fl_array *array, ptrdiff_t n_inner, ptrdiff_t first, ptrdiff_t count)
{
    const ptrdiff_t column = first % n_inner, rest = n_inner - column;
    load_strided(tile, array->data + column * array->inner, array->inner, array->type, rest);
    load_strided(tile + rest, array->data, array->inner, array->type, column);
    for (ptrdiff_t done = n_inner, n; done < count; done += n) {
        n = done < count - done ? done : count - done;
        memcpy(tile + done, tile, (size_t)n * sizeof(real));
    }
}

SHARED void load_elements(real *tile, const fl_array *array, ptrdiff_t n_inner, ptrdiff_t first, ptrdiff_t count)
{
    if (n_inner > 1 && array->inner == 0 && array->outer)
        spread_numbers(tile, array, n_inner, first, count);
    else if (n_inner > 1 && array->outer == 0 && n_inner < count)
        repeat_row(tile, array, n_inner, first, count);
    else
        FOR_EACH_RUN(array, n_inner, first, count, load_strided(tile + done, at, stride, array->type, run))
}

SHARED void store_elements(const fl_array *array, ptrdiff_t n_inner, ptrdiff_t first, ptrdiff_t count, const real *tile)
{
    FOR_EACH_RUN(array, n_inner, first, count, store_strided(at, stride, array->type, tile + done, run))
}

/* One run of consecutive reals from end to end? */
ALWAYS_INLINE int is_dense(const fl_array *array, ptrdiff_t n_outer, ptrdiff_t n_inner)
{
    ptrdiff_t size = sizeof(real);
    return array->type == REAL_TYPE && (array->inner == size || n_inner == 1) &&
           (array->outer == n_inner * size || n_outer == 1);
}

/* One run of consecutive elements of any type from end to end? */
ALWAYS_INLINE int lies_in_one_run(const fl_array *array, const fl_job *job)
{
    const ptrdiff_t size = size_of_type(array->type);
    return (array->inner == size || job->n_inner == 1) && (array->outer == job->n_inner * size || job->n_outer == 1);
}

/* The same number everywhere? */
ALWAYS_INLINE int is_single(const fl_array *array, ptrdiff_t n_outer, ptrdiff_t n_inner)
{
    return (array->outer == 0 || n_outer == 1) && (array->inner == 0 || n_inner == 1);
}

/* Copies past the caches: the destination is not read first, and what others have in the caches stays there. */
SHARED void copy_streaming(real *to, const real *from, ptrdiff_t count)
{
    ptrdiff_t head = (ptrdiff_t)((-(uintptr_t)to % VECTOR_BYTES) / sizeof(real));
    if (head > count) head = count;
    for (ptrdiff_t i = 0; i < head; i++) to[i] = from[i];
    to += head, from += head, count -= head;
    ptrdiff_t whole = count - count % LANES;
    for (ptrdiff_t i = 0; i < whole; i += LANES)
        for (int j = 0; j < LANES; j += WIDTH) stream(to + i + j, load(from + i + j));
    for (ptrdiff_t i = whole; i < count; i++) to[i] = from[i];
}

/* A streaming copy in small steps, between which something else is computed: its stores wait for memory meanwhile. */
typedef struct streaming_copy {
    const real *from;
    real *to; /* at the start of a cache line */
    ptrdiff_t left;
} streaming_copy;

ALWAYS_INLINE streaming_copy start_streaming(real *to, const real *from, ptrdiff_t count)
{
    ptrdiff_t head = (ptrdiff_t)((-(uintptr_t)to % 64) / sizeof(real));
    if (head > count) head = count;
    for (ptrdiff_t i = 0; i < head; i++) to[i] = from[i];
    return (streaming_copy){from + head, to + head, count - head};
}

ALWAYS_INLINE void advance_copy(streaming_copy *flow)
{
    if (flow->left < LANES) return;
    for (int g = 0; g < GROUP; g++) stream(flow->to + g * WIDTH, load(flow->from + g * WIDTH));
    flow->from += LANES, flow->to += LANES, flow->left -= LANES;
}

SHARED void finish_copy(streaming_copy *flow)
{
    while (flow->left >= LANES) advance_copy(flow);
    for (; flow->left > 0; flow->left--) *flow->to++ = *flow->from++;
}

#endif
