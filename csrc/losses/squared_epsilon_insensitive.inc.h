/* max(0, |r| - epsilon)^2 */
ALWAYS_INLINE point squared_epsilon_insensitive(operands o)
{
    vreal r = o.z - o.t, u = vmax(ZERO, minus(vabs(r), o.p[0]));
    vreal inside = o.curvature == FL_MAJORIZE ? C(2) : ZERO;
    return (point){
        .value = u * u, .gradient = with_sign_of(u + u, r), .hessian = choose(lt(ZERO, u), C(2), nan_or(u, inside))};
}
POINTWISE(squared_epsilon_insensitive, FL_ANY, 1, NO_STAGES)
