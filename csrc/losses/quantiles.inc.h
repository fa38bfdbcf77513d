/* The sum over the columns of quantile.inc.h, column k at the level of coefficient k. */
ALWAYS_INLINE point quantiles(column_operands o, ptrdiff_t k)
{
    return quantile((operands){.z = o.z[0], .t = o.t, .p = o.p + k, .curvature = o.curvature});
}
EACH_COLUMN(quantiles, FL_ANY)

/* The same of quantiles that never cross: the first is z_0, each of the others softplus(z_k) above the one before. */
RISING_COLUMNS(rising_quantiles, quantiles, FL_ANY)
