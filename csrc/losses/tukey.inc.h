/* c^2 / 6 (1 - (1 - x^2)^3), x = |r| / c, and c^2 / 6 from x = 1 on: the biweight. Beaton & Tukey 1974,
 * doi:10.1080/00401706.1974.10489171.
 * As r^2 (3 - 3 x^2 + x^4) / 6 nothing cancels for small r. 1 - x^2 is y (2 - y) of y = (c - |r|) / c, whose difference is
 * exact near c. Not convex: psd and majorize are gradient / r = (1 - x^2)^2, of the parabola that touches the
 * loss here and lies above it everywhere.
 */
ALWAYS_INLINE point tukey(operands o)
{
    const double c = o.p[0];
    vreal r = o.z - o.t, distance = vmin(UNIFORM(c), vabs(r));
    vreal x = divided_by(distance, c), square = x * x;
    vreal y = divided_by(-minus_number(distance, c), c), rest = fmadd(-y, y, y + y), weight = rest * rest;
    vreal near = distance * distance * (UNIFORM(1.0 / 6) * fmadd(square, square - UNIFORM(3), UNIFORM(3)));
    vmask inside = lt(vabs(r), UNIFORM(c));
    vreal hessian = o.curvature == FL_EXACT ? rest * fmadd(UNIFORM(-5), square, ONE) : weight;
    hessian = choose(inside, hessian, ZERO);
    if (o.curvature != FL_EXACT) hessian = vmax(UNIFORM(CURVATURE_FLOOR), hessian);
    return (point){.value = keep_nan(r, choose(inside, near, UNIFORM(c * c / 6))),
                   .gradient = keep_nan(r, choose(inside, weight * r, ZERO)),
                   .hessian = keep_nan(r, hessian)};
}
POINTWISE(tukey, FL_ANY, 1, NO_STAGES)
