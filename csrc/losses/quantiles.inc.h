/* The sum over the columns of quantile.inc.h, column k at the level of coefficient k. */
ALWAYS_INLINE point quantiles(column_operands o, ptrdiff_t k)
{
    return quantile((operands){.z = o.z[0], .t = o.t, .p = o.p + k, .curvature = o.curvature});
}
EACH_COLUMN(quantiles, FL_ANY)
