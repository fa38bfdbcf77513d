/* exp(z) - t z: Poisson deviance / 2 with log link, without its constant. McCullagh & Nelder 1989.
 *
 * Both value and gradient exp(z) - t cancel where the model is good. So the exponential comes in two parts, of which the
 * larger takes what cancels exactly.
 * majorize: no less than the mean slope of the gradient between z and the minimum log(t), so that a step never passes it, and no
 * less than exp(z).
 */
ALWAYS_INLINE point poisson(operands o)
{
    exp_parts e = exp_exact(o.z);
    vreal rate = e.power + e.rest, product = o.t * o.z;
    vreal value = (e.power - product) + (e.rest - product_error(o.t, o.z, product));
    vmask alone = either(eq(o.t, ZERO), eq(rate, UNIFORM(REAL_INFINITY))); /* 0 inf and inf - inf are no numbers */
    vreal hessian = rate;
    if (o.curvature == FL_MAJORIZE) hessian = vmax(logarithmic_mean_bound(rate, o.t), hessian);
    if (o.curvature != FL_EXACT) hessian = vmax(UNIFORM(CURVATURE_FLOOR), hessian);
    return (point){.value = choose(alone, rate, value), .gradient = (e.power - o.t) + e.rest, .hessian = hessian};
}
POINTWISE(poisson, FL_NONNEGATIVE, 0, NO_STAGES)
