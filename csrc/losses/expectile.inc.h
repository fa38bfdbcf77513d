/* |q - [t < z]| r^2. Newey & Powell 1987, doi:10.2307/1911031. majorize: the larger of the two curvatures. */
ALWAYS_INLINE point expectile(operands o)
{
    const double q = o.p[0];
    vreal r = o.z - o.t;
    vreal weight = choose(lt(ZERO, r), UNIFORM(1 - q), UNIFORM(q)), doubled = weight + weight;
    vreal hessian = o.curvature == FL_MAJORIZE ? UNIFORM(q < 0.5 ? 2 * (1 - q) : 2 * q) : doubled;
    return (point){.value = weight * r * r, .gradient = doubled * r, .hessian = keep_nan(r, hessian)};
}
POINTWISE(expectile, FL_ANY, 1, NO_STAGES)
