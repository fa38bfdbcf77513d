/* Sums that lose nothing: in double precision, in an order that is the same on every width; or with what rounding takes off. */
#ifndef FASTLOSS_SUMS_H
#define FASTLOSS_SUMS_H

#include "simd.h"

/* A sum in double precision of LANES lanes of reals. */
typedef struct lane_sums {
#if FL_REAL == 32
    vdouble low[GROUP], high[GROUP]; /* the lower and the upper half of each vector */
#else
    vreal lane[GROUP];
#endif
} lane_sums;

ALWAYS_INLINE lane_sums no_sums(void) { return (lane_sums){0}; }

ALWAYS_INLINE void add_lanes(lane_sums *s, int g, vreal x)
{
#if FL_REAL == 32
    s->low[g] += low_half(x), s->high[g] += high_half(x);
#else
    s->lane[g] += x;
#endif
}

ALWAYS_INLINE double total_of(const lane_sums *s)
{
    double lane[LANES], total = 0;
    for (int j = 0; j < LANES; j++)
#if FL_REAL == 32
        lane[j] = j % WIDTH < WIDTH / 2 ? s->low[j / WIDTH][j % WIDTH] : s->high[j / WIDTH][j % WIDTH - WIDTH / 2];
#else
        lane[j] = s->lane[j / WIDTH][j % WIDTH];
#endif
    for (int n = LANES / 2; n; n /= 2)
        for (int j = 0; j < n; j++) lane[j] += lane[j + n];
    total = lane[0];
    return total;
}

/* The sum of n reals. */
SHARED double sum_reals(const real *x, ptrdiff_t n)
{
    lane_sums sums = no_sums();
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int g = 0; g < GROUP; g++) add_lanes(&sums, g, load(x + i + g * WIDTH));
    double total = total_of(&sums);
    for (; i < n; i++) total += (double)x[i];
    return total;
}

/* A sum that keeps what its additions round off (Fast2Sum needs |sum| >= |x|, TwoSum does not). */
typedef struct exact_sum {
    vreal sum, rest;
} exact_sum;

ALWAYS_INLINE void add_to(exact_sum *s, vreal x)
{
    vreal total = s->sum + x, back = total - s->sum;
    s->rest += (s->sum - (total - back)) + (x - back);
    s->sum = total;
}

ALWAYS_INLINE vreal value_of(exact_sum s) { return choose(eq(s.rest, s.rest), s.sum + s.rest, s.sum); }

/* The sum of LANES lanes of exact sums, in halves. */
ALWAYS_INLINE real value_of_lanes(const exact_sum *lanes)
{
    real sum[2 * LANES] = {0}, rest[2 * LANES] = {0}; /* what vectors reach beyond the lanes counts nowhere */
    for (int g = 0; g < GROUP; g++) store(sum + g * WIDTH, lanes[g].sum), store(rest + g * WIDTH, lanes[g].rest);
    for (int n = LANES / 2; n; n /= 2)
        for (int j = 0; j < n; j += WIDTH) {
            exact_sum s = {load(sum + j), load(rest + j) + load(rest + j + n)};
            add_to(&s, load(sum + j + n));
            store(sum + j, s.sum), store(rest + j, s.rest);
        }
    return value_of((exact_sum){load(sum), load(rest)})[0];
}

#endif
