/* -log(sigmoid(a) - sigmoid(b)), a = z - c_{t-1}, b = z - c_t: of ordered classes t, with P(y > k) = sigmoid(z - c_k); c_{-1} = -inf and
 * c_{K-1} = inf. McCullagh 1980, doi:10.1111/j.2517-6161.1980.tb01109.x.
 *
 * Nothing is subtracted: sigmoid(a) - sigmoid(b) = (1 - exp(b - a)) sigmoid(a) sigmoid(-b), so that it is softplus(-a) + softplus(b) -
 * log(1 - exp(b - a)), of which the last does not depend on z. Convex (Pratt 1981): psd is the Hessian; majorize the parabolas above
 * both softplus. Fisher: the sum over k of v_k (P(y = k) + P(y = k + 1)), v_k = sigmoid(z - c_k) sigmoid(c_k - z).
 */
typedef struct softplus_point {
    vreal value, slope, bend, bound;
} softplus_point;

ALWAYS_INLINE softplus_point softplus_at(vreal x, int curvature)
{
    vreal distance = vabs(x), e = exp_nonpositive(-distance), large = ONE / (ONE + e), small = e * large;
    return (softplus_point){.value = vmax(ZERO, x) + log1p_unit(e),
                            .slope = choose(le(ZERO, x), large, small),
                            .bend = small * large,
                            .bound = curvature == FL_MAJORIZE ? logistic_bound(distance, e, large) : ZERO};
}

ALWAYS_INLINE vreal expected_of_thresholds(operands o)
{
    vreal total = ZERO, above = ONE, bend = ZERO;
    for (int k = 0; k < o.n_coefficients; k++) {
        softplus_point at = softplus_at(o.z - UNIFORM(o.all[k]), FL_EXACT);
        vreal below = softplus_at(UNIFORM(o.all[k]) - o.z, FL_EXACT).slope, probability = below;
        if (k > 0) probability *= above * -expm1_nonpositive(UNIFORM(o.all[k - 1]) - UNIFORM(o.all[k]));
        total = fmadd(probability, bend + at.bend, total);
        above = at.slope, bend = at.bend;
    }
    return fmadd(above, bend, total);
}

ALWAYS_INLINE point cumulative_logit(operands o)
{
    const vreal infinity = UNIFORM(REAL_INFINITY);
    vreal low = -infinity, high = infinity;
    for (int k = 0; k < o.n_coefficients; k++) {
        vreal c = UNIFORM(o.all[k]);
        high = choose(eq(o.t, UNIFORM(k)), c, high);
        low = choose(eq(o.t, UNIFORM(k + 1)), c, low);
    }
    softplus_point a = softplus_at(choose(eq(low, -infinity), low, low - o.z), o.curvature);
    softplus_point b = softplus_at(choose(eq(high, infinity), -high, o.z - high), o.curvature);
    vreal gap = choose(both(lt(-infinity, low), lt(high, infinity)), low - high, -infinity);
    vreal hessian = o.curvature == FL_MAJORIZE ? a.bound + b.bound : a.bend + b.bend;
    if (o.want_hessian && o.curvature == FL_FISHER) hessian = expected_of_thresholds(o);
    if (o.curvature != FL_EXACT) hessian = vmax(UNIFORM(CURVATURE_FLOOR), hessian);
    return (point){.value = keep_nan(o.z, (a.value + b.value) - log_normal(-expm1_nonpositive(gap))),
                   .gradient = keep_nan(o.z, b.slope - a.slope),
                   .hessian = keep_nan(o.z, hessian)};
}
POINTWISE(cumulative_logit, FL_CLASSES, FL_ONE_A_COLUMN, NO_STAGES)
