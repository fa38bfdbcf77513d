/* max(0, 1 - m). Cortes & Vapnik 1995, doi:10.1007/BF00994018. It has no curvature of its own: psd is 1. */
#include "margin.inc.h"

ALWAYS_INLINE point hinge_of_margin(vreal m, operands o)
{
    vreal u = ONE - m;
    vreal hessian = o.curvature == FL_EXACT ? ZERO : o.curvature == FL_PSD ? ONE : hinge_majorizer(u);
    return (point){.value = vmax(ZERO, u),
                   .gradient = choose(lt(ZERO, u), UNIFORM(-1), keep_nan(u, ZERO)),
                   .hessian = keep_nan(u, hessian)};
}

ALWAYS_INLINE point hinge(operands o) { return mixture_of_margins(o, hinge_of_margin); }
POINTWISE(hinge, FL_UNIT_INTERVAL, 0, NO_STAGES)
