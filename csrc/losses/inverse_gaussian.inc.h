/* t exp(-2 z) / 2 - exp(-z): inverse Gaussian deviance / 2 with log link, without its constant. Tweedie 1957,
 * doi:10.1214/aoms/1177706964.
 * With x = t exp(-z), in two parts like gamma.inc.h and for the same reason, it is exp(-z) (x / 2 - 1), with gradient
 * exp(-z) (1 - x) and Hessian exp(-z) (2 x - 1), negative where the mean is more than twice the target. psd and majorize:
 * exp(-z) max(1, 2 x - 1), no less than the slope of the gradient between z and the minimum log(t).
 */
ALWAYS_INLINE point inverse_gaussian(operands o)
{
    exp_parts e = exp_exact(-o.z);
    vreal inverse = e.power + e.rest;
    vreal large = o.t * e.power, small = fmadd(o.t, e.rest, product_error(o.t, e.power, large));
    small = choose(lt(large, UNIFORM(REAL_INFINITY)), small, ZERO); /* inf - inf is no number */
    vreal bend = fmadd(UNIFORM(2), large, UNIFORM(-1)) + (small + small);
    if (o.curvature != FL_EXACT) bend = vmax(ONE, bend);
    vreal hessian = inverse * bend;
    if (o.curvature != FL_EXACT) hessian = vmax(UNIFORM(CURVATURE_FLOOR), hessian);
    return (point){.value = inverse * (fmadd(UNIFORM(0.5), large, UNIFORM(-1)) + UNIFORM(0.5) * small),
                   .gradient = inverse * ((ONE - large) - small),
                   .hessian = hessian};
}
POINTWISE(inverse_gaussian, FL_POSITIVE, 0, NO_STAGES)
