/* alpha = 1 / (1 + beta^2), beta = beta^2 / (1 + beta^2). van Rijsbergen 1979. */
SET_LOSS(soft_f1)
