/* max(0, margin + max_{j != y} z_j - z_y). Crammer & Singer 2001, JMLR 2, 265-292: see ranks.h. */
RANKED(multiclass_hinge, RANKED_HINGE, 1, FOR_ALL)
