/* exp((2 - P) z) / (2 - P) - t exp((1 - P) z) / (1 - P), 1 < P < 2: Tweedie deviance / 2 with log link, without its constant.
 * Jorgensen 1987, doi:10.1111/j.2517-6161.1987.tb01685.x.
 * In two parts like poisson.inc.h, and for the same reason. majorize: the larger of the two exponential terms, no less than
 * the slope of the gradient between z and the minimum log(t).
 */
ALWAYS_INLINE point tweedie(operands o)
{
    const double power = o.p[0];
    exp_parts up = exp_of_product(2 - power, o.z), down = exp_of_product(1 - power, o.z);
    vmask no_target = eq(o.t, ZERO); /* 0 inf is no number */
    vreal large = choose(no_target, ZERO, o.t * down.power);
    vreal small = choose(no_target, ZERO, fmadd(o.t, down.rest, product_error(o.t, down.power, large)));
    small = choose(lt(large, UNIFORM(REAL_INFINITY)), small, ZERO); /* nor is inf - inf */
    vreal first = up.power + up.rest, second = large + small;
    vreal hessian = o.curvature == FL_MAJORIZE ? vmax(first, second)
                                               : fmadd(UNIFORM(2 - power), first, UNIFORM(power - 1) * second);
    if (o.curvature != FL_EXACT) hessian = vmax(UNIFORM(CURVATURE_FLOOR), hessian);
    return (point){.value = fmadd(UNIFORM(1 / (2 - power)), first, UNIFORM(1 / (power - 1)) * second),
                   .gradient = (up.power - large) + (up.rest - small),
                   .hessian = hessian};
}
POINTWISE(tweedie, FL_NONNEGATIVE, 1, NO_STAGES)
