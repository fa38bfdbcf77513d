/* delta^2 (sqrt(1 + q^2) - 1), q = |r| / delta. Charbonnier et al. 1997, doi:10.1109/83.551699.
 *
 * As delta |r| q / (sqrt(1 + q^2) + 1) nothing cancels for small r, and nothing overflows for large. majorize is
 * gradient / r, of the parabola that touches the loss here and lies above it everywhere.
 */
ALWAYS_INLINE point pseudo_huber(operands o)
{
    vreal delta = UNIFORM(o.p[0]);
    vreal r = o.z - o.t, distance = vmin(UNIFORM(LARGEST), vabs(r));
    vreal q = vmin(UNIFORM(LARGEST), divided_by(distance, o.p[0]));
    vmask far = lt(UNIFORM(FL_REAL == 32 ? 0x1p30 : 0x1p60), q); /* where 1 + q^2 is q^2, and may overflow */
    vreal square = fmadd(q, q, ONE), s = choose(far, q, vsqrt(square));
    vreal hessian = o.curvature == FL_MAJORIZE ? ONE / s : ONE / (square * s);
    if (o.curvature != FL_EXACT) hessian = vmax(UNIFORM(CURVATURE_FLOOR), hessian);
    return (point){.value = choose(lt(vabs(r), UNIFORM(REAL_INFINITY)), delta * (distance * (q / (s + ONE))), vabs(r)),
                   .gradient = with_sign_of(delta * (q / s), r),
                   .hessian = hessian};
}
POINTWISE(pseudo_huber, FL_ANY, 1, NO_STAGES)
