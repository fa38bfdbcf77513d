/* Whether the first largest logit is another than the target's: see ranks.h. */
RANKED(multiclass_zero_one, RANKED_ZERO_ONE, 0, FL_VALUE)
