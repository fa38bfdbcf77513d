/* Tiles: a number of rows in lanes, class after class, so that every reduction over the classes is a plain loop over vectors,
 * and K = 2 fills them as well as K = 1000.
 */
#ifndef FASTLOSS_TILES_H
#define FASTLOSS_TILES_H

#include "fastloss.h"
#include "simd.h"
#include "stored.h"
#include "transpose.h"

enum { MAX_ROWS = 256 }; /* of a tile */
enum { TILE_BYTES = 8192 }; /* of logits in a tile, where a few rows fit that */

ALWAYS_INLINE ptrdiff_t round_up(ptrdiff_t n, ptrdiff_t multiple) { return (n + multiple - 1) / multiple * multiple; }

ALWAYS_INLINE ptrdiff_t rows_in_tile(const fl_job *job)
{
    ptrdiff_t rows = TILE_BYTES / (ptrdiff_t)sizeof(real) / job->n_classes / LANES * LANES;
    return rows < LANES ? LANES : rows > MAX_ROWS ? MAX_ROWS : rows;
}

/* The place of a row's class k among all elements. */
ALWAYS_INLINE ptrdiff_t place_of(const fl_job *job, ptrdiff_t row, ptrdiff_t k)
{
    return (row / job->n_inner * job->n_classes + k) * job->n_inner + row % job->n_inner;
}

/* Bytes of scratch for tiles of a job's shape, each with room for what whole vectors write past its end. */
ALWAYS_INLINE ptrdiff_t bytes_of_tiles(const fl_job *job, ptrdiff_t rows, ptrdiff_t n_tiles)
{
    return n_tiles * ((rows * job->n_classes + 2 * LANES) * (ptrdiff_t)sizeof(real) + 64) + 64;
}

/* Whether the classes of an array's rows follow each other, and one row the other, from end to end. */
ALWAYS_INLINE int rows_are_packed(const fl_array *array, const fl_job *job, ptrdiff_t n)
{
    const ptrdiff_t size = size_of_type(array->type);
    return array->classes == size && job->n_inner == 1 && (array->outer == job->n_classes * size || n == 1);
}

/* n rows of n_classes reals, so many bytes from row to row on either side. Short ones by moves of their length. */
SHARED void copy_rows(char *to, ptrdiff_t to_pitch, const char *from, ptrdiff_t pitch, ptrdiff_t n_classes, ptrdiff_t n)
{
    const size_t size = (size_t)n_classes * sizeof(real);
    switch (n_classes) {
#define CASE(k)                                                                                            \
    case k:                                                                                                \
        for (ptrdiff_t i = 0; i < n; i++) memcpy(to + i * to_pitch, from + i * pitch, (k) * sizeof(real)); \
        break;
        FOR_FUSED_CLASSES(CASE)
#undef CASE
    default:
        for (ptrdiff_t i = 0; i < n; i++) memcpy(to + i * to_pitch, from + i * pitch, size);
    }
}

/* Rows whose classes follow each other, to packed reals. */
SHARED void gather_rows(real *packed, const fl_array *array, const fl_job *job, ptrdiff_t first, ptrdiff_t n)
{
    const ptrdiff_t n_classes = job->n_classes, size = sizeof(real);
    const char *from = array->data + first * array->outer;
    if (rows_are_packed(array, job, n))
        load_strided(packed, from, array->classes, array->type, n * n_classes);
    else if (array->type == REAL_TYPE)
        copy_rows((char *)packed, n_classes * size, from, array->outer, n_classes, n);
    else
        for (ptrdiff_t i = 0; i < n; i++)
            load_strided(packed + i * n_classes, from + i * array->outer, array->classes, array->type, n_classes);
}

/* The way back, for rows that do not follow each other. */
SHARED void scatter_rows(const fl_array *array, const fl_job *job, ptrdiff_t first, ptrdiff_t n, const real *packed)
{
    const ptrdiff_t n_classes = job->n_classes, size = sizeof(real);
    char *to = array->data + first * array->outer;
    if (array->type == REAL_TYPE)
        copy_rows(to, array->outer, (const char *)packed, n_classes * size, n_classes, n);
    else
        for (ptrdiff_t i = 0; i < n; i++)
            store_strided(to + i * array->outer, array->classes, array->type, packed + i * n_classes, n_classes);
}

enum { CONVERTED = 2048 }; /* numbers of other types on their way into a tile */

/* tile[k * tile_stride + i] = element k of row first + i, of packed rows of another type */
SHARED void convert_to_tile(real *tile, ptrdiff_t tile_stride, const fl_array *array, const fl_job *job,
                            ptrdiff_t first, ptrdiff_t n)
{
    CACHE_ALIGNED real rows[CONVERTED];
    const ptrdiff_t n_classes = job->n_classes, at_once = CONVERTED / n_classes / WIDTH * WIDTH;
    for (ptrdiff_t i = 0; i < n; i += at_once) {
        const ptrdiff_t count = n - i < at_once ? n - i : at_once;
        load_strided(rows, array->data + (first + i) * array->outer, array->classes, array->type, count * n_classes);
        rows_to_tile(tile + i, tile_stride, rows, n_classes, n_classes, count);
    }
}

/* The same for any array. */
SHARED void load_tile(real *tile, ptrdiff_t tile_stride, const fl_array *array, const fl_job *job, ptrdiff_t first,
                      ptrdiff_t n)
{
    const ptrdiff_t n_classes = job->n_classes, size = sizeof(real);
    if (array->type != REAL_TYPE && rows_are_packed(array, job, n) && n_classes > 1 && n_classes <= CONVERTED / WIDTH)
        convert_to_tile(tile, tile_stride, array, job, first, n);
    else
        FOR_EACH_RUN(array, job->n_inner, first, n, {
            if (array->type == REAL_TYPE && stride == size)
                for (ptrdiff_t k = 0; k < n_classes; k++)
                    memcpy(tile + k * tile_stride + done, at + k * array->classes, (size_t)(run * size));
            else if (array->type == REAL_TYPE && array->classes == size && stride % size == 0)
                rows_to_tile(tile + done, tile_stride, (const real *)(const void *)at, stride / size, n_classes, run);
            else
                for (ptrdiff_t k = 0; k < n_classes; k++)
                    load_strided(tile + k * tile_stride + done, at + k * array->classes, stride, array->type, run);
        })
    if (n % LANES)
        for (ptrdiff_t k = 0; k < n_classes; k++)
            for (ptrdiff_t i = n; i < round_up(n, LANES); i++) tile[k * tile_stride + i] = 0;
}

/* Packed reals to consecutive elements. `flow`: a streaming store may be left to it. */
SHARED void store_packed(char *to, int type, const real *packed, ptrdiff_t count, int streamed, streaming_copy *flow)
{
    real *reals = (real *)(void *)to;
    if (type != REAL_TYPE)
        store_strided(to, size_of_type(type), type, packed, count);
    else if (streamed && flow)
        *flow = start_streaming(reals, packed, count);
    else if (streamed)
        copy_streaming(reals, packed, count);
    else
        memcpy(to, packed, (size_t)count * sizeof(real));
}

/* Packed rows to where they belong. */
SHARED void put_rows(const fl_array *array, const fl_job *job, ptrdiff_t first, ptrdiff_t n, const real *packed,
                     streaming_copy *flow)
{
    if (rows_are_packed(array, job, n))
        store_packed(array->data + first * array->outer, array->type, packed, n * job->n_classes, job->stream, flow);
    else
        scatter_rows(array, job, first, n, packed);
}

SHARED void store_tile(const real *tile, ptrdiff_t tile_stride, const fl_array *array, const fl_job *job,
                       ptrdiff_t first, ptrdiff_t n, real *packed, streaming_copy *flow)
{
    const ptrdiff_t n_classes = job->n_classes, size = sizeof(real);
    if (rows_are_packed(array, job, n) ||
        (job->n_inner == 1 && n_classes > 1 && array->classes == size_of_type(array->type))) {
        tile_to_rows(tile, tile_stride, packed, n_classes, n);
        put_rows(array, job, first, n, packed, flow);
        return;
    }
    FOR_EACH_RUN(array, job->n_inner, first, n, {
        for (ptrdiff_t k = 0; k < n_classes; k++) {
            char *to = at + k * array->classes;
            const real *from = tile + k * tile_stride + done;
            if (array->type != REAL_TYPE || stride != size)
                store_strided(to, stride, array->type, from, run);
            else if (job->stream)
                copy_streaming((real *)(void *)to, from, run);
            else
                memcpy(to, from, (size_t)(run * size));
        }
    })
}

#endif
