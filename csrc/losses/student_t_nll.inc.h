/* s + (v + 1) / 2 log1p(r^2 / v) + c, r = (t - m) exp(-s): negative log-density of Student's t distribution with v degrees of freedom,
 * location m = z[0] and log scale s = z[1]; c = log(Gamma(v / 2) sqrt(v pi) / Gamma((v + 1) / 2)). Lange, Little & Taylor 1989,
 * doi:10.1080/01621459.1989.10478852.
 * In x^2 = r^2 / v as in cauchy.inc.h. psd and majorize of m are gradient / (m - t), of the parabola above it. The curvature of s
 * as location_scale.inc.h says.
 */
#include "location_scale.inc.h"

ALWAYS_INLINE columns student_t_nll(column_operands o)
{
    const double df = o.p[0], root = o.p[1]; /* sqrt(v) */
    vreal scale = exp_any(-o.z[1]), away = o.t - o.z[0],
          x = vmin(UNIFORM(LARGEST), divided_by(vabs(away) * scale, root));
    vmask far = lt(UNIFORM(FL_REAL == 32 ? 0x1p30 : 0x1p60), x); /* beyond, 1 + x^2 is x^2, and may overflow */
    vreal near = choose(far, ONE, x), square = near * near, u = ONE + square, inverse = ONE / u;
    vreal log = log_of_sum(choose(far, x, u), choose(far, ZERO, rounded_off(square, u)));
    vreal share = choose(far, ONE, square * inverse); /* x^2 / (1 + x^2) */
    vreal rest = choose(far, (ONE / x) / x, inverse), slope = choose(far, ONE / x, near * inverse);
    vreal sharpness = scale * scale, bound = UNIFORM((df + 1) / df) * rest * sharpness;
    vreal moment = UNIFORM(df + 1) * share;
    vreal exact = choose(far, -bound, (ONE - near) * (ONE + near) * inverse * bound);
    vreal gradient = with_sign_of(UNIFORM((df + 1) / root) * slope * scale, away);
    columns c = {.value = (o.z[1] + UNIFORM(o.p[2])) + UNIFORM(0.5 * (df + 1)) * choose(far, log + log, log),
                 .gradient = {-gradient, ONE - moment},
                 .hessian = {exact, UNIFORM(2) * rest * gradient, UNIFORM(2) * rest * moment}};
    vmask undefined = eq(away, away);
    c.value = choose(undefined, c.value, away);
    c.gradient[0] = keep_nan(away, c.gradient[0]), c.gradient[1] = keep_nan(away, c.gradient[1]);
    return curvature_of_scale(c, o.curvature, bound, UNIFORM((df + 1) / (df + 3)) * sharpness,
                              UNIFORM(2 * df / (df + 3)));
}
COLUMNS(student_t_nll, 2, FL_ANY, 3)
