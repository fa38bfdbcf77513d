/* Whether the class that a logit predicts, 1 for z > 0, is not the target's. */
ALWAYS_INLINE point zero_one(operands o)
{
    return (point){.value = keep_nan(o.z, choose(lt(ZERO, o.z), ONE - o.t, o.t))};
}
POINTWISE_VALUE(zero_one, FL_UNIT_INTERVAL, 0, NO_STAGES)
