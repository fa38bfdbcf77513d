/* -log p of the target. Gradient p_j - [j = y]; Hessian diagonal p_j (1 - p_j).
 * The full Hessian diag(p) - p p^T has no eigenvalue above 1/2 (Boehning 1992, doi:10.1007/BF00048682).
 */
ALWAYS_INLINE terms cross_entropy(probability y)
{
    return (terms){.value = y.loss, .first = ONE, .second = ZERO, .bound = UNIFORM(0.5)};
}
ROWWISE(cross_entropy, 0)
