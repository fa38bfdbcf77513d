/* s + |r| + log(2), r = (t - m) exp(-s): negative log-density of a Laplace distribution of median m = z[0] and log scale s = z[1].
 * It has no curvature of its own in m: psd is the expected one, exp(-2 s), and majorize gradient / (m - t), as for the absolute
 * error. The gradient 1 - |r| of s has, up to its 0 at |r| = 1, the slope (|r| - 1) / log|r|, below the mean of 1 and |r|, psd:
 * a step of s alone never passes the minimum. majorize is the larger of psd and exact.
 */
#include "location_scale.inc.h"

ALWAYS_INLINE columns laplace_nll(column_operands o)
{
    vreal scale = exp_any(-o.z[1]), away = o.z[0] - o.t, r = vabs(away) * scale;
    vreal slope = keep_nan(away, choose(eq(away, ZERO), ZERO, with_sign_of(scale, away)));
    vreal expected = scale * scale, bound = expected;
    if (o.curvature == FL_MAJORIZE) bound = scale / vmax(UNIFORM(SMALLEST_NORMAL), vabs(away));
    columns c = {.value = o.z[1] + r + UNIFORM(0.693147180559945309),
                 .gradient = {slope, ONE - r},
                 .hessian = {keep_nan(away, ZERO), -slope, r}};
    return curvature_of_scale(c, o.curvature, bound, expected, ONE);
}
COLUMNS(laplace_nll, 2, FL_ANY, 0)
