/* |a - 2| / a ((1 + x^2)^(a / 2) - 1), x^2 = (r / c)^2 / |a - 2|: the general robust loss. Barron 2019, arXiv:1701.03077. Its limits
 * are log1p(x^2) for a = 0 and (r / c)^2 / 2 for a = 2.
 *
 * With s = log1p(x^2) it is |a - 2| / a expm1(a s / 2), which keeps the digits of small residuals, and the gradient r / c^2 w of
 * w = exp((a / 2 - 1) s). Up to a = 2 it is concave in r^2: majorize, and from a = 1 down psd, is w / c^2 of the parabola above.
 * Beyond, the curvature grows outwards: a Newton step with the exact one never passes the minimum.
 */
ALWAYS_INLINE vreal barron_value(double a, vreal s)
{
    const double bend = a < 2 ? 2 - a : a - 2;
    if (a < 0x1p-60 && a > -0x1p-60) return s;
    vreal y = UNIFORM(0.5 * a) * s, less = vabs(expm1_nonpositive(-vabs(y))); /* 1 - exp(-|y|) */
    if (a < 0) return UNIFORM(-bend / a) * less;
    return UNIFORM(bend / a) * less * exp_any(y);
}

ALWAYS_INLINE point barron(operands o)
{
    const double a = o.p[0], c = o.p[1], kink = o.p[2]; /* kink: c sqrt(|a - 2|) */
    vreal r = o.z - o.t, distance = vmin(UNIFORM(LARGEST), vabs(r));
    vreal slope = divided_by(divided_by(distance, c), c), sharp = divided_by(divided_by(ONE, c), c);
    vmask infinite = eq(vabs(r), UNIFORM(REAL_INFINITY));
    if (kink == 0) {
        vreal value = UNIFORM(0.5) * distance * slope;
        return (point){.value = keep_nan(r, choose(infinite, vabs(r), value)),
                       .gradient = keep_nan(r, choose(infinite, r, with_sign_of(slope, r))),
                       .hessian = keep_nan(r, sharp)};
    }
    vreal x = vmin(UNIFORM(LARGEST), divided_by(distance, kink));
    vmask far = lt(UNIFORM(FL_REAL == 32 ? 0x1p30 : 0x1p60), x); /* beyond, 1 + x^2 is x^2, and may overflow */
    vreal near = choose(far, ONE, x), square = near * near, u = ONE + square, inverse = ONE / u;
    vreal log = log_of_sum(choose(far, x, u), choose(far, ZERO, rounded_off(square, u)));
    vreal s = choose(far, log + log, log);
    vreal weight = a < 2 ? exp_nonpositive(UNIFORM(0.5 * a - 1) * s) : exp_any(UNIFORM(0.5 * a - 1) * s);
    vreal value = barron_value(a, s);
    if (a == 1) { /* a square root has more digits */
        vreal root = choose(far, x, vsqrt(u));
        weight = ONE / root, value = choose(far, x, square / (root + ONE));
    }
    vreal share = choose(far, ONE, square * inverse), rest = choose(far, ZERO, inverse);
    vreal hessian = sharp * weight;
    if (o.curvature == FL_EXACT || a > 2 || (a >= 1 && o.curvature == FL_PSD))
        hessian *= fmadd(UNIFORM(a - 1), share, rest);
    if (o.curvature != FL_EXACT) hessian = vmax(UNIFORM(CURVATURE_FLOOR), hessian);
    vreal gradient = with_sign_of(slope * weight, r);
    if (a != 1) gradient = choose(infinite, a > 1 ? r : ZERO, gradient);
    if (a >= 0) value = choose(infinite, vabs(r), value);
    return (point){.value = keep_nan(r, value), .gradient = keep_nan(r, gradient), .hessian = keep_nan(r, hessian)};
}
POINTWISE(barron, FL_ANY, 3, NO_STAGES)
