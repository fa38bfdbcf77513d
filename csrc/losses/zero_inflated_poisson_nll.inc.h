/* Negative log-likelihood of a count that is 0 with probability sigmoid(z1), and Poisson's of mean m = exp(z0) otherwise. Lambert 1992,
 * doi:10.2307/1269547.
 *
 * Of a positive count it is softplus(z1) + m - t z0 + log(t!). A count of 0 has the probability P = 1 - sigmoid(-z1) (1 - exp(-m)),
 * and with w = z1 + m the derivatives -sigmoid(w) sigmoid(-z1) (1 - exp(-m)) by z1 and m sigmoid(-w) by z0: nothing is subtracted
 * from 1. -log(P) is -log1p of P - 1 where P is large.
 *
 * psd of z0 is m, and m sigmoid(-w) of a count of 0, the Hessian's positive part; of z1 sigmoid(z1) sigmoid(-z1), that of softplus(z1),
 * for -softplus(w) is concave. majorize: max(m, t) as Poisson's; the parabola above softplus(z1).
 */
ALWAYS_INLINE vreal sigmoid_of(vreal z, vreal e, vreal large) { return choose(le(ZERO, z), large, e * large); }

ALWAYS_INLINE columns zero_inflated_poisson_nll(column_operands o)
{
    vreal z0 = o.z[0], z1 = o.z[1], m = exp_any(z0), w = z1 + m;
    vmask is_zero = eq(o.t, ZERO);
    vreal e1 = exp_nonpositive(-vabs(z1)), large1 = ONE / (ONE + e1), ew = exp_nonpositive(-vabs(w)),
          largew = ONE / (ONE + ew);
    vreal share = sigmoid_of(z1, e1, large1), rest = sigmoid_of(-z1, e1, large1);
    vreal share_w = sigmoid_of(w, ew, largew), rest_w = sigmoid_of(-w, ew, largew);
    vreal some = -expm1_nonpositive(-m), missing = rest * some; /* 1 - exp(-m), 1 - P */
    vreal softplus = vmax(ZERO, z1) + log1p_unit(e1);

    vreal u = ONE - missing, probability = fmadd(rest, exp_nonpositive(-m), share);
    vmask likely = lt(missing, UNIFORM(0.5));
    vreal of_zero = -log_of_sum(choose(likely, u, probability), choose(likely, (ONE - u) - missing, ZERO));
    vreal t = choose(is_zero, ONE, o.t), n = ONE + t, log_n = log_normal(n);
    vreal log_factorial =
        fmadd(n - UNIFORM(0.5), log_n, gamma_of(n, log_n, 0).remainder) - (n - UNIFORM(0.918938533204672742));
    vreal of_count = softplus + (m - t * z0) + log_factorial;

    vreal bend_w = share_w * rest_w, mr = choose(eq(rest_w, ZERO), ZERO, m * rest_w);
    vreal mb = choose(eq(bend_w, ZERO), ZERO, m * bend_w), bend = share * rest;
    vreal mixed = choose(is_zero, -mb, ZERO);
    columns c = {.value = choose(is_zero, of_zero, of_count),
                 .gradient = {choose(is_zero, mr, m - o.t), choose(is_zero, -(share_w * missing), share)},
                 .hessian = {choose(is_zero, mr - choose(eq(mb, ZERO), ZERO, m * mb), m), mixed,
                             choose(is_zero, bend - bend_w, bend)}};
    if (o.curvature == FL_EXACT) return c;
    vreal of_mean = choose(is_zero, mr, m), of_share = bend;
    if (o.curvature == FL_MAJORIZE) {
        of_mean = choose(is_zero, mr, vmax(m, o.t));
        of_share = logistic_bound(vabs(z1), e1, large1);
    }
    c.hessian[1] = ZERO;
    if (o.curvature == FL_FISHER) {
        vreal p = choose(likely, u, probability);
        of_mean = fmadd(p, mr - choose(eq(mb, ZERO), ZERO, m * mb), missing * m);
        of_share = fmadd(-p, bend_w, bend);
        c.hessian[1] = -(p * mb);
    }
    c.hessian[0] = keep_nan(w, vmax(UNIFORM(CURVATURE_FLOOR), of_mean));
    c.hessian[2] = keep_nan(w, vmax(UNIFORM(CURVATURE_FLOOR), of_share));
    return c;
}
COLUMNS(zero_inflated_poisson_nll, 2, FL_NONNEGATIVE, 0)
