/* c^2 (x - log1p(x)), x = |r| / c. Fair 1974. majorize is gradient / r, of the parabola that touches the loss here and lies
 * above it everywhere.
 *
 * Where x is small the value is r^2 times (x - log1p(x)) / x^2: what dividing by c rounds off weighs nothing then.
 */
ALWAYS_INLINE vreal fair_ratio(operands o)
{
    return vmin(UNIFORM(LARGEST), divided_by(vmin(UNIFORM(LARGEST), vabs(o.z - o.t)), o.p[0]));
}

ALWAYS_INLINE vreal fair_value(operands o)
{
    vreal r = vabs(o.z - o.t), x = fair_ratio(o), value = minus_log1p(x);
    vreal far = choose(lt(x, UNIFORM(0x1p60)), times_square(value, o.p[0]), UNIFORM(o.p[0]) * r);
    return choose(lt(ONE + x, UNIFORM(SQRT_2)), r * r * value, keep_nan(r, far));
}

ALWAYS_INLINE point fair(operands o)
{
    const double c = o.p[0];
    vreal r = o.z - o.t, x = fair_ratio(o), w = ONE / (ONE + x);
    vreal hessian = o.curvature == FL_MAJORIZE ? w : w * w;
    if (o.curvature != FL_EXACT) hessian = vmax(UNIFORM(CURVATURE_FLOOR), hessian);
    return (point){.value = o.e, .gradient = with_sign_of(UNIFORM(c) * (x / (ONE + x)), r), .hessian = hessian};
}
POINTWISE(fair, FL_ANY, 1, STAGE(fair_value, FL_VALUE), NULL, 0)
