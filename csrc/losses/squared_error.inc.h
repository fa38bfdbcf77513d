/* (z - t)^2. Gauss, 1809. */
ALWAYS_INLINE point squared_error(operands o)
{
    vreal r = o.z - o.t;
    return (point){.value = r * r, .gradient = r + r, .hessian = choose(eq(r, r), UNIFORM(2), r)};
}
POINTWISE(squared_error, FL_ANY, 0, NO_STAGES)
