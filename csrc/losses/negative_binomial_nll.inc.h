/* Negative log-likelihood of a count of mean m = exp(z0) and variance m + a m^2, dispersion a = exp(z1):
 *     lgamma(q) + lgamma(t + 1) - lgamma(t + q) + q log1p(a m) + t log1p(1 / (a m)),   q = 1 / a
 * Hilbe 2011, doi:10.1017/CBO9780511973420.
 *
 * With Stirling's remainders R of special.h no gamma function is left, and of q, however large, only q (log1p(a m) - log1p(a t)).
 * The gradients are g0 = (m - t) / (1 + a m) and
 *     g1 = q (log1p(a t) - log1p(a m)) + G(q) - k G(t + q) + g0,   k = 1 / (1 + a t)
 * whose first and last term cancel where a is small: with s = -a g0 they are -q (s - log1p(s)). The Hessian of z1 is
 * q (s - log1p(s)) - a g0^2 k + T(q) - G(q) - k (k T(t + q) - G(t + q)); G and T are the gaps of special.h.
 *
 * Fisher of z1 is the integral of q exp(-v) h(v / q), h(s) = (-log1p(-P x) - P x) / x of x = 1 - exp(-s), P = a m / (1 + a m)
 * (the series of Fisher, Ann. Eugenics 11 (1941), summed under the integral): by Gauss and Laguerre's twelve nodes.
 * psd of z1 is the larger of the exact curvature and the first term of that series, P^2 / (2 (1 + a)), and |g1| besides, so that a
 * step of z1 is shorter than 1. majorize: the parabola above t softplus(z0 + z1), and 0.0663 m for q log1p(a m); what else there is
 * of the value is concave in z1. That of z0: the parabolas above both softplus, as in negative_binomial.inc.h.
 */
ALWAYS_INLINE vreal expected_of_dispersion(vreal q, vreal share, vreal rest)
{
    static const double nodes[] = {0.2828583482399141, 0.9523260413646135, 2.016492138577681,  3.492354069778025,
                                   5.405491020015723,  7.792813940412415,  10.707388688989091, 14.227152363789981,
                                   18.47199663423,     23.641783752400894, 30.120058626106342, 38.88928437609532},
                        weights[] = {0.35867340065049624,    0.33360369197473394,    0.1686028251090826,
                                     0.051407330371462195,   0.009625756262042047,   0.0010896728063443891,
                                     7.164546086455993e-05,  2.5558235600533737e-06, 4.43079715196183e-08,
                                     3.0975471974104074e-10, 6.107897920313965e-13,  1.3828047002006255e-16};
    vreal a = ONE / q, sum = ZERO;
    for (int i = 0; i < 12; i++) {
        vreal s = UNIFORM(nodes[i]) * a, e = exp_nonpositive(-s), x = -expm1_nonpositive(-s), w = share * x;
        vmask near = lt(w, UNIFORM(0.29));
        vreal u = fmadd(share, e, rest); /* 1 - w */
        vreal far = -log_of_sum(vmax(UNIFORM(SMALLEST_NORMAL), u), ZERO) - w;
        vreal bend = -log1p_bend(choose(near, -w, ZERO));
        sum = fmadd(UNIFORM(weights[i]), choose(near, share * w * bend, far / x), sum);
    }
    return q * sum;
}

typedef struct dispersed {
    vreal m, a, q, share, rest, slope, g0, g1; /* share: P; slope: m / (1 + a m) */
} dispersed;

ALWAYS_INLINE void curve_dispersed(columns *c, const dispersed *d, vreal t, vreal u, vreal e, int curvature)
{
    const vreal floor = UNIFORM(CURVATURE_FLOOR);
    vreal of_mean = c->hessian[0], of_dispersion = c->hessian[2];
    if (curvature == FL_PSD) {
        vreal first = UNIFORM(0.5) * d->share * d->share / (ONE + d->a);
        of_dispersion = vmax(of_dispersion, first) + vabs(d->g1);
    }
    if (curvature == FL_MAJORIZE) {
        vreal bound = logistic_bound(vabs(u), e, ONE / (ONE + e));
        of_mean = (d->q + t) * bound;
        of_dispersion = vmax(of_dispersion, fmadd(t, bound, UNIFORM(0.0663) * d->m));
    }
    if (curvature == FL_FISHER) {
        of_mean = d->slope;
        of_dispersion = expected_of_dispersion(d->q, d->share, d->rest);
    }
    c->hessian[0] = keep_nan(d->g0, vmax(floor, of_mean));
    c->hessian[1] = ZERO;
    c->hessian[2] = keep_nan(d->g1, vmax(floor, of_dispersion));
}

ALWAYS_INLINE columns negative_binomial_nll(column_operands o)
{
    const double largest = FL_REAL == 32 ? 40 : 300; /* of |z1|: beyond, it is Poisson's, or a count of 0 or none */
    vreal z0 = o.z[0], z1 = keep_nan(o.z[1], vmax(UNIFORM(-largest), vmin(UNIFORM(largest), o.z[1])));
    vreal u = z0 + z1, m = exp_any(z0), a = exp_any(z1), q = exp_any(-z1), inverse = exp_any(-z0);
    vreal e = exp_nonpositive(-vabs(u)), large = ONE / (ONE + e);
    vmask right = lt(ZERO, u), positive = lt(ZERO, z0), none = eq(o.t, ZERO);
    dispersed d = {
        .m = m, .a = a, .q = q, .share = choose(right, large, e * large), .rest = choose(right, e * large, large)};
    d.slope = choose(positive, ONE / (inverse + a), m * (ONE / fmadd(a, m, ONE)));
    vreal sum = o.t + q, log_sum = log_normal(sum), at = a * o.t;
    vreal k = ONE / (ONE + at), log_t = log1p_nonnegative(vmin(UNIFORM(LARGEST), at));
    gamma_parts of_q = gamma_of(q, -z1, o.want & FL_HESSIAN), of_sum = gamma_of(sum, log_sum, o.want & FL_HESSIAN);

    vreal tail = log1p_unit(e), softplus = choose(right, u + tail, tail);
    vreal n = ONE + o.t, log_n = log_normal(n);
    vreal log_factorial =
        fmadd(n - UNIFORM(0.5), log_n, gamma_of(n, log_n, 0).remainder) - (n - UNIFORM(0.918938533204672742));
    vreal of_counts = o.t * (choose(right, tail - log_sum, (tail - log_t) - z0) + ONE) + log_factorial;
    vreal less = (of_q.remainder - of_sum.remainder) + UNIFORM(0.5) * log_t;

    vreal g0 = choose(positive, (ONE - o.t * inverse) * d.slope, (m - o.t) * (ONE / fmadd(a, m, ONE)));
    vreal s = -(a * g0), gap = softplus - log_t; /* log1p(s) = -gap */
    vmask near = lt(vabs(s), UNIFORM(0.29));
    vreal bend = choose(near, -log1p_bend(choose(near, s, ZERO)), ZERO);
    vreal lost = choose(near, a * g0 * g0 * bend, fmadd(q, gap, -g0)); /* q (s - log1p(s)) */
    vreal g1 = (of_q.digamma_gap - k * of_sum.digamma_gap) - lost;
    vreal curved = (of_q.trigamma_gap - of_q.digamma_gap) - k * fmadd(k, of_sum.trigamma_gap, -of_sum.digamma_gap);
    vreal square = a * g0 * g0;
    columns c = {.value = choose(none, ZERO, of_counts + less) + q * choose(none, softplus, gap),
                 .gradient = {g0, g1},
                 .hessian = {d.rest * (ONE + at) * d.slope, -g0 * d.share,
                             choose(near, square * (bend - k), fmadd(-square, k, lost)) + curved}};
    if (o.curvature == FL_EXACT) return c;
    d.g0 = g0, d.g1 = g1;
    curve_dispersed(&c, &d, o.t, u, e, o.curvature);
    return c;
}
COLUMNS(negative_binomial_nll, 2, FL_NONNEGATIVE, 0)
