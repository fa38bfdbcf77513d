/* Between rows (class after class) and tiles (row after row). */

/* `beyond` says whether whole vectors may be read past the last row's end. */
ALWAYS_INLINE void rows_to_tile(real *tile, ptrdiff_t rows, const real *from, ptrdiff_t row_stride, ptrdiff_t n_classes,
                                ptrdiff_t n, int beyond)
{
    (void)beyond;
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t k = 0; k < n_classes; k++) tile[k * rows + i] = from[i * row_stride + k];
}

/* `beyond` says whether `to` has room for one more vector past the last row's end. */
ALWAYS_INLINE void tile_to_rows(const real *tile, ptrdiff_t rows, real *to, ptrdiff_t n_classes, ptrdiff_t n, int beyond)
{
    (void)beyond;
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t k = 0; k < n_classes; k++) to[i * n_classes + k] = tile[k * rows + i];
}
