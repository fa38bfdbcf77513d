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

/* Bytes of scratch for tiles of a job's shape, each with room for what whole vectors write past its end. */
ALWAYS_INLINE ptrdiff_t bytes_of_tiles(const fl_job *job, ptrdiff_t n_tiles)
{
    return n_tiles * ((rows_in_tile(job) * job->n_classes + 2 * LANES) * (ptrdiff_t)sizeof(real) + 64) + 64;
}

/* tile[k * rows + i] = element k of row first + i */
SHARED void load_tile(real *tile, ptrdiff_t tile_stride, const fl_array *array, const fl_job *job, ptrdiff_t first,
                      ptrdiff_t n)
{
    const ptrdiff_t n_classes = job->n_classes, size = sizeof(real);
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

/* `flow`: a streaming store may be left to it. */
SHARED void store_tile(const real *tile, ptrdiff_t tile_stride, const fl_array *array, const fl_job *job,
                       ptrdiff_t first, ptrdiff_t n, real *packed, streaming_copy *flow)
{
    const ptrdiff_t n_classes = job->n_classes, size = sizeof(real);
    if (array->type == REAL_TYPE && array->classes == size && job->n_inner == 1 &&
        (array->outer == n_classes * size || n == 1)) {
        real *to = (real *)(void *)(array->data + first * array->outer);
        tile_to_rows(tile, tile_stride, packed, n_classes, n);
        if (job->stream && flow)
            *flow = start_streaming(to, packed, n * n_classes);
        else if (job->stream)
            copy_streaming(to, packed, n * n_classes);
        else
            memcpy(to, packed, (size_t)(n * n_classes * size));
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
