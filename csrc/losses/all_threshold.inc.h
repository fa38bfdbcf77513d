/* The sum over the columns of softplus(z_k) - [t > k] z_k: binary_cross_entropy.inc.h of whether the class t is above k, which is
 * coefficient k. Rennie & Srebro 2005 (all-threshold). Convex: psd is the Hessian; majorize the parabola above softplus.
 */
ALWAYS_INLINE point all_threshold(column_operands o, ptrdiff_t k)
{
    vreal z = o.z[0], e = exp_nonpositive(-vabs(z)), large = ONE / (ONE + e), small = e * large;
    vmask above = lt(UNIFORM(o.p[k]), o.t);
    vreal margin = choose(above, z, -z); /* the loss is softplus(-margin) */
    vreal wrong = choose(le(ZERO, margin), small, large), hessian = small * large;
    if (o.curvature == FL_MAJORIZE) hessian = logistic_bound(vabs(z), e, large);
    if (o.curvature != FL_EXACT) hessian = vmax(UNIFORM(CURVATURE_FLOOR), hessian);
    return (point){.value = vmax(ZERO, -margin) + log1p_unit(e),
                   .gradient = keep_nan(z, choose(above, -wrong, wrong)),
                   .hessian = keep_nan(z, hessian)};
}
EACH_COLUMN(all_threshold, FL_CLASSES)
