/* sum_k t_k (log t_k - log p_k): cross-entropy less the entropy of the target. Kullback & Leibler 1951,
 * doi:10.1214/aoms/1177729694. Its derivatives are cross-entropy's.
 */
ALWAYS_INLINE terms kl_divergence(probability y)
{
    /* t log t is nothing where t is not normal; a target of 0 counts nothing at all */
    vreal value = y.loss + log_normal(vmax(UNIFORM(SMALLEST_NORMAL), y.amount));
    return (terms){.value = value, .first = ONE, .second = ZERO, .bound = UNIFORM(0.5)};
}
ROWWISE(kl_divergence, 0)
