/* The negative log-density of a log-normal distribution: gaussian_nll.inc.h of log(t), and log(t). */
#include "location_scale.inc.h"

ALWAYS_INLINE columns log_normal_nll(column_operands o)
{
    vreal log_t = log_positive(o.t);
    columns c = gaussian(o.z[0], o.z[1], log_t, o.curvature);
    c.value += log_t;
    return c;
}
COLUMNS(log_normal_nll, 2, FL_POSITIVE, 0)
