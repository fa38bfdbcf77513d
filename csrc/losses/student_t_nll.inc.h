/* s + (v + 1) / 2 log1p(r^2 / v) + c, r = (t - m) exp(-s): negative log-density of Student's t distribution with v degrees of freedom,
 * location m = z[0] and log scale s = z[1]; c = log(Gamma(v / 2) sqrt(v pi) / Gamma((v + 1) / 2)). Lange, Little & Taylor 1989,
 * doi:10.1080/01621459.1989.10478852.
 * In x^2 = r^2 / v as in cauchy.inc.h. psd and majorize of m are gradient / (m - t), of the parabola above it. The curvature of s
 * as location_scale.inc.h says.
 */
#include "location_scale.inc.h"

/* Of s, with y = x^2, the curvature of the parabola above (v + 1) / 2 softplus(log(y)), a step of which never raises the value, whatever v. */
ALWAYS_INLINE vreal scale_bound_of_t(vreal x, vreal v1)
{
    vreal ratio = vmin(x, ONE / x), e = ratio * ratio, log = log_positive(x);
    return UNIFORM(2) * v1 * logistic_bound(vabs(log + log), e, ONE / (ONE + e));
}

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
    c = curvature_of_scale(c, o.curvature, bound, UNIFORM((df + 1) / (df + 3)) * sharpness, UNIFORM(2 * df / (df + 3)));
    if (o.curvature == FL_MAJORIZE)
        c.hessian[2] = keep_nan(c.gradient[1], vmax(UNIFORM(CURVATURE_FLOOR), scale_bound_of_t(x, UNIFORM(df + 1))));
    return c;
}
COLUMNS(student_t_nll, 2, FL_ANY, 3)

/* The same with v = exp(z2), too. With a = v / 2, b = (v + 1) / 2, k = v / (v + 1) and special.h's G and T, A = lgamma(a) - lgamma(b) +
 * log(v) / 2 has the derivatives by log(v)
 *     A' = 1 / 2 - a log1p(1 / v) - G(a) + k G(b),   A'' = A' - 1 / 2 + k / 2 + T(a) - k^2 T(b)
 * from v = 40 on by their series in 1 / v. With y = r^2 / v, p = y / (1 + y) and D = log1p(y) - p the gradient of log(v) is (v D - p) / 2 +
 * A', the Hessian (v D - v p^2 + p (1 - p)) / 2 + A'', and its expectation (3 - v) / (2 (v + 1) (v + 3)) + A'' - A'.
 * psd of log(v) is the larger of exact and Fisher, and |gradient| besides, so that a step is shorter than 1: where v is large both
 * are next to nothing. majorize: no part of the value bends more than 0.0332 r^2 + 1 / 8, and A less than 1 / 5.
 */
typedef struct free_df {
    vreal value, slope, bend; /* of A, less log(2 pi) / 2 */
} free_df;

ALWAYS_INLINE free_df gamma_quotient(vreal log_v, vreal v, vreal inverse, int bends)
{
    static const double values[] = {1.0 / 4, -1.0 / 24, 1.0 / 20, -17.0 / 112, 31.0 / 36, -691.0 / 88};
    static const double slopes[] = {-1.0 / 4, 3.0 / 24, -5.0 / 20, 7 * 17.0 / 112, -9 * 31.0 / 36, 11 * 691.0 / 88};
    static const double curves[] = {1.0 / 4, -9.0 / 24, 25.0 / 20, -49 * 17.0 / 112, 81 * 31.0 / 36, -121 * 691.0 / 88};
    vreal b = fmadd(UNIFORM(0.5), v, UNIFORM(0.5)), a = UNIFORM(0.5) * v, k = ONE / (ONE + inverse);
    vreal bent = a * log1p_nonnegative(vmin(UNIFORM(LARGEST), inverse)), half = UNIFORM(0.5);
    gamma_parts of_a = gamma_of(a, log_v - UNIFORM(0.693147180559945309), bends),
                of_b = gamma_of(b, log_normal(b), bends);
    vreal value = (of_a.remainder - of_b.remainder) + (half - bent);
    vreal gaps = fmadd(k, of_b.digamma_gap, -of_a.digamma_gap) - bent;
    vreal curve = (gaps + half * k) + (of_a.trigamma_gap - k * k * of_b.trigamma_gap);
    vmask large = le(UNIFORM(40), v);
    vreal w = vmin(inverse, UNIFORM(1.0 / 40)), square = w * w;
    return (free_df){choose(large, w * series(square, values, 6), value),
                     choose(large, w * series(square, slopes, 6), gaps + half),
                     choose(large, w * series(square, curves, 6), curve)};
}

ALWAYS_INLINE columns free_student_t_nll(column_operands o)
{
    const double largest = FL_REAL == 32 ? 60 : 500; /* of |z2| */
    vreal log_v = keep_nan(o.z[2], vmax(UNIFORM(-largest), vmin(UNIFORM(largest), o.z[2])));
    vreal v = exp_any(log_v), inverse_v = exp_any(-log_v), root = exp_any(UNIFORM(0.5) * log_v);
    vreal scale = exp_any(-o.z[1]), away = o.t - o.z[0], x = vmin(UNIFORM(LARGEST), vabs(away) * scale / root);
    vmask far = lt(UNIFORM(FL_REAL == 32 ? 0x1p30 : 0x1p60), x);
    vreal near = choose(far, ONE, x), square = near * near, u = ONE + square, inverse = ONE / u;
    vreal log = log_of_sum(choose(far, x, u), choose(far, ZERO, rounded_off(square, u)));
    log = choose(far, log + log, log);
    vreal share = choose(far, ONE, square * inverse), rest = choose(far, (ONE / x) / x, inverse);
    vreal slope = choose(far, ONE / x, near * inverse), v1 = v + ONE;
    vreal g0 = -with_sign_of((root + ONE / root) * slope * scale, away), moment = v1 * share;
    vreal bound = (ONE + inverse_v) * rest * scale * scale;
    vreal exact = choose(far, -bound, (ONE - near) * (ONE + near) * inverse * bound);

    vmask small = lt(square, UNIFORM(0.41));
    vreal bend = -log1p_bend(choose(small, square, ZERO)); /* (y - log1p(y)) / y^2 */
    vreal power = v * square * square;
    vreal spread = choose(small, power * (rest - bend), v * (log - share)); /* v D */
    vreal lost = choose(small, power * (rest * share - bend), v * ((log - share) - share * share));
    free_df df = gamma_quotient(log_v, v, inverse_v, o.want & FL_HESSIAN);
    const vreal half = UNIFORM(0.5);
    vreal g2 = half * (spread - share) + df.slope, of_df = half * fmadd(share, rest, lost) + df.bend;
    vreal way = fmadd(v, share, -rest);
    columns c = {
        .value = ((o.z[1] + UNIFORM(0.918938533204672742)) + df.value) + half * v1 * log,
        .gradient = {g0, ONE - moment, g2},
        .hessian = {exact, UNIFORM(-2) * rest * g0, g0 / v1 * way, UNIFORM(2) * rest * moment, -share * way, of_df}};
    vmask defined = both(eq(away, away), eq(o.z[1], o.z[1]));
    c.value = choose(defined, c.value, away + o.z[1]);
    for (int k = 0; k < 3; k++) c.gradient[k] = choose(defined, c.gradient[k], away + o.z[1]);
    if (o.curvature == FL_EXACT) return c;
    columns first = {.gradient = {c.gradient[0], c.gradient[1]}, .hessian = {exact, ZERO, c.hessian[3]}};
    vreal v3 = v + UNIFORM(3);
    first = curvature_of_scale(first, o.curvature, bound, v1 / v3 * scale * scale, UNIFORM(2) * v / v3);
    vreal expected = half * (UNIFORM(3) - v) / (v1 * v3) + (df.bend - df.slope);
    vreal third = o.curvature == FL_FISHER ? expected : vmax(of_df, expected) + vabs(g2);
    if (o.curvature == FL_MAJORIZE) {
        first.hessian[2] = keep_nan(c.gradient[1], vmax(UNIFORM(CURVATURE_FLOOR), scale_bound_of_t(x, v1)));
        third = vmax(of_df, fmadd(UNIFORM(0.0332) * v, x * x, UNIFORM(0.325)));
    }
    c.hessian[0] = first.hessian[0], c.hessian[1] = c.hessian[2] = ZERO, c.hessian[3] = first.hessian[2];
    c.hessian[4] = o.curvature == FL_FISHER ? UNIFORM(-2) * (ONE / (ONE + inverse_v)) / v3 : ZERO;
    c.hessian[5] = keep_nan(c.gradient[2], vmax(UNIFORM(CURVATURE_FLOOR), third));
    return c;
}
COLUMNS(free_student_t_nll, 3, FL_ANY, 0)
