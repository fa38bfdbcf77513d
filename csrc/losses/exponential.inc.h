/* exp(-m). Friedman, Hastie & Tibshirani 2000, doi:10.1214/aos/1016218223.
 * No parabola lies above it; its own Newton step never passes the minimum, which is all that majorize promises.
 */
#include "margin.inc.h"

ALWAYS_INLINE point exponential_of_margin(vreal m, operands o)
{
    (void)o;
    vreal e = exp_any(-m);
    return (point){.value = e, .gradient = -e, .hessian = e};
}

ALWAYS_INLINE point exponential(operands o) { return mixture_of_margins(o, exponential_of_margin); }
POINTWISE(exponential, FL_UNIT_INTERVAL, 0, NO_STAGES)
