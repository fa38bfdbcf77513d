/* Focal loss of a logit, Lin et al. 2017, arXiv:1708.02002. For a hard label with margin m = z (label 1) or -z (label 0),
 * s = sigmoid(m), rho = sigmoid(-m) = 1 - s, L = -log s:
 *     value     a rho^g L
 *     d / dm   -a rho^g (rho + g s L)
 *     d2 / dm2  a rho^g (s rho (1 + 2 g) - g rho s L + g^2 s s L)
 * Soft targets are the mixture t F(z) + (1 - t) F(-z).
 *
 * This form divides by nothing and takes no logarithm of rho, so it stays finite for g < 1 and saturated logits, where the
 * usual rho^(g - 1) is infinite. s and rho are both quotients by 1 + exp(-|m|), never 1 minus the other. g = 0
 * goes to binary cross-entropy's formula: equal to the last bit.
 * psd: binary cross-entropy's curvature with the weights that make its gradient this one, s |d / dm| (Gauss-Newton).
 * majorize: (1 + g) times that, the least multiple which is nowhere below the exact one. Of a mixture of two labels, whose
 * minimum lies between them, a bound of its second derivative anywhere: (1 + 2 g / 3) / 4 for each.
 */
ALWAYS_INLINE point binary_focal_margin(operands o, vreal m, vreal a)
{
    const double gamma = o.p[0];
    vreal g = UNIFORM(gamma);
    vmask right = le(ZERO, m);
    vreal large = ONE / (ONE + o.e), small = o.e * large;
    vreal s = choose(right, large, small), rho = choose(right, small, large);
    vreal loss = choose(right, o.l, o.l + vabs(m));
    vreal power = gamma <= 64 && gamma == (int)gamma
                      ? whole_power(rho, (int)gamma)
                      : exp_nonpositive(-g * choose(right, o.l + vabs(m), o.l)); /* log rho = -softplus(m) */
    vreal s_loss = s * vmin(UNIFORM(LARGEST), loss); /* where s is 0 and the loss infinite, 0 */
    vreal scale = a * power;
    vreal slope = scale * fmadd(g, s_loss, rho);

    vreal hessian;
    if (o.curvature == FL_EXACT) {
        vreal bend = fmadd(g * s, s_loss, -(rho * s_loss)); /* g s s L - rho s L */
        hessian = scale * fmadd(g, bend, s * rho * (ONE + g + g));
    } else {
        hessian = not_flat(s * slope, slope);
        if (o.curvature == FL_MAJORIZE) hessian = (ONE + g) * hessian;
    }
    vreal value = scale * loss;
    if (!o.hard || o.p[1] == 0 || o.p[2] == 0)
        value = choose(eq(scale, ZERO), ZERO, value); /* of an infinite loss, too */
    return (point){.value = value, .gradient = -slope, .hessian = hessian};
}

ALWAYS_INLINE point binary_focal(operands o)
{
    vreal positive = UNIFORM(o.p[1]), negative = UNIFORM(o.p[2]);
    const double smoothing = o.p[3];
    vreal t = o.t, other = ONE - o.t;
    if (smoothing != 0) t = smoothed(t, smoothing), other = smoothed(other, smoothing);
    if (o.p[0] == 0) return weighted_cross_entropy(o, t * positive, other * negative);
    if (o.hard && smoothing == 0) {
        vmask is_positive = eq(t, ONE);
        point f = binary_focal_margin(o, choose(is_positive, o.z, -o.z), choose(is_positive, positive, negative));
        /* added to 0 as what follows adds them, so that no neighbour's target decides on the sign of a 0 */
        f.gradient = choose(is_positive, ZERO + f.gradient, ZERO - f.gradient);
        f.hessian = ZERO + f.hessian;
        return f;
    }
    point one = binary_focal_margin(o, o.z, t * positive), zero = binary_focal_margin(o, -o.z, other * negative);
    vreal hessian = one.hessian + zero.hessian;
    if (o.curvature == FL_MAJORIZE) {
        vmask is_hard = either(eq(t, ZERO), eq(other, ZERO));
        vreal bound = UNIFORM(0.25 + o.p[0] / 6) * fmadd(t, positive, other * negative);
        hessian = choose(is_hard, hessian, keep_nan(o.z, bound));
    }
    return (point){.value = one.value + zero.value, .gradient = one.gradient - zero.gradient, .hessian = hessian};
}
POINTWISE(binary_focal, FL_UNIT_INTERVAL, 4, STAGE(exp_of_distance, FOR_ALL), STAGE(log1p_of_e, FOR_ALL))
