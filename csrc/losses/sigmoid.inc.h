/* Functions of one argument go through the same driver: no target, the result is the value. */
ALWAYS_INLINE point sigmoid(operands o)
{
    vreal large = ONE / (ONE + o.e);
    return (point){.value = choose(le(ZERO, o.z), large, o.e * large)};
}
UNARY(sigmoid, STAGE(exp_of_distance, FL_VALUE), NULL, 0)

ALWAYS_INLINE point log_sigmoid(operands o) { return (point){.value = -choose(le(ZERO, o.z), o.l, o.l + vabs(o.z))}; }
UNARY(log_sigmoid, STAGE(exp_of_distance, FL_VALUE), STAGE(log1p_of_e, FL_VALUE))
