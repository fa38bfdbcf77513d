"""What the page of each loss begins with: what it is, when to take it, when not, and what instead."""

from dataclasses import dataclass


@dataclass
class Lead:
    """Sentences, and the names of the losses to look at instead; `see` is a heading of the guide."""

    what: str
    when: str
    when_not: str
    instead: tuple[str, ...]
    see: str


LEADS = {
    "CrossEntropy": Lead(
        "The negative logarithm of the probability that the model gives to the right class, also called log loss and "
        "negative log-likelihood. Its expectation is least at the true probabilities, and its slope by a logit is p -"
        " t.",
        "Exactly one class of several is right: images, words, tags. It is the usual choice, and gives probabilities.",
        "Several classes may be right at once, or many labels are wrong.",
        ("BinaryCrossEntropy", "GeneralizedCrossEntropy", "Focal"),
        "At a glance",
    ),
    "Focal": Lead(
        "Cross-entropy, multiplied by a power of 1 minus the probability of the right class: rows that are predicted "
        "well lose their weight. gamma = 0 is cross-entropy.",
        "Easy rows are so many that their sum outweighs the hard ones, as background does in object detection.",
        "Labels may be wrong: wrong labels are hard rows, too, and gain weight. For a rare class alone, the threshold"
        " of a decision is the better means.",
        ("CrossEntropy", "GeneralizedCrossEntropy"),
        "Imbalance",
    ),
    "MulticlassHinge": Lead(
        "The amount by which the largest logit of a wrong class exceeds that of the right one, less a margin; 0 if "
        "the right class leads by more than the margin. The form of Crammer and Singer.",
        "Only decisions count, and rows that are clearly right should have no influence: support vector machines.",
        "Probabilities are needed: this loss defines none.",
        ("CrossEntropy", "Hinge"),
        "Margins",
    ),
    "KLDivergence": Lead(
        "The Kullback-Leibler divergence of the model's probabilities from those of the target: cross-entropy less "
        "the entropy of the target, and 0 where both agree.",
        "Targets are probabilities: distillation from a larger model, labels of several people.",
        "Targets are classes: the divergence is then the cross-entropy, which takes class indices.",
        ("CrossEntropy",),
        "At a glance",
    ),
    "Poly1": Lead(
        "Cross-entropy plus epsilon times 1 - p: the first term of its series in powers of 1 - p, with another weight.",
        "Cross-entropy works, and there is time to tune one more parameter for a small gain.",
        "The softmax of the scores is used as probabilities: take the loss's `predict_proba`.",
        ("CrossEntropy", "Focal"),
        "At a glance",
    ),
    "GeneralizedCrossEntropy": Lead(
        "A family between cross-entropy (the limit q = 0) and the absolute error of the probability (q = 1). It is "
        "bounded by 1 / q, so that the influence of a row fades as its label becomes improbable.",
        "Some labels are wrong: labels by crowds, from the web, or by rules.",
        "Training begins far from a solution: the slope is small where the model is sure and wrong.",
        ("CrossEntropy", "Brier"),
        "Wrong labels",
    ),
    "BinaryCrossEntropy": Lead(
        "The negative log-likelihood of a label that is 0 or 1, given the logit of its probability; also called "
        "logistic loss. Its expectation is least at the true probability, and its slope is p - t.",
        "Two classes, or any number of labels that may be true together; probabilities are wanted.",
        "Labels may be wrong far from the boundary: each of them keeps a slope near 1.",
        ("BinaryFocal", "Brier", "CrossEntropy"),
        "Imbalance",
    ),
    "BinaryFocal": Lead(
        "Binary cross-entropy, multiplied by a power of 1 minus the probability of the label: elements that are "
        "predicted well lose their weight. gamma = 0 is binary cross-entropy.",
        "There are thousands of easy negatives for each positive, and together they outweigh it.",
        "The sigmoid of the score is used as a probability: take the loss's `predict_proba`.",
        ("BinaryCrossEntropy", "Tversky"),
        "Imbalance",
    ),
    "Hinge": Lead(
        "The shortfall of the margin below 1, and 0 from 1 on.",
        "Support vector machines: only rows near the boundary or on its wrong side shape it.",
        "Probabilities are needed, or the method uses second derivatives.",
        ("SquaredHinge", "BinaryCrossEntropy"),
        "Margins",
    ),
    "SquaredHinge": Lead(
        "The square of the shortfall of the margin below 1, which has no corner.",
        "A support vector machine by a fast, smooth method.",
        "Labels may be wrong: a row far on the wrong side counts by the square.",
        ("Hinge", "ModifiedHuber"),
        "Margins",
    ),
    "ModifiedHuber": Lead(
        "The squared hinge down to a margin of -1, continued by a straight line.",
        "Linear classifiers where some labels are wrong and rough probabilities are enough.",
        "Calibrated probabilities are needed.",
        ("SquaredHinge", "BinaryCrossEntropy"),
        "Margins",
    ),
    "Exponential": Lead(
        "The exponential of the negative margin: the loss of AdaBoost.",
        "Boosting on clean labels, or a comparison with AdaBoost.",
        "A label may be wrong: one of them can outweigh all other rows.",
        ("BinaryCrossEntropy", "ModifiedHuber"),
        "Margins",
    ),
    "Brier": Lead(
        "The squared error of the probability: bounded by 1, and least at the true probability.",
        "Forecasts of probabilities are compared, or labels may be wrong.",
        "Training begins far from a solution: the sigmoid saturates, and the slope is nearly 0 there.",
        ("BinaryCrossEntropy", "GeneralizedCrossEntropy"),
        "Wrong labels",
    ),
    "SquaredError": Lead(
        "The square of the residual. Its best constant is the mean; it is the likelihood of normal errors.",
        "The mean is wanted, and gross errors are rare.",
        "Outliers: an error ten times as large counts a hundredfold.",
        ("Huber", "AbsoluteError"),
        "Outliers",
    ),
    "AbsoluteError": Lead(
        "The distance from the target. Its best constant is the median, whatever the outliers.",
        "The median is wanted: typical durations, prices, distances.",
        "The mean is wanted and errors are skewed; or the method needs curvature.",
        ("Huber", "Quantile"),
        "Outliers",
    ),
    "Huber": Lead(
        "Squared error up to a distance delta, a line beyond it: the mean of ordinary rows, with outliers held back.",
        "Regression with some gross errors; delta about 1.35 times the spread of the noise.",
        "The scale of the target is unknown or changes: delta is in its units.",
        ("PseudoHuber", "AbsoluteError", "Cauchy"),
        "Outliers",
    ),
    "SmoothL1": Lead(
        "Huber's loss divided by its parameter: the absolute error with a parabola in place of its corner.",
        "Coordinates of boxes in detection, and wherever papers say smooth L1.",
        "beta is to be tiny: the absolute error is its limit, and has no parameter.",
        ("Huber", "AbsoluteError"),
        "Outliers",
    ),
    "PseudoHuber": Lead(
        "A hyperbola with the shape of Huber's loss and all derivatives.",
        "The purpose of Huber's loss, with a method that uses second derivatives.",
        "Outliers are to have no influence at all: the slope stays delta.",
        ("Huber", "LogCosh", "Cauchy"),
        "Outliers",
    ),
    "LogCosh": Lead(
        "The logarithm of the hyperbolic cosine of the residual: like Huber's with delta 1, and smooth everywhere.",
        "Targets are scaled to a spread of about 1, and no parameter is to be chosen.",
        "Targets are in other units: there is no scale to set.",
        ("Huber", "PseudoHuber"),
        "Outliers",
    ),
    "Fair": Lead(
        "Between squared and absolute error, with a slope that approaches its bound slowly.",
        "Robust regression by a convex loss with a bounded slope.",
        "Ordinary residuals are much larger than c: there is hardly any curvature there.",
        ("Huber", "PseudoHuber"),
        "Outliers",
    ),
    "Cauchy": Lead(
        "The negative log-likelihood of a Cauchy distribution: the slope, the influence of a row, falls again with "
        "its distance.",
        "There are gross outliers, whose influence is to vanish.",
        "There is no good starting point: the loss is not convex. A fit with Huber's loss is one.",
        ("Huber", "Tukey"),
        "Outliers",
    ),
    "Tukey": Lead(
        "Tukey's biweight: nearly the squared error for small residuals, constant beyond c, where rows have no "
        "influence at all.",
        "There are gross outliers, and a fit with Huber's loss to start from.",
        "Many rows lie beyond c at the start: their slope is 0, and they would stay there.",
        ("Huber", "Cauchy"),
        "Outliers",
    ),
    "AbsolutePercentageError": Lead(
        "The absolute error as a share of the target: the mean of it is MAPE.",
        "Errors are to be reported in per cent, and targets are far from 0.",
        "Targets come near 0, or the mean is wanted: the best constant lies far below it.",
        ("Gamma", "AbsoluteError"),
        "Counts and amounts",
    ),
    "Quantile": Lead(
        "The absolute error with different prices for both sides, also called pinball loss. Its best constant is the "
        "q-quantile.",
        "Prediction intervals, stock levels, and any cost that differs between too much and too little.",
        "The mean is wanted, or the method needs curvature.",
        ("Expectile", "AbsoluteError"),
        "Quantiles",
    ),
    "Expectile": Lead(
        "The squared error with different prices for both sides. Its best constant is the q-expectile; 0.5 is the "
        "mean.",
        "The distance of extreme targets is to count, or the method needs a smooth loss.",
        "A statement about shares of rows is wanted: that is a quantile.",
        ("Quantile", "SquaredError"),
        "Quantiles",
    ),
    "EpsilonInsensitive": Lead(
        "The excess of the absolute error over epsilon; 0 below it.",
        "Support vector regression; errors below a tolerance are free.",
        "The method needs curvature.",
        ("SquaredEpsilonInsensitive", "Huber"),
        "Outliers",
    ),
    "SquaredEpsilonInsensitive": Lead(
        "The square of the excess of the absolute error over epsilon.",
        "Support vector regression by a smooth method.",
        "Outliers: they count by the square.",
        ("EpsilonInsensitive", "Huber"),
        "Outliers",
    ),
    "Poisson": Lead(
        "The negative log-likelihood of counts, less a constant, given the logarithm of their mean, so that effects "
        "multiply.",
        "Counts and rates, with the exposure as weight; also any amounts whose variance grows with the mean.",
        "The variance grows faster than the mean, or targets are negative.",
        ("NegativeBinomial", "Tweedie", "SquaredError"),
        "Counts and amounts",
    ),
    "NegativeBinomial": Lead(
        "The negative log-likelihood of counts whose variance m + a m^2 exceeds their mean m; the score is log m.",
        "Counts of people or places whose rates differ for reasons that no feature holds.",
        "The dispersion is not known, and has to be fitted: `NegativeBinomialNLL` does that.",
        ("NegativeBinomialNLL", "Poisson", "Tweedie"),
        "Counts and amounts",
    ),
    "Gamma": Lead(
        "The negative log-likelihood of positive, skewed amounts with a constant coefficient of variation: an error "
        "of 10 % costs the same at any size.",
        "Claims, durations, prices, all of them positive.",
        "Some targets are 0.",
        ("Tweedie", "InverseGaussian"),
        "Counts and amounts",
    ),
    "InverseGaussian": Lead(
        "The negative log-likelihood of positive amounts with a heavy tail, given the logarithm of their mean.",
        "The variance grows with the cube of the mean: times until a level is reached, large claims.",
        "Some targets are 0.",
        ("Gamma", "Tweedie"),
        "Counts and amounts",
    ),
    "Tweedie": Lead(
        "The negative log-likelihood, as far as it depends on the mean, of a sum of a random number of gamma-"
        "distributed amounts: exact zeros, and a skewed rest.",
        "Claims, rain, sales of single articles.",
        "Amounts are never 0 (`Gamma`), or the targets are counts (`Poisson`).",
        ("Gamma", "Poisson"),
        "Counts and amounts",
    ),
    "Tversky": Lead(
        "One minus the overlap of two sets, with a price for false positives and one for false negatives.",
        "Segmentation and rare labels, where recall and precision do not matter alike.",
        "Calibrated probabilities are needed, or the model is a booster, which computes one row at a time.",
        ("Dice", "BinaryCrossEntropy"),
        "Overlap",
    ),
    "Dice": Lead(
        "One minus the overlap of two sets, relative to their mean size: the F1 score, made smooth.",
        "Segmentation, together with cross-entropy.",
        "Alone at the start of training: the slope is small while nothing overlaps.",
        ("Tversky", "Jaccard", "BinaryCrossEntropy"),
        "Overlap",
    ),
    "Jaccard": Lead(
        "One minus intersection over union, made smooth.",
        "Segmentation that is judged by intersection over union.",
        "Alone at the start of training: the slope is small while nothing overlaps.",
        ("Dice", "Tversky"),
        "Overlap",
    ),
    "CoxPH": Lead(
        "Cox's partial likelihood: for each event, the negative logarithm of the probability that it happened to this"
        " row, of all that were at risk at that time. The baseline hazard cancels, and only the order of times "
        "counts.",
        "Times to an event are partly censored, and the question is what multiplies the risk, or which row comes "
        "first.",
        "Hazards are not proportional, the time itself is to be predicted, or times are known as intervals only.",
        ("AFT",),
        "Time to event, choices, rankings",
    ),
    "AFT": Lead(
        "The negative log-likelihood of accelerated failure times: log t has a normal, logistic or extreme-value "
        "distribution around the score. A censored time counts with the probability of the interval it lies in.",
        "Times are to be predicted, or are known as intervals: between two visits, before the first one.",
        "The distribution is not known, and the order of the rows is enough.",
        ("CoxPH", "LogNormalNLL", "WeibullNLL"),
        "Time to event, choices, rankings",
    ),
    "GroupSoftmax": Lead(
        "Cross-entropy over the rows of a group of any size: conditional logit in the theory of choice, ListNet in "
        "ranking.",
        "One of several alternatives was chosen, each with features of its own; or the best item of a list is to be "
        "ranked first.",
        "All groups have the same classes: `CrossEntropy` with one column a class is meant for them.",
        ("PairwiseLogistic", "CrossEntropy"),
        "Time to event, choices, rankings",
    ),
    "PairwiseLogistic": Lead(
        "The logistic loss of score differences, over all pairs of rows of a group with different relevance: RankNet.",
        "Relevance says which of two rows belongs first, and not by how much.",
        "Groups are large: the number of pairs grows with the square of the rows.",
        ("GroupSoftmax",),
        "Time to event, choices, rankings",
    ),
    "SoftF1": Lead(
        "One minus the F-score of a batch, made smooth.",
        "Labels that are judged by F1 or F-beta, in batches large enough to hold some of each.",
        "Batches hold few rows of a label: the F-score of a batch is then no estimate of that of the whole.",
        ("Dice", "BinaryCrossEntropy"),
        "Overlap",
    ),
    "SquaredLogError": Lead(
        "The squared difference of log(1 + z) and log(1 + t): errors count in proportion, and targets may be 0. The "
        "root of its mean is RMSLE.",
        "A competition or a report is judged by RMSLE, or amounts span several orders of magnitude.",
        "The mean is wanted: the best constant lies below it. The loss is not convex, and z has to stay above -1.",
        ("Gamma", "Poisson", "SquaredError"),
        "Counts and amounts",
    ),
    "Barron": Lead(
        "A family with one shape parameter: alpha = 2 is the squared error, 1 pseudo-Huber, 0 Cauchy, -2 Geman-"
        "McClure, and large negative ones approach Welsch.",
        "The amount of robustness is itself to be tuned, by one number instead of a choice among losses.",
        "alpha below 1 has no good starting point: the loss is not convex there.",
        ("Huber", "PseudoHuber", "Cauchy"),
        "Outliers",
    ),
    "GaussianNLL": Lead(
        "The negative log-likelihood of a normal distribution whose mean and standard deviation are both predicted.",
        "The noise differs from row to row, and a prediction needs an error bar.",
        "Targets have outliers: the square of a residual weighs on mean and scale alike.",
        ("StudentTNLL", "LaplaceNLL", "GaussianCRPS"),
        "Distributions",
    ),
    "LaplaceNLL": Lead(
        "The negative log-likelihood of a Laplace distribution: the absolute error, with a predicted scale.",
        "A median and a spread are wanted, and errors have heavier tails than normal ones.",
        "The method needs second derivatives by the median: there are none.",
        ("GaussianNLL", "LogisticNLL", "StudentTNLL"),
        "Distributions",
    ),
    "LogisticNLL": Lead(
        "The negative log-likelihood of a logistic distribution: nearly normal in the middle, exponential in the "
        "tails.",
        "Errors are a little heavier than normal, and a smooth loss with a bounded slope by the location is wanted.",
        "There are gross outliers: their influence is bounded, but does not vanish.",
        ("GaussianNLL", "StudentTNLL", "LaplaceNLL"),
        "Distributions",
    ),
    "StudentTNLL": Lead(
        "The negative log-likelihood of Student's t distribution: the fewer degrees of freedom, the less an outlier "
        "counts. With `df=None` they are predicted, too.",
        "A distribution is to be predicted, and targets have outliers or heavy tails.",
        "Rows are few and `df=None`: the tails of a distribution need many rows. The loss is not convex.",
        ("GaussianNLL", "LaplaceNLL", "LogisticNLL"),
        "Distributions",
    ),
    "LogNormalNLL": Lead(
        "The negative log-likelihood of a positive target whose logarithm is normally distributed.",
        "Prices, incomes, durations: targets are positive, and errors multiply.",
        "Some targets are 0, or the mean on the target's scale is all that is wanted (`Gamma`).",
        ("GammaNLL", "WeibullNLL", "LogNormalCRPS"),
        "Distributions",
    ),
    "GammaNLL": Lead(
        "The negative log-likelihood of a gamma distribution whose mean and shape are both predicted.",
        "Positive, skewed amounts, whose coefficient of variation differs from row to row.",
        "Some targets are 0, or the mean alone is wanted: `Gamma` needs one score a row.",
        ("Gamma", "LogNormalNLL", "WeibullNLL"),
        "Distributions",
    ),
    "WeibullNLL": Lead(
        "The negative log-likelihood of a Weibull distribution, the usual model of times until failure: its shape "
        "says whether the risk rises or falls with age.",
        "Every time was observed to its end, and its whole distribution is wanted.",
        "Some times are censored: `AFT` with the extreme-value distribution is the Weibull model for them.",
        ("AFT", "GammaNLL", "LogNormalNLL"),
        "Distributions",
    ),
    "NegativeBinomialNLL": Lead(
        "The negative log-likelihood of a negative binomial distribution whose mean and dispersion are both predicted.",
        "Counts vary more than Poisson's, and by how much is not known or differs from row to row.",
        "The dispersion is known, or the mean alone is wanted.",
        ("NegativeBinomial", "ZeroInflatedPoissonNLL", "Poisson"),
        "Distributions",
    ),
    "BetaNLL": Lead(
        "The negative log-likelihood of a beta distribution: a share between 0 and 1, with predicted mean and "
        "precision.",
        "Shares, rates and proportions, and how sure they are is to be predicted as well.",
        "Some shares are exactly 0 or 1, where the distribution has no density.",
        ("BinaryCrossEntropy", "GaussianNLL"),
        "Distributions",
    ),
    "ZeroInflatedPoissonNLL": Lead(
        "The negative log-likelihood of a mixture: with some probability a 0, else a Poisson count; both are "
        "predicted.",
        "There are two reasons for a 0, such as machines without defects and machines that were not used.",
        "There are many zeros only because the mean is small or the rates differ.",
        ("Poisson", "NegativeBinomialNLL", "Tweedie"),
        "Distributions",
    ),
    "GaussianCRPS": Lead(
        "The continuous ranked probability score of a normal distribution: the squared distance between its "
        "distribution function and the observed step, integrated. It has the unit of the target.",
        "Forecasts are judged by the CRPS, as in meteorology, or `GaussianNLL` is spoilt by outliers.",
        "The likelihood is wanted, for tests or for the comparison with other distributions.",
        ("GaussianNLL", "Quantiles", "AbsoluteError"),
        "Distributions",
    ),
    "LogNormalCRPS": Lead(
        "The continuous ranked probability score of the logarithm of a positive target, under a normal distribution.",
        "Targets are positive and errors multiply, and a robust alternative to the likelihood is wanted.",
        "The CRPS on the target's own scale is wanted: this one is that of the logarithm.",
        ("LogNormalNLL", "GaussianCRPS"),
        "Distributions",
    ),
    "Quantiles": Lead(
        "The sum of the pinball losses of several quantiles, one column for each; with `noncrossing=True` the columns"
        " are steps that cannot be negative.",
        "An interval or a fan of quantiles is wanted, without an assumption about the distribution.",
        "One quantile is enough, or the data are few and far quantiles rest on a handful of rows.",
        ("Quantile", "GaussianCRPS", "StudentTNLL"),
        "Quantiles",
    ),
    "AllThreshold": Lead(
        "For each threshold between two ordered classes, the binary cross-entropy of being above it; the value is "
        "their sum.",
        "Ordered classes, such as grades, and a model that may weigh features differently at each threshold.",
        "One direction of better and worse is enough, or rows are few: `CumulativeLogit` has one score.",
        ("CumulativeLogit", "CrossEntropy"),
        "Ordered classes",
    ),
    "CumulativeLogit": Lead(
        "The negative log-likelihood of the proportional-odds model: one score a row, and thresholds that cut it into"
        " ordered classes.",
        "Ordered classes, such as ratings and stages of a disease, with one effect of a feature for all thresholds.",
        "A feature acts on some thresholds only: `AllThreshold` has one score for each.",
        ("AllThreshold", "CrossEntropy"),
        "Ordered classes",
    ),
}
