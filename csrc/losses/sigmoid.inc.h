/* Functions of one argument go through the same driver: no target, the result is the value. */
ALWAYS_INLINE point sigmoid(operands o)
{
    vreal large = ONE / (ONE + o.e);
    return (point){.value = choose(le(ZERO, o.z), large, o.e * large)};
}
POINTWISE(sigmoid, STAGE_EXP, STAGE_NONE, FL_ANY)

ALWAYS_INLINE point log_sigmoid(operands o) { return (point){.value = -choose(le(ZERO, o.z), o.l, o.l + vabs(o.z))}; }
POINTWISE(log_sigmoid, STAGE_EXP | STAGE_LOG1P, STAGE_NONE, FL_ANY)
