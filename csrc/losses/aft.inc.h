/* Negative log-likelihood of an accelerated failure time: log T = z + scale x, where x is normal, logistic or of the least extreme
 * value (T is Weibull then). Barnwal, Cho & Hocking 2022, doi:10.1080/10618600.2022.2067548.
 *
 * lower and upper hold logarithms of the time's bounds, a = (lower - z) / scale and b the same of upper. An event (a = b) has
 * -log f(a) + log scale + lower, an interval -log(F(b) - F(a)), with b infinite if the row was censored on the right.
 * With a function l of one x, as all but intervals of two ends have it, the derivatives are
 *     by z          -l' / scale,   l'' / scale^2
 *     by log scale  -x l',         x^2 l'' + x l';   of an event + 1 in the first
 * and with u_b = f(b) / (F(b) - F(a)), u_a likewise, psi = f' / f:
 *     by z          (u_b - u_a) / scale,   ((u_b - u_a)^2 - u_b psi_b + u_a psi_a) / scale^2
 *     by log scale  u_b b - u_a a,         its square - u_b psi_b b^2 + u_a psi_a a^2 - u_b b + u_a a
 * No probability is subtracted from 1, nor one tail from another where both are near 1: intervals are turned to the lower tail, and
 * those so narrow that the difference would lose its digits are f at their middle times their width.
 * In z all three are convex: psd is exact. majorize is 1, 1/2 or max(1, 1 - (u_b - u_a)) over scale^2: the curvature is at most the
 * mean of -psi' over the interval, which for extreme values is 1 less the mean of psi and rises to 1 up to the minimum.
 * Of the log scale psd and majorize are the larger of the exact one and the gradient's magnitude.
 */
#if FL_REAL == 64
enum { AFT_NORMAL, AFT_LOGISTIC, AFT_EXTREME };
#define INVERSE_SQRT_2_PI 0.39894228040143267794
#define LOG_SQRT_2_PI 0.91893853320467274178
#define AFT_NARROW 1e-5
#define AFT_FAR 50

/* A function of x with its derivatives, or a value with derivatives by the place of the distribution and its log scale. */
typedef struct aft_point {
    double value, slope, bend;
} aft_point;

typedef struct aft_row {
    double value, place, place_bend, spread, spread_bend;
} aft_row;

/* exp(x^2 / 2) (1 - Phi(x)) of x >= 0, by Cody's rational approximations (1969), doi:10.1090/S0025-5718-1969-0247736-4. */
SHARED double scaled_tail(double x)
{
    static const double c[9] = {0.39894151208813466764, 8.8831497943883759412, 93.506656132177855979,
                                597.27027639480026226,  2494.5375852903726711, 6848.1904505362823326,
                                11602.651437647350124,  9842.7148383839780218, 1.0765576773720192317e-8};
    static const double d[8] = {22.266688044328115691, 235.38790178262499861, 1519.377599407554805,
                                6485.558298266760755,  18615.571640885098091, 34900.952721145977266,
                                38912.003286093271411, 19685.429676859990727};
    static const double p[6] = {0.21589853405795699,     0.1274011611602473639, 0.022235277649538990,
                                0.001421619193227893466, 2.9112874951168792e-5, 0.02307344176494017303};
    static const double q[5] = {1.28426009614491121, 0.468238212480865118, 0.0659881378689285515,
                                0.00378239633202758244, 7.29751555083966205e-5};
    static const double a[5] = {2.2352520354606839287, 161.02823106855587881, 1067.6894854603709582,
                                18154.981253343561249, 0.065682337918207449113};
    static const double b[4] = {47.20258190468824187, 976.09855173777669322, 10260.932208618978205,
                                45507.789335026729956};
    if (x <= 0.67448975) {
        const double square = x * x;
        double over = a[4] * square, under = square;
        for (int i = 0; i < 3; i++) over = (over + a[i]) * square, under = (under + b[i]) * square;
        return exp_of(0.5 * square) * (0.5 - x * (over + a[3]) / (under + b[3]));
    }
    if (x <= 5.656854249492380195) {
        double over = c[8] * x, under = x;
        for (int i = 0; i < 7; i++) over = (over + c[i]) * x, under = (under + d[i]) * x;
        return (over + c[7]) / (under + d[7]);
    }
    const double square = 1 / (x * x);
    double over = p[5] * square, under = square;
    for (int i = 0; i < 4; i++) over = (over + p[i]) * square, under = (under + q[i]) * square;
    return (INVERSE_SQRT_2_PI - square * (over + p[4]) / (under + q[4])) / x;
}

ALWAYS_INLINE double square_of(double x) { return x * x; }

/* -log of the density */
ALWAYS_INLINE aft_point minus_log_density(int distribution, double x)
{
    if (distribution == AFT_NORMAL) return (aft_point){0.5 * x * x + LOG_SQRT_2_PI, x, 1};
    if (distribution == AFT_EXTREME) {
        const double e = exp_of(x);
        return (aft_point){e - x, x > 0 ? e - 1 : expm1_of_nonpositive(x), e};
    }
    const double magnitude = x < 0 ? -x : x, e = exp_of(-magnitude),
                 ratio = -expm1_of_nonpositive(-magnitude) / (1 + e);
    return (aft_point){magnitude + 2 * log1p_of(e), x < 0 ? -ratio : ratio, 2 * e / square_of(1 + e)};
}

/* -log of the probability beyond x; that of the other tail of a symmetric distribution is its mirror image. */
ALWAYS_INLINE aft_point minus_log_survival(int distribution, double x)
{
    if (distribution == AFT_EXTREME) {
        const double e = exp_of(x);
        return (aft_point){e, e, e};
    }
    if (distribution == AFT_LOGISTIC) {
        const double e = exp_of(x < 0 ? x : -x), large = 1 / (1 + e), small = e * large;
        return (aft_point){(x > 0 ? x : 0) + log1p_of(e), x < 0 ? small : large, large * small};
    }
    if (x >= 0) {
        const double tail = scaled_tail(x), hazard = INVERSE_SQRT_2_PI / tail, y = x < AFT_FAR ? 0 : 1 / (x * x);
        /* far out the difference would lose its digits, but its series has them all */
        const double gap = x < AFT_FAR ? hazard - x : (1 - y * (2 - y * (10 - y * (74 - y * 706)))) / x;
        return (aft_point){0.5 * x * x - log_of(tail), hazard, hazard * gap};
    }
    const double density = exp_of(-0.5 * x * x), tail = density * scaled_tail(-x);
    const double hazard = INVERSE_SQRT_2_PI * density / (1 - tail);
    /* log(1 - t) = -log1p(t / (1 - t)), which keeps a small t */
    return (aft_point){log1p_of(tail / (1 - tail)), hazard, hazard * (hazard - x)};
}

/* -log of the probability up to x */
ALWAYS_INLINE aft_point minus_log_distribution(int distribution, double x)
{
    if (distribution != AFT_EXTREME) {
        const aft_point mirrored = minus_log_survival(distribution, -x);
        return (aft_point){mirrored.value, -mirrored.slope, mirrored.bend};
    }
    const double u = exp_of(x), share = -expm1_of_nonpositive(-u); /* F */
    const double q = u > 700 ? 0 : u == 0 ? 1 : u * (1 - share) / share;
    const double value = u < 0.7 ? -log_of(share) : log1p_of((1 - share) / share);
    const double gap = u < 1e-2 ? u * (0.5 + u / 12 - u * u * u / 720) : q + u - 1;
    return (aft_point){u == 0 ? -x : value, -q, q == 0 ? 0 : q * gap};
}

/* What a function of one x is by place and log scale. */
ALWAYS_INLINE aft_row row_of_point(aft_point l, double x, double is_density)
{
    const double slope = l.slope == 0 ? 0 : x * l.slope, bend = l.bend == 0 ? 0 : x * x * l.bend;
    return (aft_row){l.value, -l.slope, l.bend, is_density - slope, bend + slope};
}

/* f(a) / D and f(b) / D of D = F(b) - F(a), and -log D. */
typedef struct aft_ends {
    double lower, upper, value;
} aft_ends;

ALWAYS_INLINE aft_ends normal_ends(double a, double b)
{
    if (a + b < 0) {
        const double was = a;
        a = -b, b = -was;
    }
    const double fall = exp_of(-0.5 * (b - a) * (b + a)); /* f(b) / f(a) */
    double share; /* D exp(a^2 / 2) */
    if (a >= 0)
        share = scaled_tail(a) - scaled_tail(b) * fall;
    else
        share = exp_of(0.5 * a * a) * (1 - exp_of(-0.5 * b * b) * scaled_tail(b)) - scaled_tail(-a);
    const double first = INVERSE_SQRT_2_PI / share;
    return (aft_ends){first, first * fall, 0.5 * a * a - log_of(share)};
}

ALWAYS_INLINE aft_ends ends_of(int distribution, double a, double b)
{
    if (distribution == AFT_NORMAL) {
        const aft_ends e = normal_ends(a, b);
        return a + b < 0 ? (aft_ends){e.upper, e.lower, e.value} : e;
    }
    if (distribution == AFT_EXTREME) {
        const double apart = -expm1_of_nonpositive(a - b);
        if (b < -AFT_FAR) return (aft_ends){(1 - apart) / apart, 1 / apart, -b - log_of(apart)};
        const double rise = exp_of(b) * apart, share = -expm1_of_nonpositive(-rise);
        return (aft_ends){exp_of(a) / share, exp_of(b - rise) / share, exp_of(a) - log_of(share)};
    }
    const double left = minus_log_survival(AFT_LOGISTIC, a).value, right = minus_log_survival(AFT_LOGISTIC, -b).value;
    const double share = -expm1_of_nonpositive(a - b); /* D over (1 - F(a)) F(b) */
    return (aft_ends){exp_of(right - (left - a)) / share, exp_of(left - (right + b)) / share,
                      left + right - log_of(share)};
}

/* Whether the end that is farther out adds nothing: the other bound's tail is all there is. */
ALWAYS_INLINE int is_one_sided(int distribution, double a, double b)
{
    if (distribution == AFT_NORMAL) return (a > 0 || b < 0) && (b - a) * (a + b < 0 ? -a - b : a + b) > 80;
    return distribution == AFT_EXTREME && exp_of(b) * -expm1_of_nonpositive(a - b) > 40;
}

ALWAYS_INLINE aft_row row_of_interval(int distribution, double a, double b, double width)
{
    const double middle = a + 0.5 * (b - a);
    if (width * (1 + (middle < 0 ? -middle : middle)) < AFT_NARROW) {
        aft_row row = row_of_point(minus_log_density(distribution, middle), middle, 1);
        row.value -= log_of(width);
        return row;
    }
    if (is_one_sided(distribution, a, b)) {
        const int lower = distribution == AFT_NORMAL && b < 0;
        return lower ? row_of_point(minus_log_distribution(distribution, b), b, 0)
                     : row_of_point(minus_log_survival(distribution, a), a, 0);
    }
    const aft_ends u = ends_of(distribution, a, b);
    const double psi_a = -minus_log_density(distribution, a).slope, psi_b = -minus_log_density(distribution, b).slope;
    const double place = u.upper - u.lower, from_a = u.lower == 0 ? 0 : u.lower * a,
                 from_b = u.upper == 0 ? 0 : u.upper * b;
    const double bend_a = u.lower == 0 ? 0 : u.lower * psi_a, bend_b = u.upper == 0 ? 0 : u.upper * psi_b;
    const double spread = from_b - from_a;
    return (aft_row){u.value, place, place * place - bend_b + bend_a, spread,
                     spread * spread - bend_b * b * b + bend_a * a * a - from_b + from_a};
}

ALWAYS_INLINE aft_row row_of_bounds(int distribution, double a, double b, double width)
{
    if (a != a || b != b) return (aft_row){a + b, a + b, a + b, a + b, a + b};
    if (width == 0) return row_of_point(minus_log_density(distribution, a), a, 1);
    if (a == -REAL_INFINITY && b == REAL_INFINITY) return (aft_row){0, 0, 0, 0, 0};
    if (b == REAL_INFINITY) return row_of_point(minus_log_survival(distribution, a), a, 0);
    if (a == -REAL_INFINITY) return row_of_point(minus_log_distribution(distribution, b), b, 0);
    return row_of_interval(distribution, a, b, width);
}

ALWAYS_INLINE double aft_curvature(int curvature, double exact, double gradient, double bound)
{
    if (curvature == FL_EXACT) return exact;
    return psd_of(curvature == FL_MAJORIZE ? bound : exact, 0, gradient);
}

ALWAYS_INLINE void write_aft(const fl_job *job, ptrdiff_t i, aft_row row, double scale)
{
    const fl_segments *s = job->segments;
    const ptrdiff_t at = row_of_place(s, i);
    const double w = weight_at(s, i) * job->scale, distance = row.spread < 0 ? -row.spread : row.spread;
    const int distribution = (int)job->coefficients[0], is_fitted = job->coefficients[2] != 0;
    put_number(&job->gradient, at, 0, w * row.place / scale);
    if (is_fitted) put_number(&job->gradient, at, 1, w * row.spread);
    if (!job->hessian.data) return;
    const double rest = row.place < 0 ? 1 - row.place : 1;
    double bound = distribution == AFT_NORMAL ? 1 : distribution == AFT_LOGISTIC ? 0.5 : rest;
    if (row.place == 0 && row.place_bend == 0 && s->upper[i] != s->lower[i])
        bound = 0; /* nothing is known of the time */
    put_number(&job->hessian, at, 0,
               w * aft_curvature(job->curvature, row.place_bend, row.place, bound) / scale / scale);
    const double larger = row.spread_bend < distance ? distance : row.spread_bend;
    if (is_fitted)
        put_number(
            &job->hessian, at, 1,
            w * aft_curvature(job->curvature, job->curvature == FL_PSD ? larger : row.spread_bend, row.spread, larger));
}

static ptrdiff_t aft_block(const fl_job *job, ptrdiff_t b, ptrdiff_t count, double *partial)
{
    const fl_segments *s = job->segments;
    const segment_range range = range_of_block(s, b);
    const int distribution = (int)job->coefficients[0], is_fitted = job->coefficients[2] != 0;
    double value = 0;
    (void)count;
    for (ptrdiff_t i = range.first_row; i < range.end_row; i++) {
        const ptrdiff_t at = row_of_place(s, i);
        const double z = get_number(&job->prediction, at, 0);
        const double log_scale = is_fitted ? get_number(&job->prediction, at, 1) : job->coefficients[3];
        const double scale = is_fitted ? exp_of(log_scale) : job->coefficients[1];
        const double a = (s->lower[i] - z) / scale, b_ = (s->upper[i] - z) / scale;
        const int is_event = s->lower[i] == s->upper[i];
        const aft_row row =
            row_of_bounds(distribution, a, is_event ? a : b_, is_event ? 0 : (s->upper[i] - s->lower[i]) / scale);
        const double one = weight_at(s, i) * (row.value + (is_event ? log_scale + s->lower[i] : 0));
        value += one;
        if (job->value.data) put_number(&job->value, at, 0, one * job->scale);
        if (job->gradient.data) write_aft(job, i, row, scale);
    }
    partial[0] = value;
    return -1;
}
DEFINE_SEGMENTS(aft, 4, FL_ANY, SEGMENT_PASS(aft_block, add_up_segments, 0))
#else
DEFINE_SEGMENTS(aft, 4, FL_ANY)
#endif
