/* r^2 / (2 beta) where |r| < beta, |r| - beta / 2 outside: Huber's loss over beta. Girshick 2015, arXiv:1504.08083. */
ALWAYS_INLINE point smooth_l1(operands o)
{
    const double inverse = 1 / o.p[0] < (double)LARGEST ? 1 / o.p[0] : (double)LARGEST;
    vreal beta = UNIFORM(o.p[0]), per_beta = UNIFORM(inverse);
    vreal r = o.z - o.t, distance = vabs(r), c = vmax(-beta, vmin(beta, r));
    vreal outside = o.curvature == FL_EXACT ? ZERO : vmax(UNIFORM(CURVATURE_FLOOR), ONE / distance);
    vreal gradient = vmax(UNIFORM(-1), vmin(ONE, r * per_beta));
    return (point){.value = gradient * fmadd(UNIFORM(-0.5), c, r),
                   .gradient = gradient,
                   .hessian = choose(lt(distance, beta), per_beta, keep_nan(r, outside))};
}
POINTWISE(smooth_l1, FL_ANY, 1, NO_STAGES)
