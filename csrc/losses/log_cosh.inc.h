/* log(cosh(r)) = |r| + log1p(exp(-2 |r|)) - log(2), with gradient tanh(r) and Hessian 1 - tanh(r)^2.
 *
 * Below |r| = 1 the sum cancels, and a polynomial in r^2 takes its place; tanh = (1 - e) / (1 + e) likewise below
 * sqrt(1 / 8). 1 - tanh^2 is 4 e / (1 + e)^2. majorize is tanh(r) / r, of the parabola that touches the loss here and lies
 * above it everywhere.
 */
ALWAYS_INLINE vreal exp_of_residual(operands o) { return exp_nonpositive(UNIFORM(-2) * vabs(o.z - o.t)); }

/* log(cosh(r)) of r^2 = x <= 1 */
ALWAYS_INLINE vreal log_cosh_near(vreal x)
{
#if FL_REAL == 32
    vreal q = UNIFORM(-0x1.b91e0ap-16);
    q = HORNER(x, q, 0x1.76b3f8p-13);
    q = HORNER(x, q, -0x1.66183ap-11);
    q = HORNER(x, q, 0x1.1ba1aap-9);
    q = HORNER(x, q, -0x1.b9c440p-8);
    q = HORNER(x, q, 0x1.6c1468p-6);
    q = HORNER(x, q, -0x1.555550p-4);
#else
    vreal q = UNIFORM(-0x1.3bf224fd81f5ep-29);
    q = HORNER(x, q, 0x1.a3eae8110732cp-26);
    q = HORNER(x, q, -0x1.19f38708934ccp-23);
    q = HORNER(x, q, 0x1.09125e0b8622bp-21);
    q = HORNER(x, q, -0x1.9ab228c92c34dp-20);
    q = HORNER(x, q, 0x1.22ca866f00f37p-18);
    q = HORNER(x, q, -0x1.8ff7099bc79c7p-17);
    q = HORNER(x, q, 0x1.12db61c00d388p-15);
    q = HORNER(x, q, -0x1.7d9f4a6225436p-14);
    q = HORNER(x, q, 0x1.0d0b1eb90aa20p-12);
    q = HORNER(x, q, -0x1.833d98ec36c6bp-11);
    q = HORNER(x, q, 0x1.1ea5d38755a09p-9);
    q = HORNER(x, q, -0x1.ba1ba1b98f690p-8);
    q = HORNER(x, q, 0x1.6c16c16c15cd6p-6);
    q = HORNER(x, q, -0x1.555555555554cp-4);
#endif
    return x * HORNER(x, q, 0.5);
}

/* log1p(e), e <= exp(-2) */
ALWAYS_INLINE vreal log1p_eighth(vreal e)
{
#if FL_REAL == 32
    vreal q = UNIFORM(0x1.324ee0p-3);
    q = HORNER(e, q, -0x1.f3609ep-3);
    q = HORNER(e, q, 0x1.550058p-2);
    q = HORNER(e, q, -0x1.fffe72p-2);
#else
    vreal q = UNIFORM(0x1.74ed5c2beef2fp-5);
    q = HORNER(e, q, -0x1.61d577ba31aa6p-4);
    q = HORNER(e, q, 0x1.bce19c5c28e69p-4);
    q = HORNER(e, q, -0x1.fec93c49020efp-4);
    q = HORNER(e, q, 0x1.248614e80fa29p-3);
    q = HORNER(e, q, -0x1.5554b345faffdp-3);
    q = HORNER(e, q, 0x1.999994323d78ap-3);
    q = HORNER(e, q, -0x1.ffffffe419301p-3);
    q = HORNER(e, q, 0x1.555555552edafp-2);
    q = HORNER(e, q, -0x1.ffffffffffd65p-2);
#endif
    return fmadd(e * e, q, e);
}

/* tanh(r) / r - 1 of r^2 = x <= 1 / 8 */
ALWAYS_INLINE vreal tanh_near(vreal x)
{
#if FL_REAL == 32
    vreal q = UNIFORM(0x1.3cfaeep-6);
    q = HORNER(x, q, -0x1.b7f856p-5);
    q = HORNER(x, q, 0x1.110b6ap-3);
    q = HORNER(x, q, -0x1.55554cp-2);
#else
    vreal q = UNIFORM(0x1.efa71655db26ap-12);
    q = HORNER(x, q, -0x1.76d06f226c798p-10);
    q = HORNER(x, q, 0x1.d66951b7130f6p-9);
    q = HORNER(x, q, -0x1.226c4f1c269bcp-7);
    q = HORNER(x, q, 0x1.664f3e5c359ffp-6);
    q = HORNER(x, q, -0x1.ba1ba19c080dbp-5);
    q = HORNER(x, q, 0x1.11111110fb7e1p-3);
    q = HORNER(x, q, -0x1.55555555554acp-2);
#endif
    return x * q;
}

ALWAYS_INLINE point log_cosh(operands o)
{
    vreal r = o.z - o.t, distance = vabs(r), x = distance * distance;
    vreal inverse = ONE / (ONE + o.e), above = tanh_near(x);
    vmask near = lt(x, UNIFORM(0.125));
    vreal tanh = choose(near, fmadd(distance, above, distance), (ONE - o.e) * inverse);
    vreal hessian;
    if (o.curvature == FL_MAJORIZE)
        hessian = choose(near, ONE + above, tanh / distance);
    else
        hessian = UNIFORM(4) * o.e * inverse * inverse;
    if (o.curvature != FL_EXACT) hessian = vmax(UNIFORM(CURVATURE_FLOOR), hessian);
    vreal far = (distance - UNIFORM(LN2_HIGH)) + (log1p_eighth(o.e) - UNIFORM(LN2_LOW));
    return (point){.value = choose(lt(distance, ONE), log_cosh_near(x), far),
                   .gradient = with_sign_of(tanh, r),
                   .hessian = hessian};
}
POINTWISE(log_cosh, FL_ANY, 0, STAGE(exp_of_residual, FOR_ALL), NULL, 0)
