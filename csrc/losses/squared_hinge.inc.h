/* max(0, 1 - m)^2 */
#include "margin.inc.h"

ALWAYS_INLINE point squared_hinge_of_margin(vreal m, operands o)
{
    vreal u = vmax(ZERO, ONE - m);
    vreal beyond = o.curvature == FL_MAJORIZE ? UNIFORM(2) : ZERO;
    return (point){
        .value = u * u, .gradient = UNIFORM(-2) * u, .hessian = choose(lt(ZERO, u), UNIFORM(2), keep_nan(u, beyond))};
}

ALWAYS_INLINE point squared_hinge(operands o) { return mixture_of_margins(o, squared_hinge_of_margin); }
POINTWISE(squared_hinge, FL_UNIT_INTERVAL, 0, NO_STAGES)
