/* (p - t)^2, p = sigmoid(z). Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
 *
 * p - t is (1 - t) p - t (1 - p), where neither probability is 1 minus the other: exact for t = 0 and 1.
 * psd: 2 p^2 (1 - p)^2 (Gauss-Newton). majorize: the largest second derivative for any z and t, at t = 0 that of
 * p^2 (1 - p)(2 - 3 p), p = (15 - sqrt(33)) / 24.
 */
#define BRIER_LARGEST_CURVATURE 0.15406

ALWAYS_INLINE vreal sharp_exp_of_distance(operands o) { return exp_any(-vabs(o.z)); }

ALWAYS_INLINE point brier(operands o)
{
    vmask right = le(ZERO, o.z);
    sigmoids s = sharp_sigmoids(o.e); /* the square doubles every error */
    vreal large = s.large, small = s.small;
    vreal p = choose(right, large, small), rest = choose(right, small, large);
    vreal error = fmadd(ONE - o.t, p, -(o.t * rest)), slope = large * small; /* slope: dp / dz */
    vreal hessian;
    if (o.curvature == FL_EXACT) {
        vreal centred = (ONE - o.e) * large; /* |1 - 2 p| */
        hessian = slope * fmadd(error, choose(right, -centred, centred), slope);
        hessian = hessian + hessian;
    } else if (o.curvature == FL_PSD)
        hessian = not_flat((slope + slope) * slope, error * slope);
    else
        hessian = keep_nan(o.z, UNIFORM(BRIER_LARGEST_CURVATURE));
    return (point){.value = error * error, .gradient = (error + error) * slope, .hessian = hessian};
}
POINTWISE(brier, FL_UNIT_INTERVAL, 0, STAGE(sharp_exp_of_distance, FOR_ALL), NULL, 0)
