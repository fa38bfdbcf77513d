/* L^2, L = log1p(z) - log1p(t). Of a prediction next to the target L is log1p((z - t) / (1 + t)), which does not cancel.
 * Not convex: psd and majorize are 2 (1 + |L|) / (1 + z)^2. It is nowhere below the Hessian, 2 (1 - L) / (1 + z)^2, and its Newton step
 * leads from 1 + z to (1 + z) (1 - L / (1 + |L|)), which lies between 1 + z and 1 + t = (1 + z) exp(-L).
 */
ALWAYS_INLINE vreal log1p_above(vreal x) /* of x > -1; -inf of -1, nan below */
{
    vreal u = ONE + x, log = log_of_sum(choose(lt(ZERO, u), u, ONE), rounded_off(x, u));
    vreal low = choose(eq(u, ZERO), UNIFORM(-REAL_INFINITY), u - u + UNIFORM(REAL_INFINITY) - UNIFORM(REAL_INFINITY));
    return choose(eq(x, UNIFORM(REAL_INFINITY)), x, choose(lt(ZERO, u), log, low));
}

ALWAYS_INLINE point squared_log_error(operands o)
{
    vreal both = ONE + o.t, away = o.z - o.t, d = away / both;
    vmask near = lt(vabs(d), UNIFORM(0.29));
    vreal small = choose(near, d, ZERO);
    vreal log = choose(near, small + log1p_tail(small), log1p_above(o.z) - log1p_above(o.t));
    vreal inverse = ONE / (ONE + o.z), square = inverse * inverse;
    vreal bend = o.curvature == FL_EXACT ? ONE - log : ONE + vabs(log);
    vreal hessian = UNIFORM(2) * square * bend;
    if (o.curvature != FL_EXACT) hessian = vmax(UNIFORM(CURVATURE_FLOOR), hessian);
    return (point){.value = log * log, .gradient = UNIFORM(2) * log * inverse, .hessian = keep_nan(log, hessian)};
}
POINTWISE(squared_log_error, FL_NONNEGATIVE, 0, NO_STAGES)
