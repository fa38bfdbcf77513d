/* Negative log-density of a beta distribution of mean m = sigmoid(z0) and precision p = exp(z1), of the shapes a = m p and b = (1 - m) p:
 *     lgamma(a) + lgamma(b) - lgamma(p) - (a - 1) log(t) - (b - 1) log(1 - t)
 * Ferrari & Cribari-Neto 2004, doi:10.1080/0266476042000214501.
 *
 * With Stirling's remainders R of special.h it is p K + log(t (1 - t)) - log(m (1 - m) p) / 2 + log(2 pi) / 2 + R(a) + R(b) - R(p),
 * K = m log(m / t) + (1 - m) log((1 - m) / (1 - t)): no gamma function is left. With its gaps G and T and v = m (1 - m) the
 * gradients are p v (z0 - logit(t)) - (1 - m) G(a) + m G(b) and p K - G(a) - G(b) + G(p); the Hessian is its expectation
 *     p v + (1 - m)^2 T(a) + m^2 T(b),   (1 - m) T(a) - m T(b),   T(a) + T(b) - T(p)
 * and (1 - 2 m) g0, g0, g1.
 *
 * psd of z0 is the larger of the exact curvature and its expectation; of z1, in which the loss is convex, their mean. majorize of z0 is
 * p (1 / 4 + |logit(t)| / (6 sqrt(3))) + 2, for no term is larger anywhere; that of z1 the larger of psd and exact.
 */
typedef struct beta_shape {
    vreal log, number; /* of it */
    gamma_parts g;
} beta_shape;

ALWAYS_INLINE beta_shape shape_of_beta(vreal log, int with_trigamma)
{
    beta_shape s = {.log = log, .number = vmax(UNIFORM(SMALLEST_NORMAL), exp_any(log))};
    s.g = gamma_of(s.number, log, with_trigamma);
    return s;
}

ALWAYS_INLINE columns beta_nll(column_operands o)
{
    const int bends = o.want & FL_HESSIAN;
    const double largest = FL_REAL == 32 ? 80 : 600; /* of z1 */
    vreal z0 = o.z[0], z1 = keep_nan(o.z[1], vmin(UNIFORM(largest), o.z[1]));
    vreal e = exp_nonpositive(-vabs(z0)), large = ONE / (ONE + e), tail = log1p_unit(e);
    vreal log_m = -(vmax(ZERO, -z0) + tail), log_rest = -(vmax(ZERO, z0) + tail);
    vmask right = le(ZERO, z0);
    vreal m = choose(right, large, e * large), rest = choose(right, e * large, large);
    beta_shape a = shape_of_beta(log_m + z1, bends), b = shape_of_beta(log_rest + z1, bends),
               p = shape_of_beta(z1, bends);

    vreal other = ONE - o.t, log_t = log_positive(o.t), log_other = log_of_sum(other, (ONE - other) - o.t);
    vreal score = log_t - log_other; /* logit(t) */
    vreal deviance = fmadd(a.number, log_m - log_t, b.number * (log_rest - log_other));
    vreal logs = UNIFORM(0.918938533204672742) - UNIFORM(0.5) * (log_m + log_rest + z1);
    vreal spread = choose(right, a.number * rest, b.number * m); /* p m (1 - m) */
    vreal g0 = fmadd(spread, z0 - score, m * b.g.digamma_gap - rest * a.g.digamma_gap);
    vreal g1 = deviance - (a.g.digamma_gap + b.g.digamma_gap - p.g.digamma_gap);
    vreal of_mean = spread + fmadd(rest * rest, a.g.trigamma_gap, m * m * b.g.trigamma_gap);
    vreal beside = rest * a.g.trigamma_gap - m * b.g.trigamma_gap;
    vreal of_precision = a.g.trigamma_gap + b.g.trigamma_gap - p.g.trigamma_gap;
    columns c = {.value = ((deviance + log_t) + log_other) + logs + (a.g.remainder + b.g.remainder - p.g.remainder),
                 .gradient = {g0, g1},
                 .hessian = {fmadd(rest - m, g0, of_mean), g0 + beside, g1 + of_precision}};
    if (o.curvature == FL_EXACT) return c;
    const int is_expected = o.curvature == FL_FISHER;
    vreal first = is_expected ? of_mean : vmax(of_mean, c.hessian[0]);
    vreal second = is_expected ? of_precision : UNIFORM(0.5) * (of_precision + c.hessian[2]);
    if (o.curvature == FL_MAJORIZE) {
        vreal bound = fmadd(p.number, fmadd(vabs(score), UNIFORM(0.0962250448649376328), UNIFORM(0.25)), UNIFORM(2));
        first = vmax(first, bound), second = vmax(second, c.hessian[2]);
    }
    c.hessian[0] = keep_nan(g0, vmax(UNIFORM(CURVATURE_FLOOR), first));
    c.hessian[1] = is_expected ? beside : ZERO;
    c.hessian[2] = keep_nan(g1, vmax(UNIFORM(CURVATURE_FLOOR), second));
    return c;
}
COLUMNS(beta_nll, 2, FL_OPEN_INTERVAL, 0)
