/* q (t - z) where t > z, (1 - q) (z - t) where z > t. Koenker & Bassett 1978, doi:10.2307/1913643.
 * No curvature of its own: psd is 1; majorize 1 / (2 |r|) (Hunter & Lange 2000, doi:10.1080/10618600.2000.10474866).
 */
ALWAYS_INLINE point quantile(operands o)
{
    vreal r = o.z - o.t, distance = vabs(r);
    vreal weight = choose(lt(ZERO, r), UNIFORM(1 - o.p[0]), UNIFORM(o.p[0]));
    vreal hessian = o.curvature == FL_EXACT ? ZERO
                    : o.curvature == FL_PSD ? ONE
                                            : UNIFORM(0.5) / vmax(UNIFORM(SMALLEST_NORMAL), distance);
    return (point){.value = distance * weight,
                   .gradient = keep_nan(r, choose(eq(r, ZERO), ZERO, with_sign_of(weight, r))),
                   .hessian = keep_nan(r, hessian)};
}
POINTWISE(quantile, FL_ANY, 1, NO_STAGES)
