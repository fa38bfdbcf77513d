/* -z1 + log(t) - u + exp(u), u = k (log(t) - z0), k = exp(z1): negative log-density of a Weibull distribution of log scale z0 and log
 * shape z1. Weibull 1951, doi:10.1115/1.4010337.
 * Convex in u: with x = exp(u), the gradient k (1 - x) of z0 has, up to its 0 at u = 0, the slope k^2 (x - 1) / u, k^2 times the
 * logarithmic mean of 1 and x, below k^2 (1 + x) / 2, which is psd: a step of z0 alone never passes the minimum. The curvature of
 * z1 likewise is the mean of the exact one and its expectation, and majorize the larger of psd and exact.
 */
ALWAYS_INLINE columns weibull_nll(column_operands o)
{
    const double euler = 0.577215664901532861;
    vreal log_t = log_positive(o.t), k = exp_any(o.z[1]), u = k * (log_t - o.z[0]), x = exp_any(u);
    vreal moment = choose(eq(x, ZERO), ZERO, u * x), less = moment - u;
    columns c = {.value = ((log_t - o.z[1]) - u) + x,
                 .gradient = {k * (ONE - x), less - ONE},
                 .hessian = {k * k * x, k * ((ONE - x) - moment), fmadd(u, moment, less)}};
    if (o.curvature == FL_EXACT) return c;
    const double expected_of_shape = (1 - euler) * (1 - euler) + 1.64493406684822644;
    vreal expected = k * k, scale = UNIFORM(0.5) * (c.hessian[0] + expected),
          shape = UNIFORM(0.5) * (c.hessian[2] + UNIFORM(expected_of_shape));
    if (o.curvature == FL_MAJORIZE) scale = vmax(scale, c.hessian[0]), shape = vmax(shape, c.hessian[2]);
    const int is_expected = o.curvature == FL_FISHER;
    c.hessian[0] = keep_nan(u, vmax(UNIFORM(CURVATURE_FLOOR), is_expected ? expected : scale));
    c.hessian[1] = is_expected ? UNIFORM(euler - 1) * k : ZERO;
    c.hessian[2] = keep_nan(u, is_expected ? UNIFORM(expected_of_shape) : shape);
    return c;
}
COLUMNS(weibull_nll, 2, FL_POSITIVE, 0)
