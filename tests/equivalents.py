"""What other libraries call it: pairs of expressions, shown side by side in the documentation and held equal by tests.

`z` and `t` are prediction and target of the kind that is named (`peers.draw`), `w` sample weights, `c` class weights,
`X` a table of features; in a peer's expression they are its arrays or tensors.
"""

from typing import NamedTuple


class Row(NamedTuple):
    kind: str  # of target: what `peers.draw` knows, "labels" (hard, a matrix), "column", "one-hot"
    theirs: str
    ours: str


# Each peer's names, as import statements; they are shown, too.
IMPORTS = {
    "torch": ("import torch", "from torch.nn import functional as F"),
    "keras": ("from keras import losses, ops",),
    "optax": ("import jax", "from optax import losses"),
    "sklearn": ("from sklearn import linear_model, metrics", "from fastloss import sklearn as flsk"),
    "scipy": ("from scipy import special",),
}

EQUIVALENTS = {
    "torch": (
        Row("index", "F.cross_entropy(z, t)", "fl.cross_entropy(z, t)"),
        Row("probability", "F.cross_entropy(z, t)", "fl.cross_entropy(z, t)"),
        Row("index", "F.cross_entropy(z, t, weight=c)", "fl.cross_entropy(z, t, class_weight=c)"),
        Row("index", "F.cross_entropy(z, t, label_smoothing=0.1)", "fl.cross_entropy(z, t, label_smoothing=0.1)"),
        Row("index", "F.cross_entropy(z, t, ignore_index=2)", "fl.cross_entropy(z, t, ignore_index=2)"),
        Row("index", "F.nll_loss(F.log_softmax(z, dim=-1), t)", "fl.cross_entropy(z, t)"),
        Row("probability", "F.kl_div(F.log_softmax(z, -1), t, reduction='batchmean')", "fl.kl_divergence(z, t)"),
        Row("soft", "F.binary_cross_entropy_with_logits(z, t)", "fl.binary_cross_entropy(z, t)"),
        Row(
            "soft",
            "F.binary_cross_entropy_with_logits(z, t, pos_weight=torch.tensor(3.0))",
            "fl.binary_cross_entropy(z, t, pos_weight=3.0)",
        ),
        Row(
            "soft",
            "F.binary_cross_entropy_with_logits(z, t, weight=w, reduction='sum')",
            "fl.binary_cross_entropy(z, t, sample_weight=w, reduction='sum')",
        ),
        Row(
            "soft",
            "F.binary_cross_entropy_with_logits(z, t, weight=w)",
            "fl.binary_cross_entropy(z, t, sample_weight=w, reduction='sum') / z.size",
        ),
        Row("hard", "F.soft_margin_loss(z, 2 * t - 1)", "fl.binary_cross_entropy(z, t)"),
        Row("labels", "F.multilabel_soft_margin_loss(z, t)", "fl.binary_cross_entropy(z, t)"),
        Row("hard", "F.hinge_embedding_loss(z * (2 * t - 1), -torch.ones_like(z))", "fl.hinge(z, t)"),
        Row("soft", "F.mse_loss(torch.sigmoid(z), t)", "fl.brier(z, t)"),
        Row("real", "F.mse_loss(z, t)", "fl.squared_error(z, t)"),
        Row("real", "F.l1_loss(z, t)", "fl.absolute_error(z, t)"),
        Row("real", "F.huber_loss(z, t, delta=0.7)", "fl.huber(z, t, delta=0.7)"),
        Row("real", "F.smooth_l1_loss(z, t, beta=0.7)", "fl.smooth_l1(z, t, beta=0.7)"),
        Row("real", "F.smooth_l1_loss(z, t, beta=0.7)", "fl.huber(z, t, delta=0.7) / 0.7"),
        Row("count", "F.poisson_nll_loss(z, t)", "fl.poisson(z, t)"),
        Row("real", "torch.func.grad(F.huber_loss)(z, t)", "fl.Huber().gradient(z, t)"),
        Row("index", "torch.func.grad(F.cross_entropy)(z, t)", "fl.CrossEntropy().gradient(z, t)"),
        Row(
            "soft",
            "torch.func.jacrev(torch.func.grad(F.binary_cross_entropy_with_logits))(z, t).diagonal()",
            "fl.BinaryCrossEntropy().gradient_and_hessian(z, t)[1]",
        ),
        Row("index", "F.log_softmax(z, dim=-1)", "fl.log_softmax(z)"),
        Row("index", "torch.softmax(z, dim=-1)", "fl.softmax(z)"),
        Row("index", "torch.logsumexp(z, dim=-1)", "fl.logsumexp(z)"),
        Row("real", "torch.sigmoid(z)", "fl.sigmoid(z)"),
        Row("real", "F.logsigmoid(z)", "fl.log_sigmoid(z)"),
    ),
    "keras": (
        Row("index", "losses.SparseCategoricalCrossentropy(from_logits=True)(t, z)", "fl.cross_entropy(z, t)"),
        Row("probability", "losses.CategoricalCrossentropy(from_logits=True)(t, z)", "fl.cross_entropy(z, t)"),
        Row(
            "probability",
            "losses.categorical_crossentropy(t, z, from_logits=True, label_smoothing=0.1)",
            "fl.cross_entropy(z, t, label_smoothing=0.1, reduction='none')",
        ),
        Row(
            "index",
            "losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=2)(t, z)",
            "fl.cross_entropy(z, t, ignore_index=2)",
        ),
        Row(
            "one-hot",
            "losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=2.0, from_logits=True)(t, z)",
            "fl.focal(z, t, gamma=2.0)",
        ),
        Row(
            "index",
            "losses.CategoricalGeneralizedCrossEntropy(q=0.7)(t, ops.softmax(z))",
            "fl.generalized_cross_entropy(z, t, q=0.7)",
        ),
        Row("probability", "losses.KLDivergence()(t, ops.softmax(z))", "fl.kl_divergence(z, t)"),
        Row("one-hot", "losses.CategoricalHinge()(t, z - ops.min(z))", "fl.multiclass_hinge(z, t)"),
        Row("labels", "losses.BinaryCrossentropy(from_logits=True)(t, z)", "fl.binary_cross_entropy(z, t)"),
        Row(
            "labels",
            "losses.binary_crossentropy(t, z, from_logits=True)",
            "fl.binary_cross_entropy(z, t, reduction='none').mean(axis=-1)",
        ),
        Row("labels", "losses.BinaryFocalCrossentropy(from_logits=True)(t, z)", "fl.binary_focal(z, t)"),
        Row(
            "labels",
            "losses.BinaryFocalCrossentropy(apply_class_balancing=True, alpha=0.25, from_logits=True)(t, z)",
            "fl.binary_focal(z, t, alpha=0.25)",
        ),
        Row("hard", "losses.Hinge()(t, z)", "fl.hinge(z, t)"),
        Row("hard", "losses.SquaredHinge()(t, z)", "fl.squared_hinge(z, t)"),
        Row("real", "losses.MeanSquaredError()(t, z)", "fl.squared_error(z, t)"),
        Row("column", "losses.MeanSquaredError(reduction='sum')(t, z)", "fl.squared_error(z, t, reduction='sum')"),
        Row(
            "column",
            "losses.MeanSquaredError(reduction='mean_with_sample_weight')(t, z, sample_weight=w)",
            "fl.squared_error(z, t, sample_weight=w)",
        ),
        Row(
            "column",
            "losses.MeanSquaredError()(t, z, sample_weight=w)",
            "fl.squared_error(z, t, sample_weight=w, reduction='sum') / z.size",
        ),
        Row("real", "losses.MeanAbsoluteError()(t, z)", "fl.absolute_error(z, t)"),
        Row("real", "losses.Huber(delta=0.7)(t, z)", "fl.huber(z, t, delta=0.7)"),
        Row("real", "losses.LogCosh()(t, z)", "fl.log_cosh(z, t)"),
        Row("count", "losses.Poisson()(t, ops.exp(z))", "fl.poisson(z, t)"),
        Row("labels", "losses.Dice()(t, ops.sigmoid(z))", "fl.dice(z, t, smooth=0.0)"),
        Row("labels", "losses.Tversky(alpha=1.0, beta=1.0)(t, ops.sigmoid(z))", "fl.jaccard(z, t, smooth=0.0)"),
    ),
    "optax": (
        Row("index", "losses.softmax_cross_entropy_with_integer_labels(z, t).mean()", "fl.cross_entropy(z, t)"),
        Row("probability", "losses.softmax_cross_entropy(z, t)", "fl.cross_entropy(z, t, reduction='none')"),
        Row(
            "one-hot",
            "losses.softmax_cross_entropy(z, losses.smooth_labels(t, 0.1)).mean()",
            "fl.cross_entropy(z, t, label_smoothing=0.1)",
        ),
        Row("probability", "losses.poly_loss_cross_entropy(z, t, epsilon=1.0).mean()", "fl.poly1(z, t, epsilon=1.0)"),
        Row("probability", "losses.kl_divergence(jax.nn.log_softmax(z), t).mean()", "fl.kl_divergence(z, t)"),
        Row("index", "losses.multiclass_hinge_loss(z, t).mean()", "fl.multiclass_hinge(z, t)"),
        Row("soft", "losses.sigmoid_binary_cross_entropy(z, t).mean()", "fl.binary_cross_entropy(z, t)"),
        Row("hard", "losses.sigmoid_focal_loss(z, t, alpha=0.25).mean()", "fl.binary_focal(z, t, alpha=0.25)"),
        Row("hard", "losses.hinge_loss(z, 2 * t - 1).mean()", "fl.hinge(z, t)"),
        Row("real", "losses.squared_error(z, t).mean()", "fl.squared_error(z, t)"),
        Row("real", "losses.l2_loss(z, t).mean()", "fl.squared_error(z, t) / 2"),
        Row("real", "losses.huber_loss(z, t, delta=0.7).mean()", "fl.huber(z, t, delta=0.7)"),
        Row("real", "losses.log_cosh(z, t).mean()", "fl.log_cosh(z, t)"),
        Row("labels", "losses.binary_dice_loss(z, t)", "fl.dice(z, t, axis=1, reduction='none')"),
        Row("index", "jax.nn.log_softmax(z)", "fl.log_softmax(z)"),
        Row("index", "jax.nn.softmax(z)", "fl.softmax(z)"),
        Row("index", "jax.nn.logsumexp(z, axis=-1)", "fl.logsumexp(z)"),
        Row("real", "jax.nn.sigmoid(z)", "fl.sigmoid(z)"),
        Row("real", "jax.nn.log_sigmoid(z)", "fl.log_sigmoid(z)"),
        Row("real", "jax.grad(lambda x: losses.huber_loss(x, t).mean())(z)", "fl.Huber().gradient(z, t)"),
        Row(
            "soft",
            "jax.value_and_grad(lambda x: losses.sigmoid_binary_cross_entropy(x, t).mean())(z)",
            "fl.BinaryCrossEntropy().value_and_gradient(z, t)",
        ),
    ),
    "sklearn": (
        Row("index", "metrics.log_loss(t, fl.softmax(z), sample_weight=w)", "fl.cross_entropy(z, t, sample_weight=w)"),
        Row("hard", "metrics.log_loss(t, fl.sigmoid(z))", "fl.binary_cross_entropy(z, t)"),
        Row("hard", "metrics.log_loss(t, fl.sigmoid(z))", "flsk.log_loss(t, fl.sigmoid(z))"),
        Row("hard", "metrics.brier_score_loss(t, fl.sigmoid(z))", "fl.brier(z, t)"),
        Row("hard", "metrics.zero_one_loss(t, z > 0)", "fl.zero_one(z, t)"),
        Row("hard", "metrics.hinge_loss(t, z)", "fl.hinge(z, t)"),
        Row("index", "metrics.hinge_loss(t, z)", "fl.multiclass_hinge(z, t)"),
        Row("real", "metrics.mean_squared_error(t, z, sample_weight=w)", "fl.squared_error(z, t, sample_weight=w)"),
        Row("real", "metrics.mean_absolute_error(t, z)", "fl.absolute_error(z, t)"),
        Row("real", "metrics.mean_pinball_loss(t, z, alpha=0.8)", "fl.quantile(z, t, q=0.8)"),
        Row(
            "positive",
            "metrics.mean_poisson_deviance(t, np.exp(z))",
            "2 * (fl.poisson(z, t) - fl.poisson(np.log(t), t))",
        ),
        Row("positive", "metrics.mean_gamma_deviance(t, np.exp(z))", "2 * (fl.gamma(z, t) - fl.gamma(np.log(t), t))"),
        Row(
            "positive",
            "metrics.mean_tweedie_deviance(t, np.exp(z), power=1.5)",
            "2 * (fl.tweedie(z, t, power=1.5) - fl.tweedie(np.log(t), t, power=1.5))",
        ),
        Row("hard", "1 - metrics.f1_score(t, z > 0)", "fl.soft_f1(1e9 * z, t, smooth=0.0)"),
        Row("hard", "1 - metrics.jaccard_score(t, z > 0)", "fl.jaccard(1e9 * z, t, smooth=0.0)"),
        Row(
            "hard",
            "linear_model.LogisticRegression(C=0.1, tol=1e-10).fit(X, t).coef_",
            "flsk.LossClassifier(alpha=1 / (0.1 * len(t))).fit(X, t).coef_",
        ),
        Row(
            "real",
            "linear_model.Ridge(alpha=3.0).fit(X, t).coef_",
            "flsk.LossRegressor(loss='squared_error', alpha=2 * 3.0 / len(t)).fit(X, t).coef_",
        ),
        Row(
            "real",
            "linear_model.Lasso(alpha=0.05, tol=1e-10).fit(X, t).coef_",
            "flsk.LossRegressor(loss='squared_error', penalty='l1', alpha=2 * 0.05).fit(X, t).coef_",
        ),
        Row(
            "count",
            "linear_model.PoissonRegressor(alpha=0.1, tol=1e-10).fit(X, t).coef_",
            "flsk.LossRegressor(loss='poisson', alpha=0.1).fit(X, t).coef_",
        ),
        Row(
            "positive",
            "linear_model.GammaRegressor(alpha=0.1, tol=1e-10).fit(X, t).coef_",
            "flsk.LossRegressor(loss='gamma', alpha=0.1).fit(X, t).coef_",
        ),
    ),
    "scipy": (
        Row("real", "special.huber(0.7, z - t)", "fl.huber(z, t, delta=0.7, reduction='none')"),
        Row("real", "special.pseudo_huber(0.7, z - t)", "fl.pseudo_huber(z, t, delta=0.7, reduction='none')"),
        Row(
            "probability",
            "special.rel_entr(t, special.softmax(z, axis=-1)).sum(axis=-1)",
            "fl.kl_divergence(z, t, reduction='none')",
        ),
        Row("index", "special.log_softmax(z, axis=-1)", "fl.log_softmax(z)"),
        Row("index", "special.softmax(z, axis=-1)", "fl.softmax(z)"),
        Row("index", "special.logsumexp(z, axis=-1)", "fl.logsumexp(z)"),
        Row("real", "special.expit(z)", "fl.sigmoid(z)"),
        Row("real", "special.log_expit(z)", "fl.log_sigmoid(z)"),
    ),
}
