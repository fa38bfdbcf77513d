/* What the losses of a location z[0] and the log s of a scale z[1] share: from the exact Hessian, the other curvatures.
 *
 * The curvature of s: psd is the mean of the exact one and its expectation; majorize is the larger of psd and exact. What that is
 * worth stands with each formula.
 */
#ifndef FASTLOSS_LOCATION_SCALE_INC_H
#define FASTLOSS_LOCATION_SCALE_INC_H

/* `bound`: of the location, psd and majorize; `expected` and `expected_of_scale`: the expectations. */
ALWAYS_INLINE columns curvature_of_scale(columns c, int curvature, vreal bound, vreal expected, vreal expected_of_scale)
{
    if (curvature == FL_EXACT) return c;
    vreal psd = UNIFORM(0.5) * (c.hessian[2] + expected_of_scale);
    vreal of_scale = curvature == FL_PSD ? psd : vmax(psd, c.hessian[2]);
    const int is_expected = curvature == FL_FISHER;
    c.hessian[0] = keep_nan(c.gradient[0], vmax(UNIFORM(CURVATURE_FLOOR), is_expected ? expected : bound));
    c.hessian[1] = ZERO;
    c.hessian[2] = keep_nan(c.gradient[1], is_expected ? expected_of_scale : of_scale);
    return c;
}

/* The normal distribution of mean m and log standard deviation s: gaussian_nll.inc.h. */
ALWAYS_INLINE columns gaussian(vreal m, vreal s, vreal t, int curvature)
{
    vreal scale = exp_any(-s), r = (t - m) * scale, square = r * r, sharpness = scale * scale;
    columns c = {.value = fmadd(UNIFORM(0.5), square, s + UNIFORM(0.918938533204672742)),
                 .gradient = {-(r * scale), ONE - square},
                 .hessian = {sharpness, UNIFORM(2) * r * scale, square + square}};
    return curvature_of_scale(c, curvature, sharpness, sharpness, UNIFORM(2));
}

/* Its continuous ranked probability score: gaussian_crps.inc.h. */
ALWAYS_INLINE columns gaussian_score(vreal m, vreal s, vreal t, int curvature)
{
    const double inverse_root_pi = 0.564189583547756287;
    vreal scale = exp_any(s), inverse = exp_any(-s), away = t - m, r = away * inverse;
    vreal twice = UNIFORM(0.797884560802865356) * exp_nonpositive(UNIFORM(-0.5) * r * r); /* 2 phi(r) */
    vreal share = erf_of(r * UNIFORM(0.707106781186547524)), pull = twice - UNIFORM(inverse_root_pi);
    vreal square = choose(eq(twice, ZERO), ZERO, r * r);
    columns c = {
        .value = scale * fmadd(r, share, pull),
        .gradient = {-share, scale * pull},
        .hessian = {twice * inverse, choose(eq(twice, ZERO), ZERO, r) * twice, scale * fmadd(twice, square, pull)}};
    if (curvature == FL_EXACT) return c;
    vreal ratio = choose(lt(vabs(r), UNIFORM(0x1p-40)), UNIFORM(0.797884560802865356), share / r);
    vreal of_mean = vmax(twice, ratio) * inverse;
    const int is_expected = curvature == FL_FISHER;
    c.hessian[0] =
        keep_nan(r, vmax(UNIFORM(CURVATURE_FLOOR), is_expected ? UNIFORM(inverse_root_pi) * inverse : of_mean));
    c.hessian[1] = ZERO;
    c.hessian[2] = keep_nan(r, UNIFORM(is_expected ? 0.5 * inverse_root_pi : 0.5285) * scale);
    return c;
}

#endif
