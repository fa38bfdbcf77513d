/* s + r^2 / 2 + log(2 pi) / 2, r = (t - m) exp(-s): negative log-density of a normal distribution of mean m = z[0] and log standard
 * deviation s = z[1]. Gauss 1809; Nix & Weigend 1994, doi:10.1109/ICNN.1994.374138.
 * Where s alone moves, its gradient 1 - r^2 is 0 where r^2 = 1, log(r^2) / 2 away, and its slope up to there is
 * 2 (r^2 - 1) / log(r^2), the logarithmic mean of 1 and r^2, doubled: less than twice their arithmetic mean, which is the mean of
 * the exact curvature 2 r^2 and its expectation 2. That is psd: never 0, and a step of s alone never passes the minimum.
 * majorize is the larger of psd and exact.
 */
#include "location_scale.inc.h"

ALWAYS_INLINE columns gaussian_nll(column_operands o) { return gaussian(o.z[0], o.z[1], o.t, o.curvature); }
COLUMNS(gaussian_nll, 2, FL_ANY, 0)
