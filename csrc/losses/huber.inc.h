/* r^2 / 2 where |r| <= delta, delta (|r| - delta / 2) outside, r = z - t. Huber 1964, doi:10.1214/aoms/1177703732.
 *
 * With c = clip(r, -delta, delta), the gradient, both branches of the value are c (r - c / 2): no branch, and no
 * difference of large numbers.
 * psd and majorize are gradient / r: never 0, and the parabola of that curvature lies above the loss everywhere.
 */
ALWAYS_INLINE point huber(operands o)
{
    vreal delta = UNIFORM(o.p[0]);
    vreal r = o.z - o.t, distance = vabs(r);
    vreal c = vmax(-delta, vmin(delta, r)); /* operands in this order keep nan */
    vreal slope = o.curvature == FL_EXACT ? ZERO : delta / vmax(distance, delta);
    vreal hessian = choose(le(distance, delta), ONE, choose(eq(r, r), slope, r));
    return (point){.value = c * fmadd(UNIFORM(-0.5), c, r), .gradient = c, .hessian = hessian};
}
POINTWISE(huber, FL_ANY, 1, NO_STAGES)
