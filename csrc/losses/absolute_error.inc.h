/* |z - t|, gradient 0 at the kink.
 * It has no curvature of its own: psd is 1, as boosters take it; majorize is gradient / r = 1 / |r|, the curvature of the
 * parabola that touches |r| here and lies above it everywhere (Hunter & Lange 2004).
 */
ALWAYS_INLINE point absolute_error(operands o)
{
    vreal r = o.z - o.t, distance = vabs(r);
    vreal sign = choose(eq(r, ZERO), ZERO, with_sign_of(ONE, r));
    vreal hessian = o.curvature == FL_EXACT ? ZERO
                    : o.curvature == FL_PSD
                        ? ONE
                        : ONE / choose(lt(distance, UNIFORM(SMALLEST_NORMAL)), UNIFORM(SMALLEST_NORMAL), distance);
    /* nan has no sign */
    return (point){.value = distance, .gradient = choose(eq(r, r), sign, r), .hessian = choose(eq(r, r), hessian, r)};
}
POINTWISE(absolute_error, FL_ANY, 0, NO_STAGES)
