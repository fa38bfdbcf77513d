/* exp, log and log1p of a vector: branch-free, our own polynomials (fit_polynomials.py), no libm.
 *
 * No intermediate is subnormal for a normal result: on many processors one subnormal costs as much as a hundred
 * additions. exp_nonpositive therefore gives 0 where exp(x) would be below the smallest normal number.
 * Errors are measured over all floats by benchmarks/exhaustive.py (float64: over 1e8 points); the baseline, without
 * fused multiply-add, adds up to 0.4 ulp.
 */
#ifndef FASTLOSS_REAL_H
#define FASTLOSS_REAL_H

#include "simd.h"

/* LN2_HIGH ends in zeros, so that its product with an exponent is exact even where fmadd is not fused.
 * ROUND + x, for |x| < 2^(mantissa - 1), has the nearest integer of x in its low bits. */
#if FL_REAL == 32
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define ROUND 0x1.8p23f
#define LOG2_E 0x1.715476p+0f
#define LN2_HIGH 0x1.62e400p-1f
#define LN2_LOW 0x1.7f7d1cp-20f
#define LN2_16TH_HIGH 0x1.62ep-5f
#define LN2_16TH_LOW 0x1.0bfbe8p-19f
#define EXP_UNDERFLOW -0x1.5d589ep+6f /* log of the smallest normal number */
#define SMALLEST_NORMAL 0x1p-126f
#define LARGEST 0x1.fffffep127f
#define SQRT_HALF 0x1.6a09e6p-1f /* log reduces to [SQRT_HALF, SQRT_2) */
#define SQRT_2 0x1.6a09e6p0f
#else
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define ROUND 0x1.8p52
#define LOG2_E 0x1.71547652b82fep+0
#define LN2_HIGH 0x1.62e42fefa3800p-1
#define LN2_LOW 0x1.ef35793c76730p-45
#define LN2_16TH_HIGH 0x1.62e42fefap-5
#define LN2_16TH_LOW 0x1.cf79abc9e3b3ap-44
#define EXP_UNDERFLOW -0x1.6232bdd7abcd2p+9
#define SMALLEST_NORMAL 0x1p-1022
#define LARGEST 0x1.fffffffffffffp1023
#define SQRT_HALF 0x1.6a09e667f3bcdp-1
#define SQRT_2 0x1.6a09e667f3bcdp0
#endif

#define REAL_INFINITY ((real)__builtin_inf())

/* fmadd with numbers for coefficients, so that a polynomial reads as one */
#define HORNER(x, higher, c) fmadd(higher, x, UNIFORM(c))

/* a b - product, where product is a b rounded; 0 where that is no number */
ALWAYS_INLINE vreal product_error(vreal a, vreal b, vreal product)
{
#ifdef NOT_FUSED /* Dekker 1971: the products of the halves are exact */
    const vreal splitter = UNIFORM((real_int)1 << (MANTISSA_BITS / 2 + 1)) + ONE;
    vreal a_high = splitter * a - (splitter * a - a), b_high = splitter * b - (splitter * b - b);
    vreal a_low = a - a_high, b_low = b - b_high;
    vreal rest = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
#else
    vreal rest = fmadd(a, b, -product);
#endif
    return choose(lt(vabs(rest), UNIFORM(LARGEST)), rest, ZERO);
}

#if FL_REAL == 32
#define POWERS_OF_2                                                                                              \
    0x1.000000p+0, 0x1.0b5586p+0, 0x1.172b84p+0, 0x1.2387a6p+0, 0x1.306fe0p+0, 0x1.3dea64p+0, 0x1.4bfdaep+0,     \
        0x1.5ab07ep+0, 0x1.6a09e6p+0, 0x1.7a1148p+0, 0x1.8ace54p+0, 0x1.9c4918p+0, 0x1.ae89fap+0, 0x1.c199bep+0, \
        0x1.d5818ep+0, 0x1.ea4afap+0
#define MISSING_OF_POWERS                                                                                  \
    0, 0x1.9f3122p-25, -0x1.c15742p-27, 0x1.ceac48p-25, 0x1.4636e2p-25, 0x1.824684p-25, -0x1.593abcp-25,   \
        -0x1.5bd5ecp-27, 0x1.9fcef4p-26, -0x1.829fd0p-25, 0x1.15506ep-27, 0x1.51f848p-27, -0x1.a94b14p-26, \
        -0x1.3d56b2p-27, -0x1.822dbcp-27, 0x1.52486cp-27
#else
#define POWERS_OF_2                                                                                                   \
    0x1.0000000000000p+0, 0x1.0b5586cf9890fp+0, 0x1.172b83c7d517bp+0, 0x1.2387a6e756238p+0, 0x1.306fe0a31b715p+0,     \
        0x1.3dea64c123422p+0, 0x1.4bfdad5362a27p+0, 0x1.5ab07dd485429p+0, 0x1.6a09e667f3bcdp+0, 0x1.7a11473eb0187p+0, \
        0x1.8ace5422aa0dbp+0, 0x1.9c49182a3f090p+0, 0x1.ae89f995ad3adp+0, 0x1.c199bdd85529cp+0, 0x1.d5818dcfba487p+0, \
        0x1.ea4afa2a490dap+0
#define MISSING_OF_POWERS                                                                            \
    0, 0x1.8a62e4adc610bp-54, -0x1.19041b9d78a76p-55, 0x1.9b07eb6c70573p-54, 0x1.6f46ad23182e4p-55,  \
        0x1.ada0911f09ebcp-55, 0x1.d4397afec42e2p-56, 0x1.6324c054647adp-54, -0x1.bdd3413b26456p-54, \
        -0x1.41577ee04992fp-55, 0x1.6e9f156864b27p-54, 0x1.c7c46b071f2bep-56, 0x1.7a1cd345dcc81p-54, \
        0x1.11065895048ddp-55, 0x1.2ed02d75b3707p-55, -0x1.e9c23179c2893p-54
#endif

/* exp(r) - 1 for |r| <= log(2) / 32 */
ALWAYS_INLINE vreal exp_tail(vreal r)
{
#if FL_REAL == 32
    vreal q = UNIFORM(0x1.55559ap-3);
    q = HORNER(r, q, 0x1.00021ep-1);
#else
    vreal q = UNIFORM(0x1.6c14ce049217cp-10);
    q = HORNER(r, q, 0x1.11123ac01fd74p-7);
    q = HORNER(r, q, 0x1.55555558f6227p-5);
    q = HORNER(r, q, 0x1.555555548f71ap-3);
    q = HORNER(r, q, 0x1.fffffffffffb9p-2);
#endif
    return fmadd(r * r, q, r);
}

/* x <= 0. At most 1.0 ulp (float32), 1.2 ulp (float64); 0 below EXP_UNDERFLOW; exp(-inf) = 0.
 * exp(x) = 2^k 2^(i / 16) exp(r), |r| <= log(2) / 32: a table for the second factor makes the polynomial short, and
 * looking it up runs beside the arithmetic. The last fmadd rounds the product and the sum at once.
 */
ALWAYS_INLINE vreal exp_nonpositive(vreal x)
{
    static const CACHE_ALIGNED real powers[16] = {POWERS_OF_2};
    vreal rounded = fmadd(x, UNIFORM(16 * LOG2_E), UNIFORM(ROUND)); /* 16 k + i in the low bits */
    vreal n = rounded - UNIFORM(ROUND);
    vreal r = fmadd(n, UNIFORM(-LN2_16TH_HIGH), x);
    r = fmadd(n, UNIFORM(-LN2_16TH_LOW), r);
    vreal u = exp_tail(r);
    vint k = (bits_of(rounded) >> 4) << MANTISSA_BITS;
    vreal power = from_bits(bits_of(look_up_16(powers, bits_of(rounded))) + k);
    vreal y = fmadd(power, u, power);
    return choose(lt(x, UNIFORM(EXP_UNDERFLOW)), ZERO, y);
}

/* exp(x) = power + rest to five bits more than a real holds, for any x: what cancels against the exponential is taken from
 * the power, and so exactly. 0 below EXP_UNDERFLOW.
 */
typedef struct exp_parts {
    vreal power, rest;
} exp_parts;

/* exp(x + more), |more| far below 1 */
ALWAYS_INLINE exp_parts exp_of_sum(vreal x, vreal more)
{
    static const CACHE_ALIGNED real powers[16] = {POWERS_OF_2}, missing[16] = {MISSING_OF_POWERS};
    /* k stops below the exponent of infinity: up to the largest result r may then be twice as long */
    vreal rounded = vmin(UNIFORM(ROUND + 16 * (EXPONENT_BIAS + 1) - 1), fmadd(x, UNIFORM(16 * LOG2_E), UNIFORM(ROUND)));
    vreal n = rounded - UNIFORM(ROUND);
    vreal r = fmadd(n, UNIFORM(-LN2_16TH_HIGH), x);
    r = fmadd(n, UNIFORM(-LN2_16TH_LOW), r) + more;
    vreal scale = from_bits(((bits_of(rounded) >> 4) << MANTISSA_BITS) + bits_of(ONE));
    vreal power = look_up_16(powers, bits_of(rounded)) * scale;
#if FL_REAL == 64 /* twice as long is too long for the polynomial: by halves then */
    vmask is_long = lt(UNIFORM(0.0218), r);
    vreal u = exp_tail(choose(is_long, UNIFORM(0.5) * r, r));
    u = choose(is_long, fmadd(u, u, u + u), u);
#else
    vreal u = exp_tail(r);
#endif
    vreal rest = fmadd(power, u, look_up_16(missing, bits_of(rounded)) * scale);
    vmask nothing = lt(x, UNIFORM(EXP_UNDERFLOW));
    return (exp_parts){choose(nothing, ZERO, power), choose(nothing, ZERO, rest)};
}

ALWAYS_INLINE exp_parts exp_exact(vreal x) { return exp_of_sum(x, ZERO); }

/* exp(a x), the product as exact as the sum of two reals: what is rounded off a x would weigh |a x| times in the result */
ALWAYS_INLINE exp_parts exp_of_product(double a, vreal x)
{
    const real high = (real)a, low = (real)(a - (double)high);
    vreal product = x * splat(high), more = fmadd(splat(low), x, product_error(splat(high), x, product));
    return exp_of_sum(product, choose(lt(vabs(product), UNIFORM(LARGEST)), more, ZERO));
}

/* exp(x), any x. At most 0.6 ulp (float32), 0.7 ulp (float64); 1.1 ulp where the rest is subnormal; 2.4 ulp in the last
 * fiftieth before it overflows (float32). */
ALWAYS_INLINE vreal exp_any(vreal x)
{
    exp_parts e = exp_exact(x);
    return e.power + e.rest;
}

/* exp(x) - 1 of a nonpositive x. At most 2.1 ulp. */
ALWAYS_INLINE vreal expm1_nonpositive(vreal x)
{
#if FL_REAL == 32
    vreal q = UNIFORM(0x1.37f998p-10);
    q = HORNER(x, q, 0x1.0e7efcp-7);
    q = HORNER(x, q, 0x1.553764p-5);
    q = HORNER(x, q, 0x1.5554bcp-3);
    q = HORNER(x, q, 0x1.fffffep-2);
#else
    vreal q = UNIFORM(0x1.d512735ddea4ep-30);
    q = HORNER(x, q, 0x1.a760140852385p-26);
    q = HORNER(x, q, 0x1.27a0b646c91f3p-22);
    q = HORNER(x, q, 0x1.71daff3d98b6ap-19);
    q = HORNER(x, q, 0x1.a019e84faec8ap-16);
    q = HORNER(x, q, 0x1.a01a011f172ccp-13);
    q = HORNER(x, q, 0x1.6c16c16a747f4p-10);
    q = HORNER(x, q, 0x1.111111110de2cp-7);
    q = HORNER(x, q, 0x1.55555555554ecp-5);
    q = HORNER(x, q, 0x1.5555555555555p-3);
    q = HORNER(x, q, 0x1.0000000000000p-1);
#endif
    return choose(lt(UNIFORM(-0.35), x), fmadd(x * x, q, x), exp_nonpositive(x) - ONE);
}

/* log1p of e in [0, 1], without branches or subnormals. At most 1.31 ulp (float32), 1.1 ulp (float64). */
ALWAYS_INLINE vreal log1p_unit(vreal e)
{
#if FL_REAL == 32
    vreal q = UNIFORM(-0x1.af4baep-9);
    q = HORNER(e, q, 0x1.491886p-6);
    q = HORNER(e, q, -0x1.d6b0f2p-5);
    q = HORNER(e, q, 0x1.b4ae20p-4);
    q = HORNER(e, q, -0x1.3a4360p-3);
    q = HORNER(e, q, 0x1.934b54p-3);
    q = HORNER(e, q, -0x1.ff23e6p-3);
    q = HORNER(e, q, 0x1.554dd0p-2);
    q = HORNER(e, q, -0x1.ffffd2p-2);
    return fmadd(e * q, e, e);
#else
    /* a polynomial in e would need degree 21; in s = e / (2 + e), log1p(e) = 2 atanh(s) = e - s (e - z q(z)) */
    vreal s = e / (UNIFORM(2) + e);
    vreal z = fmadd(s, s, UNIFORM(0x1p-200)); /* never subnormal, and nothing beside e */
    vreal q = UNIFORM(0x1.5c8090b24c0f2p-3);
    q = HORNER(z, q, 0x1.55a7a1b2d8abep-4);
    q = HORNER(z, q, 0x1.efdab5bce159ap-4);
    q = HORNER(z, q, 0x1.10679a2681d97p-3);
    q = HORNER(z, q, 0x1.3b1ddef6ef3d0p-3);
    q = HORNER(z, q, 0x1.745cb3d3e75d5p-3);
    q = HORNER(z, q, 0x1.c71c741db3918p-3);
    q = HORNER(z, q, 0x1.2492492089ff6p-2);
    q = HORNER(z, q, 0x1.99999999a0787p-2);
    q = HORNER(z, q, 0x1.5555555555535p-1);
    return fmadd(s, fmadd(z, q, -e), e);
#endif
}

/* log1p(f) - f for f in [sqrt(1/2) - 1, sqrt(2) - 1], and the same over f^2 */
#if FL_REAL == 32
ALWAYS_INLINE vreal log1p_bend(vreal f)
{
    vreal q = UNIFORM(-0x1.391208p-4);
    q = HORNER(f, q, 0x1.057868p-3);
    q = HORNER(f, q, -0x1.0d81c8p-3);
    q = HORNER(f, q, 0x1.22d5d0p-3);
    q = HORNER(f, q, -0x1.547224p-3);
    q = HORNER(f, q, 0x1.99a036p-3);
    q = HORNER(f, q, -0x1.000228p-2);
    q = HORNER(f, q, 0x1.555554p-2);
    return HORNER(f, q, -0.5);
}

ALWAYS_INLINE vreal log1p_tail(vreal f)
{
    f = choose(lt(vabs(f), UNIFORM(0x1p-60)), ZERO, f); /* the tail is nothing there, but its square subnormal */
    return f * (f * log1p_bend(f));
}
#else
/* 2 atanh(s) = 2 s + s z q(z), z = s^2 */
ALWAYS_INLINE vreal atanh_tail(vreal z)
{
    vreal q = UNIFORM(0x1.2f03b4d902b9dp-3);
    q = HORNER(z, q, 0x1.39a1e94bc1bb8p-3);
    q = HORNER(z, q, 0x1.74663ce8a8562p-3);
    q = HORNER(z, q, 0x1.c71c521465ecep-3);
    q = HORNER(z, q, 0x1.24924941e1406p-2);
    q = HORNER(z, q, 0x1.999999997ff1ap-2);
    return HORNER(z, q, 0x1.5555555555592p-1);
}

ALWAYS_INLINE vreal log1p_bend(vreal f)
{
    vreal inverse = ONE / (UNIFORM(2) + f), s = f * inverse;
    return fmadd(s, fmadd(inverse * inverse, atanh_tail(s * s), UNIFORM(0.5)), UNIFORM(-0.5));
}

ALWAYS_INLINE vreal log1p_tail(vreal f)
{
    f = choose(lt(vabs(f), UNIFORM(0x1p-60)), ZERO, f); /* the tail is nothing there, but its square subnormal */
    vreal s = f / (UNIFORM(2) + f);
    vreal z = s * s;
    vreal half_square = UNIFORM(0.5) * f * f;
    return fmadd(s, fmadd(z, atanh_tail(z), half_square), -half_square);
}
#endif

/* log(u + rest) = k log(2) + log1p(f + lost), f in [sqrt(1/2) - 1, sqrt(2) - 1], for u normal and positive,
 * |rest| <= ulp(u) / 2 */
typedef struct log_parts {
    vreal k, f, lost;
} log_parts;

ALWAYS_INLINE log_parts split_log(vreal u, vreal rest)
{
    /* u = 2^n m with m in [sqrt(1/2), sqrt(2)). The exponent is taken with a bias, so that it is never negative
     * and an unsigned shift will do: AVX2 has no signed one for 64 bits. */
    real_int offset = (real_int)((real_uint)EXPONENT_BIAS << MANTISSA_BITS);
    typedef real_uint vuint __attribute__((vector_size(VECTOR_BYTES)));
    vint biased = bits_of(u) + (splat_int(offset) - bits_of(UNIFORM(SQRT_HALF)));
    vint n = (vint)((vuint)biased >> MANTISSA_BITS) - splat_int(EXPONENT_BIAS);
    vint exponent = n << MANTISSA_BITS;
    vreal exact = from_bits(bits_of(u) - exponent) - ONE;
    vreal scale = choose(lt(u, UNIFORM(0x1p100)), from_bits(bits_of(ONE) - exponent),
                         ZERO); /* 2^-n is no real for the largest n */
    vreal f = fmadd(rest, scale, exact);
    vreal k = from_bits(n + bits_of(UNIFORM(ROUND))) - UNIFORM(ROUND);
    return (log_parts){k, f, fmadd(rest, scale, exact - f)};
}

ALWAYS_INLINE vreal log_of_sum(vreal u, vreal rest)
{
    log_parts log = split_log(u, rest);
    return fmadd(log.k, UNIFORM(LN2_HIGH), log.f + fmadd(log.k, UNIFORM(LN2_LOW), log1p_tail(log.f)));
}

/* What 1 + s rounds off, where it is u. */
ALWAYS_INLINE vreal rounded_off(vreal s, vreal u) { return choose(lt(s, ONE), s - (u - ONE), ONE - (u - s)); }

/* log1p(s), s >= 0 and finite. At most 1.6 ulp. */
ALWAYS_INLINE vreal log1p_nonnegative(vreal s)
{
    vreal u = ONE + s;
    return log_of_sum(u, rounded_off(s, u));
}

/* s - log1p(s), s >= 0 and finite, without the cancellation; where s < sqrt(2) - 1, over s^2. */
ALWAYS_INLINE vreal minus_log1p(vreal s)
{
    vreal u = ONE + s;
    log_parts log = split_log(u, rounded_off(s, u));
    vreal bend = log1p_bend(log.f), left = fmadd(log.k, UNIFORM(-LN2_HIGH), s) - log.f;
    vreal far = left - (log.lost + fmadd(log.k, UNIFORM(LN2_LOW), log.f * log.f * bend));
    return choose(eq(log.k, ZERO), -bend, far);
}

/* log(x) for normal x > 0; -inf for x = 0. At most 1 ulp. */
ALWAYS_INLINE vreal log_normal(vreal x) { return choose(eq(x, ZERO), UNIFORM(-REAL_INFINITY), log_of_sum(x, ZERO)); }

/* x^n for a whole n >= 0 */
ALWAYS_INLINE vreal whole_power(vreal x, int n)
{
    if (n == 2) return x * x;
    vreal y = ONE;
    for (int i = 0; i < n; i++) y *= x;
    return y;
}

#endif
