/* alpha = beta = 1. Jaccard 1912, doi:10.1111/j.1469-8137.1912.tb05611.x. */
SET_LOSS(jaccard)
