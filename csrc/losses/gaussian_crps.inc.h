/* e^s (r (2 Phi(r) - 1) + 2 phi(r) - 1 / sqrt(pi)), r = (t - m) exp(-s): the continuous ranked probability score of a normal
 * distribution of mean m = z[0] and log standard deviation s = z[1], in the unit of the target. Gneiting & Raftery 2007,
 * doi:10.1198/016214506000001437.
 * 2 Phi(r) - 1 is erf(r / sqrt(2)). In m it is concave in r^2: psd and majorize are gradient / (m - t), of the parabola above it.
 * The gradient e^s (2 phi(r) - 1 / sqrt(pi)) of s has, up to its 0 at r^2 = log(2), nowhere a slope beyond 0.5285 e^s, nor has the
 * exact curvature: psd and majorize, with which a step of s alone never passes the minimum. The expectation is that under the
 * distribution itself, the metric of this score.
 */
#include "location_scale.inc.h"

ALWAYS_INLINE columns gaussian_crps(column_operands o) { return gaussian_score(o.z[0], o.z[1], o.t, o.curvature); }
COLUMNS(gaussian_crps, 2, FL_ANY, 0)
