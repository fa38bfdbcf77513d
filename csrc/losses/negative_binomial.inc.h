/* softplus(u) / a + t softplus(-u), u = z + log(a): negative log-likelihood of a count whose mean is m = exp(z) and whose variance
 * m + a m^2, without what depends on the target alone. Hilbe 2011, doi:10.1017/CBO9780511973420.
 *
 * It is a cross-entropy whose labels weigh 1 / a and t: two terms that are not negative, where the form of the text book,
 * (t + 1 / a) log(1 + a m) - t z, cancels. The gradient (m - t) / (1 + a m) cancels wherever the prediction is good, hence
 * exp in two parts like poisson.inc.h; above z = 0 all is divided by m, which may overflow. majorize: exact, or what poisson.inc.h
 * has for it over 1 + a m, if that is more: the mean slope of the gradient down to the minimum log(t) is no more than that.
 */
ALWAYS_INLINE point negative_binomial(operands o)
{
    const vreal dispersion = UNIFORM(o.p[0]), inverse = UNIFORM(1 / o.p[0]);
    vmask right = lt(ZERO, o.z);
    exp_parts e = exp_exact(-vabs(o.z)); /* m, or 1 / m */
    vreal power = choose(right, o.t * e.power, e.power);
    vreal rest = choose(right, fmadd(o.t, e.rest, product_error(o.t, e.power, power)), e.rest);
    vreal other = choose(right, ONE, o.t), sum = e.power + e.rest;
    vreal divisor = choose(right, sum + dispersion, fmadd(dispersion, sum, ONE)); /* 1 + a m, or over m */
    vreal gradient = ((power - other) + rest) / divisor;

    vreal odds = sum * choose(right, inverse, dispersion); /* a m, or its inverse */
    vreal small = choose(lt(ONE, odds), ONE / odds, odds), large = ONE / (ONE + small); /* exp(-|u|), sigmoid(|u|) */
    vreal u = minus_number(o.z, -o.p[1]), distance = vabs(u);
    vreal weight = choose(lt(ZERO, u), inverse, o.t);
    vreal linear = choose(eq(weight, ZERO), ZERO, weight * distance); /* 0 inf is no number */
    vreal both_weights = o.t + inverse, curvature = large * (small * large);
    vreal value = fmadd(both_weights, log1p_unit(small), linear);
    if (o.curvature == FL_FISHER) /* of t = m: sigmoid(u) / a */
        both_weights = inverse, curvature = choose(lt(ZERO, u), large, small * large);
    if (o.curvature != FL_EXACT) curvature = vmax(UNIFORM(CURVATURE_FLOOR), curvature);
    vreal hessian = both_weights * curvature;
    if (o.curvature == FL_MAJORIZE) hessian = vmax(hessian, logarithmic_mean_bound(power + rest, other) / divisor);
    return (point){.value = value, .gradient = choose(right, -gradient, gradient), .hessian = hessian};
}
POINTWISE(negative_binomial, FL_NONNEGATIVE, 2, NO_STAGES)
