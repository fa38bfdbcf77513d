/* (1 - p^q) / q, 0 < q <= 1. Zhang & Sabuncu 2018, arXiv:1805.07836. c = p^q, D = -q p^q.
 *
 * Both come from q log p in two parts, because what it rounds off would weigh |q log p| times in p^q; 1 - p^q is taken as a
 * whole (expm1) and so exact where p is near 1.
 */
ALWAYS_INLINE terms generalized_cross_entropy(probability y)
{
    const double power = y.coefficients[0];
    if (power == 1)
        return (terms){.value = y.rest, .first = y.p, .second = -y.p * (y.rest * y.rest), .bound = UNIFORM(0.5)};
    vreal q = UNIFORM(power);
    vreal far = -(q * y.distance), near = -(q * y.log_sum), x = far + near;
    vreal back = x - far, lost = (far - (x - back)) + (near - back); /* TwoSum, Knuth */
    vreal more = lost - product_error(q, y.distance, -far) - product_error(q, y.log_sum, -near);
    more = fmadd(UNIFORM((double)(real)power - power), y.loss, more); /* what q rounds off */
    vmask finite = lt(y.loss, UNIFORM(REAL_INFINITY));
    exp_parts e = exp_of_sum(x, choose(finite, more, ZERO));
    vreal first = e.power + e.rest;
    vreal value = choose(lt(UNIFORM(-0.35), x), -expm1_nonpositive(x), (ONE - e.power) - e.rest);
    return (terms){.value = value * UNIFORM(1 / power),
                   .first = keep_nan(y.loss, first),
                   .second = -(q * first) * (y.rest * y.rest),
                   .bound = UNIFORM(0.5)};
}
ROWWISE(generalized_cross_entropy, 1)
