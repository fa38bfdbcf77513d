"""What the page of each loss begins with: what it is, when to take it, when not, and what instead."""

from dataclasses import dataclass


@dataclass
class Lead:
    """Sentences, and the names of the losses to look at instead; `see` is a part of the guide."""

    what: str
    when: str
    when_not: str
    instead: tuple[str, ...]
    see: str


LEADS = {
    "CrossEntropy": Lead(
        "The mean surprise at the classes that came, under the probabilities that the model says. It is least at the "
        "true probabilities, and its slope by a logit is simply p - t.",
        "One class of many is right, and probabilities are wanted or at least not harmful: images, words, tags.",
        "Several classes may be right at once, or many labels are wrong.",
        ("BinaryCrossEntropy", "GeneralizedCrossEntropy", "Focal"),
        "at-a-glance",
    ),
    "Focal": Lead(
        "Cross-entropy in which rows that are right already lose their weight; gamma = 0 is cross-entropy.",
        "Easy rows are so many that their sum drowns the hard ones, as background does in detection.",
        "Labels may be wrong: they are hard rows, too. Or a rare class is all there is: move the threshold instead.",
        ("CrossEntropy", "GeneralizedCrossEntropy"),
        "imbalance",
    ),
    "MulticlassHinge": Lead(
        "How far the best wrong class comes within a margin of the right one (Crammer and Singer).",
        "Only decisions count, and rows that are clearly right should have no say: support vector machines.",
        "Probabilities are needed: there are none.",
        ("CrossEntropy", "Hinge"),
        "margins",
    ),
    "KLDivergence": Lead(
        "What it costs to believe the model's probabilities where those of the target are true; 0 where they agree.",
        "Targets are probabilities: distillation from a larger model, labels of several people.",
        "Targets are classes: then it is cross-entropy, which takes class indices.",
        ("CrossEntropy",),
        "at-a-glance",
    ),
    "Poly1": Lead(
        "Cross-entropy with one more term of its expansion in 1 - p, weighted by epsilon.",
        "Cross-entropy works, and one number is to be tuned to do a little better.",
        "Calibrated probabilities are needed without the loss's own `predict_proba`.",
        ("CrossEntropy", "Focal"),
        "at-a-glance",
    ),
    "GeneralizedCrossEntropy": Lead(
        "Between cross-entropy (q to 0) and the absolute error of the probability (q = 1): bounded, so that a row that "
        "looks impossible is given up in the end.",
        "Some labels are wrong: from crowds, from the web, from rules.",
        "Training begins far from a solution: the slope is small where the model is sure and wrong.",
        ("CrossEntropy", "Brier"),
        "wrong-labels",
    ),
    "BinaryCrossEntropy": Lead(
        "The surprise at a yes or no, from its logit. Least at the true probability; the slope is p - t.",
        "Two classes, or any number of labels that may be true together; probabilities are wanted.",
        "Wrong labels lie far on the other side: each pulls with all its might.",
        ("BinaryFocal", "Brier", "CrossEntropy"),
        "imbalance",
    ),
    "BinaryFocal": Lead(
        "Binary cross-entropy in which elements that are right already lose their weight; gamma = 0 is cross-entropy.",
        "Thousands of easy negatives for each positive, and a model that spends itself on them.",
        "The sigmoid of the score is used as a probability: take the loss's `predict_proba`.",
        ("BinaryCrossEntropy", "Tversky"),
        "imbalance",
    ),
    "Hinge": Lead(
        "What is missing to a margin of 1; nothing beyond it.",
        "Support vector machines: only rows near the boundary or on its wrong side shape it.",
        "Probabilities are needed, or the method wants curvature.",
        ("SquaredHinge", "BinaryCrossEntropy"),
        "margins",
    ),
    "SquaredHinge": Lead(
        "The square of what is missing to a margin of 1, without a corner.",
        "A support vector machine by a fast, smooth method.",
        "Labels may be wrong: a row far on the wrong side counts by the square.",
        ("Hinge", "ModifiedHuber"),
        "margins",
    ),
    "ModifiedHuber": Lead(
        "Squared hinge near the boundary, and a line far on the wrong side.",
        "A linear classifier with some wrong labels, and rough probabilities.",
        "Probabilities have to be good.",
        ("SquaredHinge", "BinaryCrossEntropy"),
        "margins",
    ),
    "Exponential": Lead(
        "The exponential of how far a row is on the wrong side: AdaBoost's loss.",
        "Boosting on clean labels, or to reproduce AdaBoost.",
        "A label may be wrong: one of them can outweigh all other rows.",
        ("BinaryCrossEntropy", "ModifiedHuber"),
        "margins",
    ),
    "Brier": Lead(
        "The squared error of the probability: bounded by 1, and least at the true probability.",
        "Probabilities are to be judged, or labels may be wrong.",
        "Training begins far from a solution: the sigmoid saturates, and the slope is nearly 0 there.",
        ("BinaryCrossEntropy", "GeneralizedCrossEntropy"),
        "wrong-labels",
    ),
    "SquaredError": Lead(
        "The square of the residual. Its best constant is the mean; it is the likelihood of normal errors.",
        "The mean is wanted, and gross errors are rare.",
        "Outliers: an error ten times as large counts a hundredfold.",
        ("Huber", "AbsoluteError"),
        "outliers",
    ),
    "AbsoluteError": Lead(
        "The distance from the target. Its best constant is the median, whatever the outliers.",
        "The median is wanted: typical durations, prices, distances.",
        "The mean is wanted and errors are skewed; or the method needs curvature.",
        ("Huber", "Quantile"),
        "outliers",
    ),
    "Huber": Lead(
        "Squared error up to a distance delta, a line beyond it: the mean of ordinary rows, with outliers held back.",
        "Regression with some gross errors; delta about 1.35 times the spread of the noise.",
        "The scale of the target is unknown or changes: delta is in its units.",
        ("PseudoHuber", "AbsoluteError", "Cauchy"),
        "outliers",
    ),
    "SmoothL1": Lead(
        "Huber's loss divided by its parameter: the absolute error, rounded near 0.",
        "Coordinates of boxes in detection, and wherever papers say smooth L1.",
        "beta should go to 0: take the absolute error itself.",
        ("Huber", "AbsoluteError"),
        "outliers",
    ),
    "PseudoHuber": Lead(
        "A hyperbola with the shape of Huber's loss and all derivatives.",
        "Huber's purpose, with a method that uses curvature.",
        "Outliers should be forgotten altogether.",
        ("Huber", "LogCosh", "Cauchy"),
        "outliers",
    ),
    "LogCosh": Lead(
        "The logarithm of the hyperbolic cosine of the residual: like Huber's with delta 1, and smooth everywhere.",
        "Targets are scaled to a spread of about 1, and no parameter is to be chosen.",
        "Targets are in other units: there is no scale to set.",
        ("Huber", "PseudoHuber"),
        "outliers",
    ),
    "Fair": Lead(
        "Between squared and absolute error, with a slope that approaches its bound slowly.",
        "Robust regression by a convex loss with a bounded slope.",
        "Ordinary residuals are larger than c: the loss is hardly curved there.",
        ("Huber", "PseudoHuber"),
        "outliers",
    ),
    "Cauchy": Lead(
        "The likelihood of Cauchy's distribution: the pull of an outlier fades with its distance.",
        "Gross outliers, of which nothing should be left.",
        "There is no good start: the loss is not convex. Begin with a fit by Huber.",
        ("Huber", "Tukey"),
        "outliers",
    ),
    "Tukey": Lead(
        "Nearly squared error for small residuals, and constant beyond c: outliers have no pull at all.",
        "Gross outliers, and a fit by Huber to begin with.",
        "Many rows lie beyond c at the start: none of them would ever come back.",
        ("Huber", "Cauchy"),
        "outliers",
    ),
    "AbsolutePercentageError": Lead(
        "The absolute error as a share of the target: the mean of it is MAPE.",
        "Errors are to be reported in per cent, and targets are far from 0.",
        "Targets come near 0, or the mean is wanted: the best constant lies far below it.",
        ("Gamma", "AbsoluteError"),
        "counts-and-amounts",
    ),
    "Quantile": Lead(
        "The absolute error with different prices for both sides. Its best constant is the q-quantile.",
        "Intervals, stock levels, and any cost that is not the same on both sides.",
        "The mean is wanted, or the method needs curvature.",
        ("Expectile", "AbsoluteError"),
        "quantiles",
    ),
    "Expectile": Lead(
        "Squared error with different prices for both sides: the mean's relative of a quantile.",
        "How far the tail reaches should count, and a smooth loss is wanted.",
        "A statement about shares of rows is wanted: that is a quantile.",
        ("Quantile", "SquaredError"),
        "quantiles",
    ),
    "EpsilonInsensitive": Lead(
        "The absolute error beyond a distance epsilon; nothing within it.",
        "Support vector regression; errors below a tolerance are free.",
        "The method needs curvature.",
        ("SquaredEpsilonInsensitive", "Huber"),
        "outliers",
    ),
    "SquaredEpsilonInsensitive": Lead(
        "The square of what an error exceeds epsilon by.",
        "Support vector regression by a smooth method.",
        "Outliers: they count by the square.",
        ("EpsilonInsensitive", "Huber"),
        "outliers",
    ),
    "Poisson": Lead(
        "The likelihood of counts, for the logarithm of their mean: effects multiply.",
        "Counts and rates, with the exposure as weight; also any amounts whose variance grows with the mean.",
        "The variance grows faster than the mean, or targets are negative.",
        ("NegativeBinomial", "Tweedie", "SquaredError"),
        "counts-and-amounts",
    ),
    "NegativeBinomial": Lead(
        "The likelihood of counts that are more spread than Poisson's, for the logarithm of their mean.",
        "Counts of different people or places, whose rates differ for reasons that nobody measured.",
        "The dispersion is unknown and matters: it has to be given.",
        ("Poisson", "Tweedie"),
        "counts-and-amounts",
    ),
    "Gamma": Lead(
        "The likelihood of positive, skewed amounts: an error of 10 % costs the same at any size.",
        "Claims, durations, prices, all of them positive.",
        "Some targets are 0.",
        ("Tweedie", "InverseGaussian"),
        "counts-and-amounts",
    ),
    "InverseGaussian": Lead(
        "The likelihood of positive amounts with a heavy tail, for the logarithm of their mean.",
        "The variance grows with the cube of the mean: durations until something is reached, large claims.",
        "Some targets are 0.",
        ("Gamma", "Tweedie"),
        "counts-and-amounts",
    ),
    "Tweedie": Lead(
        "The likelihood of sums of a random number of amounts: many zeros, then skewed.",
        "Claims, rain, sales of single articles.",
        "Amounts are never 0, or whole numbers are counted.",
        ("Gamma", "Poisson"),
        "counts-and-amounts",
    ),
    "Tversky": Lead(
        "One minus the overlap of two sets, with a price for false positives and one for false negatives.",
        "Segmentation and rare labels, where recall matters more than precision or less.",
        "Probabilities are needed, or a booster sees one row at a time.",
        ("Dice", "BinaryCrossEntropy"),
        "overlap",
    ),
    "Dice": Lead(
        "One minus the overlap of two sets, relative to their mean size: the F1 score, made smooth.",
        "Segmentation, together with cross-entropy.",
        "Alone at the start of training: the slope is small while nothing overlaps.",
        ("Tversky", "Jaccard", "BinaryCrossEntropy"),
        "overlap",
    ),
    "Jaccard": Lead(
        "One minus intersection over union, made smooth.",
        "Segmentation that is judged by intersection over union.",
        "Alone at the start of training: the slope is small while nothing overlaps.",
        ("Dice", "Tversky"),
        "overlap",
    ),
    "CoxPH": Lead(
        "Of each event, how surprising it is that it came to this row among all that were still at risk: the baseline "
        "hazard drops out, and only the order of times counts.",
        "Times to an event, some of them censored, and the question is who has it first, or what multiplies the risk.",
        "Hazards cross, or the time itself is wanted, or it is known to lie in an interval.",
        ("AFT",),
        "at-a-glance",
    ),
    "AFT": Lead(
        "The likelihood of a time whose logarithm is spread around its place in a known way; what is censored counts "
        "with the probability of what is known of it.",
        "Times are to be predicted, or were seen in intervals: between two visits, before the first one.",
        "Nothing is known of the distribution, and the order is enough.",
        ("CoxPH", "LogNormalNLL", "WeibullNLL"),
        "at-a-glance",
    ),
    "GroupSoftmax": Lead(
        "Cross-entropy over the rows of a group, of any size: conditional logit, and ListNet in ranking.",
        "One of some alternatives was chosen, each with features of its own; or the best of a list is to be on top.",
        "All groups have the same columns: that is CrossEntropy.",
        ("PairwiseLogistic", "CrossEntropy"),
        "at-a-glance",
    ),
    "PairwiseLogistic": Lead(
        "Logistic loss of the differences of all pairs of rows of a group that are not equally relevant: RankNet.",
        "Relevances say which of two belongs first, and not by how much.",
        "Groups are large: a group of m rows has m^2 pairs.",
        ("GroupSoftmax",),
        "at-a-glance",
    ),
    "SoftF1": Lead(
        "One minus the F-score of a batch, made smooth.",
        "Labels that are judged by F1 or F-beta, in batches large enough to hold some of each.",
        "Batches hold a few rows of a label: the score of a batch is not that of the whole.",
        ("Dice", "BinaryCrossEntropy"),
        "overlap",
    ),
}
