/* alpha = beta = 1 / 2. Dice 1945, doi:10.2307/1932409. */
SET_LOSS(dice)
