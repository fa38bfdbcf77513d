/* (1 - p)^g (-log p), Lin et al. 2017, arXiv:1708.02002. With s = p, rho = 1 - p, L = -log p:
 *     c = rho^g (1 + g s L / rho)
 *     E = (1 - p)^2 D = g rho^(g + 1) s [2 - L + (g - 1) s L / rho]
 * L / rho tends to 1 as rho tends to 0, so no power below g appears and g < 1 stays finite at saturated logits; rho is a sum
 * of the others, never 1 - p. g = 0 is cross-entropy to the last bit.
 * The bound: c <= 1 + g / e, because -s log s <= 1 / e, and |D| |p - d|^2 <= g c / 2.
 */
ALWAYS_INLINE terms focal(probability y)
{
    const double gamma = y.coefficients[0];
    vreal g = UNIFORM(gamma), s = y.p, rho = y.rest;
    vreal power =
        gamma <= 64 && gamma == (int)gamma ? whole_power(rho, (int)gamma) : exp_nonpositive(g * log_normal(rho));
    vreal s_loss = choose(eq(s, ZERO), ZERO, s * y.loss);
    vreal ratio = choose(eq(rho, ZERO), s, s_loss / rho);
    vreal first = power * fmadd(g, ratio, ONE);
    vreal bend = fmadd(UNIFORM(2), s, -s_loss) + (g - ONE) * (s * ratio);
    vreal value = choose(eq(power, ONE), y.loss, power * y.loss);
    return (terms){.value = value,
                   .first = first,
                   .second = g * (power * rho) * bend,
                   .bound = UNIFORM(0.5 * (1 + gamma) * (1 + gamma / 2.718281828459045))};
}
ROWWISE(focal, 1)
