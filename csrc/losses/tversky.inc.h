/* 1 - (TP + smooth) / (TP + alpha FP + beta FN + smooth). Salehi et al. 2017, arXiv:1706.05721: alpha weighs false positives.
 * The others are its special cases, and their classes pass its coefficients: see sets.h.
 */
SET_LOSS(tversky)
