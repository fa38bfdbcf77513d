/* lgamma(a) - a log(a) + a u + a x - (a - 1) log(t), x = t exp(-u): negative log-density of a gamma distribution of log mean u = z[0] and
 * log shape log(a) = z[1]. McCullagh & Nelder 1989.
 *
 * It is L(a) + a D(x) + log(t), where D(x) = x - 1 - log(x) and L(a) = lgamma(a) - a log(a) + a, so that nothing as large as
 * lgamma is left. With d = u - log(t) and x = exp(-d), D is d + expm1(-d), where d is small a polynomial. special.h has L and its derivatives.
 *
 * psd of u is a (1 + x) / 2, at least a times the logarithmic mean of 1 and x, the slope of the gradient a (1 - x) up to its 0 at
 * x = 1: a step of u alone never passes the minimum. That of log(a) is the mean of the exact curvature and its expectation.
 * majorize is the larger of psd and exact.
 */
/* exp(-d) - 1 + d */
ALWAYS_INLINE vreal exp_bend(vreal d, vreal x)
{
    static const double inverse_factorials[] = {0.5,
                                                1.0 / 6,
                                                1.0 / 24,
                                                1.0 / 120,
                                                1.0 / 720,
                                                1.0 / 5040,
                                                1.0 / 40320,
                                                1.0 / 362880,
                                                1.0 / 3628800,
                                                1.0 / 39916800,
                                                1.0 / 479001600.0,
                                                1.0 / 6227020800.0,
                                                1.0 / 87178291200.0};
    const int n = FL_REAL == 32 ? 7 : 13;
    vreal q = series(-d, inverse_factorials, n);
    return choose(lt(vabs(d), UNIFORM(0.5)), d * d * q, (x - ONE) + d);
}

ALWAYS_INLINE columns gamma_nll(column_operands o)
{
    vreal log_t = log_positive(o.t), d = o.z[0] - log_t, a = exp_any(o.z[1]), x = exp_any(-d);
    gamma_parts g = gamma_of(a, o.z[1], o.want & FL_HESSIAN);
    vreal deviance = choose(eq(x, UNIFORM(REAL_INFINITY)), x, exp_bend(d, x)), weighted = a * deviance;
    vreal remainder = fmadd(UNIFORM(-0.5), o.z[1], g.remainder + UNIFORM(0.918938533204672742));
    vreal pull = choose(lt(vabs(d), UNIFORM(0.5)), d - exp_bend(d, x), ONE - x); /* 1 - x */
    columns c = {.value = (weighted + log_t) + remainder,
                 .gradient = {a * pull, weighted - g.digamma_gap},
                 .hessian = {a * x, a * pull, (weighted - g.digamma_gap) + g.trigamma_gap}};
    if (o.curvature == FL_EXACT) return c;
    vreal of_mean = UNIFORM(0.5) * (a + c.hessian[0]), of_shape = UNIFORM(0.5) * (c.hessian[2] + g.trigamma_gap);
    if (o.curvature == FL_MAJORIZE) of_mean = vmax(of_mean, c.hessian[0]), of_shape = vmax(of_shape, c.hessian[2]);
    if (o.curvature == FL_FISHER) of_mean = a, of_shape = g.trigamma_gap;
    c.hessian[0] = keep_nan(d, vmax(UNIFORM(CURVATURE_FLOOR), of_mean));
    c.hessian[1] = ZERO;
    c.hessian[2] = keep_nan(d, of_shape);
    return c;
}
COLUMNS(gamma_nll, 2, FL_POSITIVE, 0)
