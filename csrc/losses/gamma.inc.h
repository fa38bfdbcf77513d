/* z + t exp(-z): gamma deviance / 2 with log link, without its constant. McCullagh & Nelder 1989.
 * In two parts like poisson.inc.h, and for the same reason. majorize: max(1, t exp(-z)), no less than the slope of the gradient
 * between z and the minimum log(t).
 */
ALWAYS_INLINE point gamma(operands o)
{
    exp_parts e = exp_exact(-o.z);
    vreal large = o.t * e.power, small = fmadd(o.t, e.rest, product_error(o.t, e.power, large));
    small = choose(lt(large, UNIFORM(REAL_INFINITY)), small, ZERO); /* inf - inf is no number */
    vreal ratio = large + small;
    vreal hessian = ratio;
    if (o.curvature == FL_MAJORIZE) hessian = vmax(ONE, hessian);
    if (o.curvature != FL_EXACT) hessian = vmax(UNIFORM(CURVATURE_FLOOR), hessian);
    vreal value = choose(eq(ratio, UNIFORM(REAL_INFINITY)), ratio, (o.z + large) + small);
    return (point){.value = value, .gradient = (ONE - large) - small, .hessian = hessian};
}
POINTWISE(gamma, FL_POSITIVE, 0, NO_STAGES)
