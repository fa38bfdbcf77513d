/* max(0, |r| - epsilon). Vapnik 1995. No curvature of its own: psd is 1; majorize that of its two hinges together. */
#include "margin.inc.h"

ALWAYS_INLINE point epsilon_insensitive(operands o)
{
    vreal epsilon = UNIFORM(o.p[0]), r = o.z - o.t, distance = vabs(r), u = minus_number(distance, o.p[0]);
    vreal hessian = o.curvature == FL_EXACT ? ZERO
                    : o.curvature == FL_PSD ? ONE
                                            : hinge_majorizer(u) + hinge_majorizer(distance + epsilon);
    return (point){.value = vmax(ZERO, u),
                   .gradient = choose(lt(ZERO, u), with_sign_of(ONE, r), keep_nan(r, ZERO)),
                   .hessian = keep_nan(r, hessian)};
}
POINTWISE(epsilon_insensitive, FL_ANY, 1, NO_STAGES)
