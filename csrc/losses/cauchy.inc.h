/* c^2 / 2 log1p(x^2), x = |r| / c. Black & Anandan 1996, doi:10.1006/cviu.1996.0006 ("Lorentzian").
 * Not convex: psd and majorize are gradient / r = 1 / (1 + x^2), the weight of iterated least squares; its parabola touches the
 * loss here and lies above it everywhere.
 */
#define CAUCHY_FAR (FL_REAL == 32 ? 0x1p30 : 0x1p60) /* beyond, 1 + x^2 is x^2, and may overflow */

ALWAYS_INLINE vreal cauchy_ratio(operands o)
{
    return vmin(UNIFORM(LARGEST), divided_by(vmin(UNIFORM(LARGEST), vabs(o.z - o.t)), o.p[0]));
}

ALWAYS_INLINE vreal cauchy_value(operands o)
{
    vreal r = vabs(o.z - o.t), x = cauchy_ratio(o), square = x * x, u = ONE + square;
    vmask far = lt(UNIFORM(CAUCHY_FAR), x);
    vreal scaled = divided_by(vmin(UNIFORM(LARGEST), r) * UNIFORM(0x1p-64), o.p[0]); /* finite where x may not be */
    vreal log = log_of_sum(choose(far, scaled, u), choose(far, ZERO, rounded_off(square, u)));
    return keep_nan(r, choose(far, log + UNIFORM(64 * 0.693147180559945309), UNIFORM(0.5) * log));
}

ALWAYS_INLINE point cauchy(operands o)
{
    vreal c = UNIFORM(o.p[0]);
    vreal r = o.z - o.t, x = cauchy_ratio(o);
    vmask far = lt(UNIFORM(CAUCHY_FAR), x);
    vreal near = vmin(UNIFORM(CAUCHY_FAR), x), inverse = ONE / choose(far, x, fmadd(near, near, ONE));
    vreal w = choose(far, inverse * inverse, inverse);
    vreal hessian;
    if (o.curvature == FL_EXACT)
        hessian = choose(far, -w, (ONE - near) * w * ((ONE + near) * w));
    else
        hessian = vmax(UNIFORM(CURVATURE_FLOOR), w);
    vreal value = times_square(o.e, o.p[0]);
    vreal gradient = with_sign_of(c * choose(far, inverse, near * w), r);
    vmask infinite = eq(vabs(r), UNIFORM(REAL_INFINITY));
    return (point){.value = choose(infinite, vabs(r), value),
                   .gradient = keep_nan(r, choose(infinite, ZERO, gradient)),
                   .hessian = keep_nan(r, hessian)};
}
POINTWISE(cauchy, FL_ANY, 1, STAGE(cauchy_value, FL_VALUE), NULL, 0)
