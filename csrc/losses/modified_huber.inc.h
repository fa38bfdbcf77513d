/* max(0, 1 - m)^2 where m >= -1, -4 m below. Zhang 2004, doi:10.1145/1015330.1015332.
 *
 * With u = 1 - m and c = u clipped to [0, 2] it is c (2 u - c), without a branch. On the straight part psd and
 * majorize are gradient / u, the curvature of the parabola that touches it there and has its minimum at u = 0.
 */
#include "margin.inc.h"

ALWAYS_INLINE point modified_huber_of_margin(vreal m, operands o)
{
    vreal u = vmax(ZERO, ONE - m), c = vmin(UNIFORM(2), u);
    vreal beyond = o.curvature == FL_MAJORIZE ? UNIFORM(2) : ZERO;
    vreal straight = o.curvature == FL_EXACT ? ZERO : vmax(UNIFORM(CURVATURE_FLOOR), UNIFORM(4) / u);
    vreal hessian = choose(lt(UNIFORM(2), u), straight, choose(lt(ZERO, u), UNIFORM(2), beyond));
    return (point){.value = c * (u + (u - c)), .gradient = UNIFORM(-2) * c, .hessian = keep_nan(u, hessian)};
}

ALWAYS_INLINE point modified_huber(operands o) { return mixture_of_margins(o, modified_huber_of_margin); }
POINTWISE(modified_huber, FL_UNIT_INTERVAL, 0, NO_STAGES)
