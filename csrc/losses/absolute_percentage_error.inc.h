/* |z - t| / max(|t|, epsilon). Without curvature: psd is that of the absolute error, 1, over the same scale; majorize is
 * gradient / r, of the parabola that touches the loss here and lies above it everywhere. */
ALWAYS_INLINE point absolute_percentage_error(operands o)
{
    vreal r = o.z - o.t, distance = vabs(r);
    vreal scale = vmax(vmax(UNIFORM(SMALLEST_NORMAL), UNIFORM(o.p[0])), vabs(o.t)), slope = ONE / scale;
    vreal hessian = ZERO;
    if (o.curvature == FL_PSD) hessian = slope;
    if (o.curvature == FL_MAJORIZE) hessian = slope / vmax(distance, UNIFORM(SMALLEST_NORMAL));
    if (o.curvature != FL_EXACT) hessian = vmax(UNIFORM(CURVATURE_FLOOR), hessian);
    return (point){.value = distance / scale,
                   .gradient = keep_nan(r, choose(eq(r, ZERO), ZERO, with_sign_of(slope, r))),
                   .hessian = keep_nan(r, hessian)};
}
POINTWISE(absolute_percentage_error, FL_ANY, 1, NO_STAGES)
