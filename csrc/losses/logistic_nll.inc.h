/* s + |r| + 2 log1p(exp(-|r|)), r = (t - m) exp(-s): negative log-density of a logistic distribution of location m = z[0] and log
 * scale s = z[1]. With e = exp(-|r|), tanh(|r| / 2) = (1 - e) / (1 + e); below |r| = 1 / 2 expm1 keeps the digits of 1 - e.
 * In m it is concave in r^2: psd and majorize are gradient / (m - t), of the parabola above it. The curvature of s as
 * location_scale.inc.h says.
 */
#include "location_scale.inc.h"

ALWAYS_INLINE columns logistic_nll(column_operands o)
{
    vreal scale = exp_any(-o.z[1]), r = (o.t - o.z[0]) * scale, distance = vabs(r);
    vreal less = -expm1_nonpositive(-distance), e = exp_nonpositive(-distance), inverse = ONE / (ONE + e);
    vreal tanh = less * inverse, bend = UNIFORM(2) * e * inverse * inverse; /* (1 - tanh^2) / 2 */
    vreal sharpness = scale * scale, moment = distance * tanh;
    moment = choose(eq(distance, UNIFORM(REAL_INFINITY)), distance, moment);
    /* tanh(|r| / 2) / |r| <= 1 / 2, its limit */
    vreal ratio = choose(lt(distance, UNIFORM(0x1p-40)), UNIFORM(0.5), tanh / distance);
    vreal far = choose(lt(distance, UNIFORM(0x1p10)), distance * bend, ZERO);
    columns c = {.value = (o.z[1] + distance) + UNIFORM(2) * log1p_unit(e),
                 .gradient = {-with_sign_of(tanh * scale, r), ONE - moment},
                 .hessian = {bend * sharpness, with_sign_of((tanh + far) * scale, r), fmadd(far, distance, moment)}};
    c.gradient[0] = keep_nan(r, c.gradient[0]);
    const double expected_of_scale = (3 + 9.86960440108935862) / 9;
    return curvature_of_scale(c, o.curvature, ratio * sharpness, UNIFORM(1.0 / 3) * sharpness,
                              UNIFORM(expected_of_scale));
}
COLUMNS(logistic_nll, 2, FL_ANY, 0)
