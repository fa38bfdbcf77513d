/* Between rows (class after class, as they lie in memory) and tiles (row after row, as the loops want them).
 *
 * Few classes: WIDTH rows are K whole vectors, and each vector of the other side is picked from them, one source after the
 * other. More classes: a square of WIDTH x WIDTH at a time, by the usual network of unpacks, 128 bits being the unit
 * inside which x86 shuffles at no extra cost. What is left over, and other processors, go element by element.
 */
#ifndef FASTLOSS_TRANSPOSE_H
#define FASTLOSS_TRANSPOSE_H

#include "simd.h"

enum { PICKED_CLASSES = 8 }; /* fewer than this are picked */

ALWAYS_INLINE void rows_to_tile_plain(real *tile, ptrdiff_t tile_stride, const real *from, ptrdiff_t row_stride,
                                      ptrdiff_t n_classes, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t k = 0; k < n_classes; k++) tile[k * tile_stride + i] = from[i * row_stride + k];
}

ALWAYS_INLINE void tile_to_rows_plain(const real *tile, ptrdiff_t tile_stride, real *to, ptrdiff_t n_classes,
                                      ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t k = 0; k < n_classes; k++) to[i * n_classes + k] = tile[k * tile_stride + i];
}

#if VECTOR_BYTES == 64
#define CAN_PICK 1
#if FL_REAL == 32
#define PICK(a, b, index) _mm512_permutex2var_ps(a, (__m512i)(index), b)
#else
#define PICK(a, b, index) _mm512_permutex2var_pd(a, (__m512i)(index), b)
#endif
#elif !defined(__clang__)
#define CAN_PICK 1
#define PICK(a, b, index) __builtin_shuffle(a, b, index)
#else
#define CAN_PICK 0
#endif

#if CAN_PICK
/* The vector whose lane j is element source(j) of `from`, WIDTH elements to a vector. All of this is known at compile
 * time but the elements themselves: an index vector is a constant. */
#define PICK_ALL(result, from, n_sources, source)                                                                    \
    do {                                                                                                             \
        vreal picked_ = (from)[0];                                                                                   \
        _Pragma("GCC unroll 8") for (int s_ = 1; s_ < (n_sources); s_++)                                             \
        {                                                                                                            \
            vint index_;                                                                                             \
            _Pragma("GCC unroll 16") for (int j = 0; j < WIDTH; j++)                                                 \
            {                                                                                                        \
                int at_ = (source);                                                                                  \
                index_[j] = at_ / WIDTH == s_ ? WIDTH + at_ % WIDTH : s_ == 1 && at_ / WIDTH == 0 ? at_ % WIDTH : j; \
            }                                                                                                        \
            picked_ = PICK(picked_, (from)[s_], index_);                                                             \
        }                                                                                                            \
        result = picked_;                                                                                            \
    } while (0)

ALWAYS_INLINE void pick_to_tile(real *tile, ptrdiff_t tile_stride, const real *from, const int n_classes, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i + WIDTH <= n; i += WIDTH) {
        vreal in[PICKED_CLASSES], out;
        _Pragma("GCC unroll 8") for (int k = 0; k < n_classes; k++) in[k] = load(from + i * n_classes + k * WIDTH);
        _Pragma("GCC unroll 8") for (int k = 0; k < n_classes; k++)
        {
            PICK_ALL(out, in, n_classes, j * n_classes + k);
            store(tile + k * tile_stride + i, out);
        }
    }
}

ALWAYS_INLINE void pick_to_rows(const real *tile, ptrdiff_t tile_stride, real *to, const int n_classes, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i + WIDTH <= n; i += WIDTH) {
        vreal in[PICKED_CLASSES], out;
        _Pragma("GCC unroll 8") for (int k = 0; k < n_classes; k++) in[k] = load(tile + k * tile_stride + i);
        _Pragma("GCC unroll 8") for (int k = 0; k < n_classes; k++)
        {
            PICK_ALL(out, in, n_classes, (k * WIDTH + j) % n_classes * WIDTH + (k * WIDTH + j) / n_classes);
            store(to + i * n_classes + k * WIDTH, out);
        }
    }
}
#define FOR_PICKED_CLASSES(CASE) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7)
#endif

#if defined(__SSE2__)
enum { PER_LANE = 16 / sizeof(real), SHUFFLE_LANES = WIDTH / PER_LANE };

ALWAYS_INLINE vreal unpack_low(vreal a, vreal b) { return OP(unpacklo)(a, b); }
ALWAYS_INLINE vreal unpack_high(vreal a, vreal b) { return OP(unpackhi)(a, b); }
#if VECTOR_BYTES == 64
#define PAIR_OP(name, a, b) (vreal) PASTE(_mm512_, name)((__m512d)(a), (__m512d)(b))
#if FL_REAL == 32
#define MIX_LANES(a, b, how) _mm512_shuffle_f32x4(a, b, how)
#else
#define MIX_LANES(a, b, how) _mm512_shuffle_f64x2(a, b, how)
#endif
#elif VECTOR_BYTES == 32
#define PAIR_OP(name, a, b) (vreal) PASTE(_mm256_, name)((__m256d)(a), (__m256d)(b))
#define MIX_LANES(a, b, how) OP(permute2f128)(a, b, how)
#else
#define PAIR_OP(name, a, b) (vreal) PASTE(_mm_, name)((__m128d)(a), (__m128d)(b))
#endif

/* v[i] lane j to v[j] lane i */
ALWAYS_INLINE void transpose(vreal *v)
{
    vreal t[WIDTH];
    _Pragma("GCC unroll 8") for (int q = 0; q < SHUFFLE_LANES; q++)
    {
        const vreal *r = v + q * PER_LANE;
        vreal *o = t + q * PER_LANE;
#if FL_REAL == 32
        vreal a = unpack_low(r[0], r[1]), b = unpack_high(r[0], r[1]);
        vreal c = unpack_low(r[2], r[3]), d = unpack_high(r[2], r[3]);
        o[0] = PAIR_OP(unpacklo_pd, a, c), o[1] = PAIR_OP(unpackhi_pd, a, c);
        o[2] = PAIR_OP(unpacklo_pd, b, d), o[3] = PAIR_OP(unpackhi_pd, b, d);
#else
        o[0] = unpack_low(r[0], r[1]), o[1] = unpack_high(r[0], r[1]);
#endif
    }
    _Pragma("GCC unroll 8") for (int c = 0; c < PER_LANE; c++)
    {
#if VECTOR_BYTES == 64
        vreal t0 = t[c], t1 = t[PER_LANE + c], t2 = t[2 * PER_LANE + c], t3 = t[3 * PER_LANE + c];
        vreal low01 = MIX_LANES(t0, t1, 0x44), high01 = MIX_LANES(t0, t1, 0xEE);
        vreal low23 = MIX_LANES(t2, t3, 0x44), high23 = MIX_LANES(t2, t3, 0xEE);
        v[c] = MIX_LANES(low01, low23, 0x88), v[PER_LANE + c] = MIX_LANES(low01, low23, 0xDD);
        v[2 * PER_LANE + c] = MIX_LANES(high01, high23, 0x88), v[3 * PER_LANE + c] = MIX_LANES(high01, high23, 0xDD);
#elif VECTOR_BYTES == 32
        v[c] = MIX_LANES(t[c], t[PER_LANE + c], 0x20);
        v[PER_LANE + c] = MIX_LANES(t[c], t[PER_LANE + c], 0x31);
#else
        v[c] = t[c];
#endif
    }
}
#endif

/* So many classes can stay in registers between memory and arithmetic. */
#if VECTOR_BYTES == 64 && FL_REAL == 32
enum { FUSED_CLASSES = 17 };
#define FOR_FUSED_CLASSES(CASE) \
    FOR_PICKED_CLASSES(CASE) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12) CASE(13) CASE(14) CASE(15) CASE(16)
#elif VECTOR_BYTES == 64
enum { FUSED_CLASSES = 9 };
#define FOR_FUSED_CLASSES(CASE) FOR_PICKED_CLASSES(CASE) CASE(8)
#elif CAN_PICK
enum { FUSED_CLASSES = 8 };
#define FOR_FUSED_CLASSES(CASE) FOR_PICKED_CLASSES(CASE)
#else
enum { FUSED_CLASSES = 2 };
#define FOR_FUSED_CLASSES(CASE)
#endif

/* `n` numbers, and zeros up to `size` of them: once a run, and so in one place. */
SHARED const real *fill_up(real *to, const real *from, ptrdiff_t n, ptrdiff_t size)
{
    for (ptrdiff_t i = 0; i < size; i++) to[i] = i < n ? from[i] : 0;
    return to;
}

/* z[k] = class k of WIDTH rows, or of the n that are left, 0 beyond. */
ALWAYS_INLINE void load_few(vreal *z, const real *from, const int n_classes, ptrdiff_t n)
{
#if CAN_PICK
    if (n_classes < PICKED_CLASSES) {
        CACHE_ALIGNED real last[PICKED_CLASSES * WIDTH];
        const real *rows = n >= WIDTH ? from : fill_up(last, from, n * n_classes, n_classes * WIDTH);
        vreal in[PICKED_CLASSES];
        _Pragma("GCC unroll 8") for (int k = 0; k < n_classes; k++) in[k] = load(rows + k * WIDTH);
        _Pragma("GCC unroll 8") for (int k = 0; k < n_classes; k++) PICK_ALL(z[k], in, n_classes, j * n_classes + k);
        return;
    }
#endif
#if VECTOR_BYTES == 64
    vreal v[WIDTH];
    if (n >= WIDTH) {
        _Pragma("GCC unroll 16") for (int i = 0; i < WIDTH; i++) v[i] =
            load_some_or(from + i * n_classes, n_classes, 0);
    } else {
        for (int i = 0; i < WIDTH; i++) v[i] = i < n ? load_some_or(from + i * n_classes, n_classes, 0) : ZERO;
    }
    transpose(v);
    _Pragma("GCC unroll 16") for (int k = 0; k < n_classes; k++) z[k] = v[k];
#endif
}

/* The way back. Writes WIDTH whole rows and up to a vector more, or exactly the n rows that are left. */
ALWAYS_INLINE void store_few(real *to, const vreal *g, const int n_classes, ptrdiff_t n)
{
    CACHE_ALIGNED real last[FUSED_CLASSES * WIDTH + WIDTH];
    real *out = n >= WIDTH ? to : last;
#if CAN_PICK
    if (n_classes < PICKED_CLASSES) {
        vreal v[PICKED_CLASSES];
        _Pragma("GCC unroll 8") for (int k = 0; k < n_classes; k++)
            PICK_ALL(v[k], g, n_classes, (k * WIDTH + j) % n_classes * WIDTH + (k * WIDTH + j) / n_classes);
        _Pragma("GCC unroll 8") for (int k = 0; k < n_classes; k++) store(out + k * WIDTH, v[k]);
    }
#endif
#if VECTOR_BYTES == 64
    if (n_classes >= PICKED_CLASSES) {
        vreal v[WIDTH];
        _Pragma("GCC unroll 16") for (int k = 0; k < WIDTH; k++) v[k] = k < n_classes ? g[k] : ZERO;
        transpose(v);
        _Pragma("GCC unroll 16") for (int i = 0; i < WIDTH; i++) store(out + i * n_classes, v[i]);
    }
#endif
    if (n < WIDTH) memcpy(to, last, (size_t)(n * n_classes) * sizeof(real));
}

SHARED void rows_to_tile(real *tile, ptrdiff_t tile_stride, const real *from, ptrdiff_t row_stride, ptrdiff_t n_classes,
                         ptrdiff_t n)
{
    ptrdiff_t whole = 0;
#if CAN_PICK
    if (n_classes < PICKED_CLASSES && row_stride == n_classes) {
        switch (n_classes) {
#define CASE(k) \
    case k: whole = n / WIDTH * WIDTH, pick_to_tile(tile, tile_stride, from, k, n); break;
            FOR_PICKED_CLASSES(CASE)
#undef CASE
        }
    }
#endif
#if defined(__SSE2__)
    if (n_classes >= PICKED_CLASSES)
        for (; whole + WIDTH <= n; whole += WIDTH)
            for (ptrdiff_t k = 0; k < n_classes; k += WIDTH) {
                const ptrdiff_t count = n_classes - k < WIDTH ? n_classes - k : WIDTH;
                vreal v[WIDTH];
                _Pragma("GCC unroll 16") for (int i = 0; i < WIDTH; i++) v[i] =
                    load_some_or(from + (whole + i) * row_stride + k, count, 0);
                transpose(v);
                real *to = tile + k * tile_stride + whole;
                _Pragma("GCC unroll 16") for (int i = 0; i < WIDTH; i++)
                {
                    if (i == count) break;
                    store(to + i * tile_stride, v[i]);
                }
            }
#endif
    rows_to_tile_plain(tile + whole, tile_stride, from + whole * row_stride, row_stride, n_classes, n - whole);
}

/* The same as the driver calls it: strides in bytes. */
static void turn(char *to, ptrdiff_t to_stride, const char *from, ptrdiff_t from_stride, ptrdiff_t count, ptrdiff_t n)
{
    const ptrdiff_t size = sizeof(real);
    rows_to_tile((real *)(void *)to, to_stride / size, (const real *)(const void *)from, from_stride / size, count, n);
}

/* May write up to a vector past the last row's end. */
SHARED void tile_to_rows(const real *tile, ptrdiff_t tile_stride, real *to, ptrdiff_t n_classes, ptrdiff_t n)
{
    ptrdiff_t whole = 0;
#if CAN_PICK
    if (n_classes < PICKED_CLASSES) {
        switch (n_classes) {
#define CASE(k) \
    case k: whole = n / WIDTH * WIDTH, pick_to_rows(tile, tile_stride, to, k, n); break;
            FOR_PICKED_CLASSES(CASE)
#undef CASE
        }
    }
#endif
#if defined(__SSE2__)
    /* The last block of classes first: what its whole vectors write past a row's end is written over by the blocks and
     * rows that follow. */
    if (n_classes >= PICKED_CLASSES)
        for (; whole + WIDTH <= n; whole += WIDTH)
            for (ptrdiff_t k = (n_classes - 1) / WIDTH * WIDTH; k >= 0; k -= WIDTH) {
                const ptrdiff_t count = n_classes - k < WIDTH ? n_classes - k : WIDTH;
                vreal v[WIDTH];
                _Pragma("GCC unroll 16") for (int i = 0; i < WIDTH; i++) v[i] =
                    i < count ? load(tile + (k + i) * tile_stride + whole) : ZERO;
                transpose(v);
                real *out = to + whole * n_classes + k;
                _Pragma("GCC unroll 16") for (int i = 0; i < WIDTH; i++) store(out + i * n_classes, v[i]);
            }
#endif
    tile_to_rows_plain(tile + whole, tile_stride, to + whole * n_classes, n_classes, n - whole);
}

#endif
