/* gaussian_crps.inc.h of log(t): the score of a log-normal distribution, in the unit of log(t). */
#include "location_scale.inc.h"

ALWAYS_INLINE columns log_normal_crps(column_operands o)
{
    return gaussian_score(o.z[0], o.z[1], log_positive(o.t), o.curvature);
}
COLUMNS(log_normal_crps, 2, FL_POSITIVE, 0)
