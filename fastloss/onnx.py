"""
ONNX: models of this package as graphs that run where there is no Python: scores, and what the loss makes of them.

`to_onnx` writes an estimator of `fastloss.sklearn`, `fastloss.lightgbm`, `fastloss.xgboost` or `fastloss.catboost`;
after `register`, skl2onnx writes pipelines that hold them.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

try:
    import onnx  # ONNX: this file is fastloss.onnx, and imports are absolute
    from onnx import helper, numpy_helper
except ModuleNotFoundError as error:
    if error.name != "onnx":
        raise
    raise ImportError('fastloss.onnx needs ONNX: pip install "fastloss[onnx]"') from None

import fastloss as fl

from ._boosters import Classification
from ._kernels import RowwiseLoss
from ._posterior import LEAST_PROBABILITY
from ._resolve import resolve

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

__all__ = ["register", "to_onnx"]

OPSET, TREES_OPSET = 17, 3
LEAST_ODDS, MOST_ODDS = 1e-30, 1e30  # in single precision, too
NEVER = -1e30  # the score of a class of weight 0, which gets probability 0


class _Graph:
    """Nodes and constants, written one operation after the other; a name stands for what an operation returns."""

    def __init__(self, dtype: DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def __call__(self, operation: str, *inputs: Any, domain: str = "", **attributes: Any) -> str:
        """Add an operation on names, numbers and arrays."""
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        name = f"{operation.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, names, [name], name=f"_{name}", domain=domain, **attributes))
        return name

    def constant(self, value: Any) -> str:
        """Add a constant: floats in the precision of the graph, all others as they are."""
        array = np.asarray(value)
        name = f"constant_{len(self.constants)}"
        if array.dtype.kind in "UO":
            texts: Any = [str(each) for each in array.flat]
            tensor = helper.make_tensor(name, onnx.TensorProto.STRING, array.shape, texts)
        else:
            array = array.astype({"f": self.dtype, "b": np.int64, "i": np.int64, "u": np.int64}[array.dtype.kind])
            tensor = numpy_helper.from_array(array, name)
        self.constants.append(tensor)
        return name

    def cast(self, name: str, dtype: DTypeLike) -> str:
        return self("Cast", name, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def clipped(self, name: str, low: float, high: float) -> str:
        return self("Min", self("Max", name, low), high)

    def sum_of_row(self, name: str) -> str:
        return self("ReduceSum", name, np.array([1]), keepdims=1)


# -------------------------------------------------------------------------------------------------------- posteriors


def _log1p_share(g: _Graph, odds: str) -> str:
    """Return log(1 + odds) / odds, without loss where 1 + odds rounds."""
    whole = g("Add", odds, 1.0)
    rounds = g("Equal", whole, 1.0)
    share = g("Div", g("Log", whole), g("Where", rounds, 1.0, g("Sub", whole, 1.0)))
    return g("Where", rounds, 1.0, share)


def _log_of_focus(g: _Graph, odds: str, gamma: float) -> str:
    """Return log(1 + gamma h), where h is that of `_posterior.focal_log_factor` and `odds` are those against."""
    return g("Log", g("Add", g("Mul", _log1p_share(g, odds), gamma), 1.0))


def _odds_against(g: _Graph, z: str) -> str:
    """Return (1 - p) / p of p = softmax(z); of a class above 1/2 the numerator is the sum of the others."""
    p = g("Softmax", z, axis=1)
    leads = g("Greater", p, 0.5)
    others = g("Where", leads, g.sum_of_row(g("Where", leads, 0.0, p)), g("Sub", 1.0, p))
    return g.clipped(g("Div", others, g("Max", p, LEAST_ODDS)), LEAST_ODDS, MOST_ODDS)


def _binary(g: _Graph, loss: Any, z: str) -> str | None:
    """Return the probabilities of the second class, or of each label."""
    given = loss.parameters
    positive: Any = 1.0
    negative: Any = 1.0
    if isinstance(loss, fl.BinaryFocal):
        gamma, alpha = given["gamma"], given["alpha"]
        if alpha is not None:
            positive, negative = alpha, 1.0 - alpha
        bounded = g.clipped(z, np.log(LEAST_ODDS), np.log(MOST_ODDS))
        rest = [_log_of_focus(g, g("Exp", each), gamma) for each in (bounded, g("Neg", bounded))]
        z = g("Add", g("Mul", z, 1.0 + gamma), g("Sub", *rest))
    elif isinstance(loss, fl.BinaryCrossEntropy):
        positive = 1.0 if given["pos_weight"] is None else given["pos_weight"]
    elif isinstance(loss, fl.Exponential):
        z = g("Mul", z, 2.0)
    elif isinstance(loss, (fl.SquaredHinge, fl.ModifiedHuber)):
        return g("Add", g("Mul", g.clipped(z, -1.0, 1.0), 0.5), 0.5)
    elif not isinstance(loss, fl.Brier):
        return None
    with np.errstate(divide="ignore"):
        shift = np.log(np.asarray(negative, np.float64)) - np.log(np.asarray(positive, np.float64))
    if shift.any():
        # A class of weight 0 leaves no trace: its probability is 0.
        z = g("Add", z, np.where(np.isinf(shift), np.copysign(NEVER, -shift), shift))
    # ONNX's own sigmoid is 0 for small probabilities.
    p = g("Div", 1.0, g("Add", g("Exp", g("Neg", z)), 1.0))
    smoothing = given.get("label_smoothing", 0.0)
    if 0.0 < smoothing < 1.0:
        p = g("Div", g("Sub", p, smoothing / 2), 1.0 - smoothing)
        p = g.clipped(p, LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY)
    return p


def _rows(g: _Graph, loss: Any, z: str, n_classes: int) -> str | None:
    """Return the probabilities of all classes."""
    given = loss.parameters
    occurs = np.ones(n_classes, bool)
    if isinstance(loss, fl.Focal) and given["gamma"] > 0:
        odds, gamma = _odds_against(g, z), given["gamma"]
        log_of_rest = g("Sub", g("Log", odds), g("Log", g("Add", odds, 1.0)))
        z = g("Sub", g("LogSoftmax", z, axis=1), g("Mul", log_of_rest, gamma))
        z = g("Sub", z, _log_of_focus(g, odds, gamma))
    elif isinstance(loss, fl.Poly1) and given["epsilon"] >= -1:
        odds = _odds_against(g, z)
        slope = g("Div", g("Add", odds, 1.0 + given["epsilon"]), g("Add", odds, 1.0))
        z = g("Sub", g("LogSoftmax", z, axis=1), g("Log", slope))
    elif isinstance(loss, fl.GeneralizedCrossEntropy):
        z = g("Mul", z, 1.0 - given["q"] if given["q"] < 1 else 1.0)
    elif isinstance(loss, fl.MulticlassHinge):
        return None
    if given.get("class_weight") is not None:
        weight = np.asarray(given["class_weight"], np.float64)
        occurs = weight > 0
        z = g("Sub", z, np.where(occurs, np.log(np.where(occurs, weight, 1.0)), -NEVER))
    p = g("Softmax", z, axis=1)
    smoothing = given.get("label_smoothing", 0.0)
    if 0.0 < smoothing < 1.0:
        share = smoothing / n_classes
        total = (1.0 - smoothing) + share * np.count_nonzero(occurs)
        p = g("Max", g("Sub", g("Mul", p, total), share), LEAST_PROBABILITY)
        p = g("Mul", p, occurs.astype(float))
        p = g("Div", p, g.sum_of_row(p))
    return p


# ----------------------------------------------------------------------------------------------------------- answers


def _is_classifier(estimator: Any) -> bool:
    return isinstance(estimator, (Classification, _linear_models()[0]))


def _labels(g: _Graph, codes: str, classes: NDArray[Any]) -> str:
    """Return the labels of class codes of shape (n,)."""
    kind = classes.dtype.kind
    if (kind == "O" and not all(isinstance(each, str) for each in classes)) or kind not in "biufUO":
        raise ValueError(f"ONNX has labels that are numbers or strings; the classes are {classes.tolist()}")
    return g("Gather", g.constant(classes), codes)


def _of_classes(g: _Graph, estimator: Any, z: str, outputs: int) -> dict[str, str]:
    """Return labels, and probabilities where the loss has them, else scores."""
    is_linear = hasattr(estimator, "coef_")
    loss = resolve(estimator.loss) if is_linear else estimator.loss_
    if type(loss) not in fl.losses():
        raise ValueError(f"{loss!r} is no loss of this package, whose probabilities are known: export its scores")
    classes = np.asarray(estimator.classes_)
    several = getattr(estimator, "_is_multilabel", False)
    if isinstance(loss, RowwiseLoss):
        both = g("Concat", g("Mul", z, 0.0), z, axis=1) if outputs == 1 else z
        p = _rows(g, loss, both, max(outputs, 2))
    else:
        p = _binary(g, loss, z)
        if p is not None and not several:
            if outputs == 1:
                p = g("Concat", g("Sub", 1.0, p), p, axis=1)
            else:
                total = g.sum_of_row(p)
                nothing = g("Equal", total, 0.0)
                p = g("Where", nothing, 1.0 / outputs, g("Div", p, g("Where", nothing, 1.0, total)))
    if several:
        return {"label": g.cast(g("Greater", z, 0.0), np.int64), "scores" if p is None else "probabilities": p or z}
    if p is None or is_linear:
        codes = g("Reshape", g.cast(g("Greater", z, 0.0), np.int64), np.array([-1])) if outputs == 1 else None
        codes = codes or g("ArgMax", z, axis=1, keepdims=0)
    else:
        codes = g("ArgMax", p, axis=1, keepdims=0)
    return {"label": _labels(g, codes, classes), "scores" if p is None else "probabilities": p or z}


def _answers(g: _Graph, estimator: Any, z: str, outputs: int) -> dict[str, str]:
    """Return what an estimator predicts from scores of shape (n, outputs), by name."""
    if _is_classifier(estimator):
        return _of_classes(g, estimator, z, outputs)
    loss: Any = resolve(estimator.loss) if hasattr(estimator, "coef_") else estimator.loss_
    if loss.kind == "columns" or hasattr(loss, "mean") or loss.traits.link not in ("identity", "log"):
        return {"scores": z}
    return {"prediction": g("Exp" if loss.traits.link == "log" else "Identity", z)}


# ------------------------------------------------------------------------------------------------------------- trees


class _Trees:
    """The attributes of ONNX's operator for trees."""

    def __init__(self) -> None:
        names = "treeids nodeids featureids modes values truenodeids falsenodeids missing_value_tracks_true"
        self.nodes: dict[str, list[Any]] = {f"nodes_{name}": [] for name in names.split()}
        self.leaves: dict[str, list[Any]] = {f"target_{name}": [] for name in "treeids nodeids ids weights".split()}

    def node(self, *values: Any) -> None:
        for column, value in zip(self.nodes.values(), values, strict=True):
            column.append(value)

    def leaf(self, tree: int, node: int, output: int, value: float) -> None:
        self.node(tree, node, 0, "LEAF", 0.0, 0, 0, 0)
        for column, each in zip(self.leaves.values(), (tree, node, output, value), strict=True):
            column.append(each)

    def scores(self, g: _Graph, x: str, start: NDArray[Any]) -> str:
        return g(
            "TreeEnsembleRegressor",
            x,
            domain="ai.onnx.ml",
            n_targets=len(start),
            base_values=start.tolist(),
            post_transform="NONE",
            **self.nodes,
            **self.leaves,
        )


def _no_categories(library: str) -> ValueError:
    return ValueError(f"splits on categories of {library} are not for ONNX: encode them before, as numbers")


def _of_lightgbm(g: _Graph, estimator: Any, x: str) -> tuple[str, int]:
    model = estimator.booster_.dump_model()
    outputs, trees = model["num_tree_per_iteration"], _Trees()
    for number, tree in enumerate(model["tree_info"]):
        waiting, count = [(tree["tree_structure"], 0)], 1
        while waiting:
            node, i = waiting.pop()
            if "leaf_value" in node:
                trees.leaf(number, i, number % outputs, node["leaf_value"])
                continue
            if node["decision_type"] != "<=":
                raise _no_categories("LightGBM")
            if node["missing_type"] == "Zero":
                raise ValueError("zero_as_missing is not for ONNX, which has no such trees")
            # Features are of single precision: the greatest of them that is not above the threshold.
            with np.errstate(over="ignore"):
                threshold = np.float32(node["threshold"])
            if float(threshold) > node["threshold"]:
                threshold = np.nextafter(threshold, np.float32(-np.inf))
            goes_left = node["default_left"] if node["missing_type"] == "NaN" else node["threshold"] >= 0.0
            trees.node(number, i, node["split_feature"], "BRANCH_LEQ", threshold, count, count + 1, int(goes_left))
            waiting += [(node["left_child"], count), (node["right_child"], count + 1)]
            count += 2
    return trees.scores(g, x, np.zeros(outputs)), outputs


def _of_xgboost(g: _Graph, estimator: Any, x: str) -> tuple[str, int]:
    booster = estimator.get_booster()
    if getattr(estimator, "early_stopping_rounds", None) is not None:
        booster = booster[: estimator.best_iteration + 1]
    learner = json.loads(booster.save_raw("json"))["learner"]
    model = learner["gradient_booster"]
    scale = model.get("weight_drop")
    model = model.get("gbtree", model)["model"]
    if "trees" not in model:
        raise ValueError('booster="gblinear" is not for ONNX: take fastloss.sklearn\'s linear models')
    trees = _Trees()
    for number, (tree, output) in enumerate(zip(model["trees"], model["tree_info"], strict=True)):
        if tree["categories_nodes"]:
            raise _no_categories("XGBoost")
        if tree["tree_param"]["size_leaf_vector"] not in ("0", "1"):
            raise ValueError('multi_strategy="multi_output_tree" is not for ONNX, whose trees have an output each')
        for i, left in enumerate(tree["left_children"]):
            condition = tree["split_conditions"][i]
            if left == -1:
                trees.leaf(number, i, output, condition * (1.0 if scale is None else scale[number]))
            else:
                right, feature, is_left = (
                    tree[name][i] for name in ("right_children", "split_indices", "default_left")
                )
                trees.node(number, i, feature, "BRANCH_LT", condition, left, right, int(is_left))
    return trees.scores(g, x, estimator.init_score_), len(estimator.init_score_)


def _of_catboost(g: _Graph, estimator: Any, x: str) -> tuple[str, int]:
    """CatBoost writes its trees itself, but those of several scores with labels that it does not know."""
    if estimator.get_cat_feature_indices():
        raise _no_categories("CatBoost")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        estimator.save_model(path, format="onnx")
        node = onnx.load(path).graph.node[0]
    found = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    trees = _Trees()
    trees.nodes = {name: found[name] for name in trees.nodes}
    trees.leaves = {name: found[name if name in found else name.replace("target", "class")] for name in trees.leaves}
    return trees.scores(g, x, estimator.init_score_), len(estimator.init_score_)


# ------------------------------------------------------------------------------------------------------------ models


def _linear(g: _Graph, estimator: Any, x: str) -> tuple[str, int]:
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(estimator)
    coefficients = np.atleast_2d(estimator.coef_)
    return g("Gemm", x, coefficients.T, np.atleast_1d(estimator.intercept_)), len(coefficients)


LIBRARIES = {"lightgbm": _of_lightgbm, "xgboost": _of_xgboost, "catboost": _of_catboost}


def _scores_of(kind: type) -> Callable[[_Graph, Any, str], tuple[str, int]] | None:
    """Return what writes the scores of estimators of a class."""
    return _linear if issubclass(kind, _linear_models()) else LIBRARIES.get(getattr(kind, "library", ""))


def _write(g: _Graph, estimator: Any, x: str) -> dict[str, str]:
    """Write an estimator of features `x`; return the names of its answers."""
    scores = _scores_of(type(estimator))
    if scores is None:
        raise TypeError(f"to_onnx takes linear models and booster estimators of this package, got {estimator!r}")
    return _answers(g, estimator, *scores(g, estimator, x))


def _linear_models() -> tuple[type, ...]:
    from .sklearn import LossClassifier, LossRegressor

    return LossClassifier, LossRegressor


def to_onnx(estimator: Any, dtype: DTypeLike = np.float32) -> Any:
    """
    Return a fitted estimator as an ONNX model.

    Parameters
    ----------
    estimator : LossClassifier, LossRegressor, or a fitted estimator of this package for LightGBM, XGBoost or CatBoost
        The first two also with CV. Pipelines are for skl2onnx, see `register`.
    dtype : {float32, float64}, default float32
        What the features are given in, and what linear models are computed in. Trees compute in float32.

    Returns
    -------
    onnx.ModelProto
        Its input is "X" of shape (n, d). Of a classifier the outputs are "label" of shape (n,) and "probabilities" of
        shape (n, K), which are those of `predict_proba`: of a focal loss not the sigmoid. Of losses without
        probabilities there are "scores" of shape (n, 1) or (n, K) instead. Of a regressor there is "prediction" of
        shape (n, 1) or (n, n_targets), on the scale of y. Of losses of several numbers a row there are "scores" alone,
        which the methods of the loss make something of.

    Raises
    ------
    TypeError
        If it is none of these estimators.
    ValueError
        If ONNX has no such trees (splits on categories), the labels are neither numbers nor strings, or the loss is
        none of this package.

    Examples
    --------
    >>> import numpy as np, fastloss as fl, fastloss.onnx
    >>> from fastloss.sklearn import LossClassifier
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> model = LossClassifier(fl.BinaryFocal(gamma=2.0)).fit(X, np.where(X[:, 0] > 0.5, "yes", "no"))
    >>> [output.name for output in fl.onnx.to_onnx(model).graph.output]
    ['label', 'probabilities']
    """
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise TypeError(f"dtype must be float32 or float64, got {np.dtype(dtype)}")
    g = _Graph(dtype)
    answers = _write(g, estimator, "X")
    outputs = [helper.make_node("Identity", [name], [answer]) for answer, name in answers.items()]
    given = helper.make_tensor_value_info(
        "X", helper.np_dtype_to_tensor_dtype(g.dtype), ["n", estimator.n_features_in_]
    )
    graph = helper.make_graph([*g.nodes, *outputs], type(estimator).__name__, [given], [], initializer=g.constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", TREES_OPSET)]
    model = helper.make_model(graph, producer_name="fastloss", producer_version=fl.__version__, opset_imports=opsets)
    model.ir_version = 8  # of that time, as runtimes of then take it
    inferred = {each.name: each for each in onnx.shape_inference.infer_shapes(model).graph.value_info}
    for answer, name in answers.items():
        output = inferred[name]
        output.name = answer
        model.graph.output.append(output)
    onnx.checker.check_model(model)
    return model


def register() -> None:
    """
    Make skl2onnx know the estimators of this package, so that it exports pipelines that hold them.

    Those of LightGBM, XGBoost and CatBoost are registered if their module has been imported before.

    Raises
    ------
    ImportError
        If there is no skl2onnx.

    Examples
    --------
    >>> import numpy as np, fastloss.onnx
    >>> from fastloss.sklearn import LossRegressor
    >>> from skl2onnx import to_onnx
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    >>> model = make_pipeline(StandardScaler(), LossRegressor("poisson")).fit(X, np.exp(X[:, 0]))
    >>> fastloss.onnx.register()
    >>> [output.name for output in to_onnx(model, X[:1]).graph.output]
    ['variable']
    """
    try:
        from skl2onnx import update_registered_converter
        from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
    except ModuleNotFoundError as error:
        if error.name != "skl2onnx":
            raise
        raise ImportError("fastloss.onnx.register needs skl2onnx: pip install skl2onnx") from None

    def shapes(operator: Any) -> None:
        estimator, kind = operator.raw_operator, type(operator.inputs[0].type)
        kind = kind if "Double" in kind.__name__ else FloatTensorType
        if _is_classifier(estimator):
            is_text = np.asarray(estimator.classes_).dtype.kind in "UO"
            operator.outputs[0].type = (StringTensorType if is_text else Int64TensorType)([None])
            operator.outputs[1].type = kind([None, len(estimator.classes_)])
        else:
            operator.outputs[0].type = kind([None, np.size(getattr(estimator, "intercept_", 0))])

    def convert(scope: Any, operator: Any, container: Any) -> None:
        is_double = "Double" in type(operator.inputs[0].type).__name__
        g = _Graph(np.float64 if is_double else np.float32)
        x = g.cast("X", g.dtype)
        answers = _write(g, operator.raw_operator, x)
        named = {"X": operator.inputs[0].full_name}
        for tensor in g.constants:
            named[tensor.name] = scope.get_unique_variable_name(tensor.name)
            content = list(tensor.string_data) or numpy_helper.to_array(tensor).ravel().tolist()
            container.add_initializer(named[tensor.name], tensor.data_type, list(tensor.dims), content)
        for node in g.nodes:
            named[node.output[0]] = scope.get_unique_variable_name(node.output[0])
            container.add_node(
                node.op_type,
                [named[each] for each in node.input],
                [named[node.output[0]]],
                op_domain=node.domain,
                op_version=TREES_OPSET if node.domain else None,
                name=scope.get_unique_operator_name(node.op_type),
                **{each.name: helper.get_attribute_value(each) for each in node.attribute},
            )
        for output, name in zip(operator.outputs, answers.values(), strict=True):
            container.add_node(
                "Identity", [named[name]], [output.full_name], name=scope.get_unique_operator_name("out")
            )

    def parse(scope: Any, estimator: Any, inputs: Any, custom_parsers: Any = None) -> Any:
        operator = scope.declare_local_operator(aliases[type(estimator)], estimator)
        operator.inputs += inputs
        names = ("label", "probabilities") if _is_classifier(estimator) else ("variable",)
        operator.outputs += [scope.declare_local_variable(name, FloatTensorType()) for name in names]
        return operator.outputs

    modules = [
        importlib.import_module("fastloss.sklearn"),
        *(sys.modules.get(f"fastloss.{name}") for name in LIBRARIES),
    ]
    found = [getattr(module, name) for module in modules if module is not None for name in module.__all__]
    ours = [each for each in found if isinstance(each, type) and _scores_of(each) is not None]
    aliases = {each: f"{each.__module__}.{each.__name__}".replace(".", "_") for each in ours}
    # Which is taken as False: probabilities are an array.
    options = {"zipmap": [True, False, "columns"]}
    for each, alias in aliases.items():
        update_registered_converter(each, alias, shapes, convert, parser=parse, options=options)
