/* q t softplus(-z) + (1 - t) softplus(z), q = pos_weight, t in [0, 1]; label smoothing s first turns t into t (1 - s) + s / 2.
 *
 * With e = exp(-|z|) and l = log1p(e), softplus(z) = max(z, 0) + l. Both sigmoid(z) and sigmoid(-z) are quotients of 1
 * or e by 1 + e, so that neither is ever 1 minus the other: the gradient keeps its digits where sigmoid(z) rounds to 1.
 * An infinite z whose weight is 0 counts nothing (the limit), hence the choose around the product.
 * majorize is the tightest parabola above the loss that touches it at z: (q t + 1 - t) tanh(z / 2) / (2 z).
 */
ALWAYS_INLINE point weighted_cross_entropy(operands o, vreal positive, vreal negative)
{
    vreal both_weights = positive + negative;
    vmask right = le(ZERO, o.z);

    vreal slope = choose(right, negative, positive);
    vreal linear = choose(eq(slope, ZERO), ZERO, slope * vabs(o.z));
    vreal value = fmadd(both_weights, o.l, linear);

    vreal large = ONE / (ONE + o.e), small = o.e * large; /* sigmoid of |z| and of -|z| */
    vreal p = choose(right, large, small), one_minus_p = choose(right, small, large);
    vreal gradient = fmadd(negative, p, -(positive * one_minus_p));

    vreal curvature = large * small;
    if (o.curvature == FL_PSD) curvature = vmax(UNIFORM(CURVATURE_FLOOR), curvature);
    if (o.curvature == FL_MAJORIZE) curvature = vmax(UNIFORM(CURVATURE_FLOOR), logistic_bound(vabs(o.z), o.e, large));
    return (point){.value = value, .gradient = gradient, .hessian = both_weights * curvature};
}

/* The same for labels 0 and 1 that weigh alike, with the products by 0 and 1 left out: equal to the last bit. */
ALWAYS_INLINE point hard_cross_entropy(operands o)
{
    vmask is_positive = eq(o.t, ONE);
    vreal m = choose(is_positive, -o.z, o.z); /* softplus(m) is the loss */
    vreal large = ONE / (ONE + o.e), sigmoid_m = choose(le(ZERO, m), large, o.e * large);
    return (point){.value = vmax(ZERO, m) + o.l, .gradient = choose(is_positive, -sigmoid_m, sigmoid_m)};
}

ALWAYS_INLINE point binary_cross_entropy(operands o)
{
    if (o.hard && !o.want_hessian && o.p[0] == 1 && o.p[1] == 0) return hard_cross_entropy(o);
    /* 1 - t is smoothed like t, not taken from the smoothed t: that would cancel */
    const double smoothing = o.p[1];
    vreal t = o.t, other = ONE - o.t;
    if (smoothing != 0) t = smoothed(t, smoothing), other = smoothed(other, smoothing);
    return weighted_cross_entropy(o, o.pos_weight * t, other);
}
POINTWISE(binary_cross_entropy, FL_UNIT_INTERVAL, 2, STAGE(exp_of_distance, FOR_ALL), STAGE(log1p_of_e, FL_VALUE))
