/* max(0, |r| - epsilon)^2 */
ALWAYS_INLINE point squared_epsilon_insensitive(operands o)
{
    vreal r = o.z - o.t, u = vmax(ZERO, minus_number(vabs(r), o.p[0]));
    vreal inside = o.curvature == FL_MAJORIZE ? UNIFORM(2) : ZERO;
    return (point){.value = u * u,
                   .gradient = with_sign_of(u + u, r),
                   .hessian = choose(lt(ZERO, u), UNIFORM(2), keep_nan(u, inside))};
}
POINTWISE(squared_epsilon_insensitive, FL_ANY, 1, NO_STAGES)
