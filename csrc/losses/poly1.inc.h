/* -log p + epsilon (1 - p). Leng et al. 2022, arXiv:2204.12511. c = 1 + epsilon p, D = -epsilon p.
 *
 * A negative epsilon takes away what -log p holds: with -log p - (1 - p), which is about (1 - p)^2 / 2 where p is near 1, and
 * 1 + epsilon as the factor of 1 - p, the difference is taken once, between numbers that are exact.
 * The bound: c <= 1 + epsilon and D <= 0 for epsilon >= 0; else c <= 1 and |D| |p - d|^2 <= |epsilon| p 2 (1 - p)^2, at
 * most 8 |epsilon| / 27.
 */
ALWAYS_INLINE terms poly1(probability y)
{
    const double epsilon = y.coefficients[0];
    vreal value, first, e = UNIFORM(epsilon);
    if (epsilon >= 0) {
        value = fmadd(e, y.rest, y.loss);
        first = fmadd(e, y.p, ONE);
    } else {
        vreal above = choose(lt(y.rest, UNIFORM(0.29)), -(y.rest * y.rest) * log1p_bend(-y.rest), y.loss - y.rest);
        value = fmadd(UNIFORM(1 + epsilon), y.rest, above);
        first = fmadd(-e, y.rest, UNIFORM(1 + epsilon));
    }
    value = choose(lt(y.loss, UNIFORM(REAL_INFINITY)), value, y.loss);
    return (terms){.value = value,
                   .first = first,
                   .second = -e * y.p * (y.rest * y.rest),
                   .bound = UNIFORM(epsilon >= 0 ? 0.5 * (1 + epsilon) : 0.5 - epsilon * 8 / 27)};
}
ROWWISE(poly1, 1)
