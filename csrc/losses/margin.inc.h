/* Losses of the margin m: z for a positive label, -z for a negative one. A target t between them mixes the two linearly. */
#ifndef FASTLOSS_MARGIN_INC_H
#define FASTLOSS_MARGIN_INC_H

/* What a loss of the margin says: F(m), F'(m), F''(m). */
ALWAYS_INLINE point mixture_of_margins(operands o, point (*of_margin)(vreal m, operands o))
{
    if (o.hard) {
        vmask is_positive = eq(o.t, ONE);
        point f = of_margin(choose(is_positive, o.z, -o.z), o);
        /* subtracted from 0 as below, so that no neighbour's target decides on the sign of a 0 */
        f.gradient = choose(is_positive, f.gradient, ZERO - f.gradient);
        return f;
    }
    point one = of_margin(o.z, o), zero = of_margin(-o.z, o);
    vreal t = o.t, other = ONE - o.t;
    vmask no_one = eq(t, ZERO), no_zero = eq(other, ZERO); /* 0 times an infinite loss counts nothing */
    return (point){.value = choose(no_one, ZERO, t * one.value) + choose(no_zero, ZERO, other * zero.value),
                   .gradient = choose(no_one, ZERO, t * one.gradient) - choose(no_zero, ZERO, other * zero.gradient),
                   .hessian = choose(no_one, ZERO, t * one.hessian) + choose(no_zero, ZERO, other * zero.hessian)};
}

/* 1 / (2 |u|): the curvature of the parabola that touches max(0, u) here and lies nowhere below it (Hunter & Lange 2004). */
ALWAYS_INLINE vreal hinge_majorizer(vreal u)
{
    vreal distance = vmax(UNIFORM(SMALLEST_NORMAL), vabs(u));
    return UNIFORM(0.5) / distance;
}

#endif
