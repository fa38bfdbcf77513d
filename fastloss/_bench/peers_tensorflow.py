"""TensorFlow with Keras' losses, as tf.function and gradient tape; it has no way to reuse outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import keras
import tensorflow as tf

from .cases import KINDS, Problem
from .formulas import formulas
from .peers import Peer

OPERATIONS = SimpleNamespace(
    **{name: getattr(tf, name) for name in "abs exp sqrt square where maximum sigmoid".split()},
    log1p=tf.math.log1p,
    relu=tf.nn.relu,
    mean=tf.reduce_mean,
    sum=tf.reduce_sum,
    margin=lambda z, t: (2 * t - 1) * z,
    log_p=lambda z, t: tf.gather(tf.nn.log_softmax(z), t, batch_dims=1),
)


def from_keras(loss: Callable[..., Any], **options: Any) -> Callable[[Any, Any], Any]:
    """Swap the arguments of one of Keras' functions, and take the mean of what it returns."""
    return lambda z, t: tf.reduce_mean(loss(t, z, **options))


LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    **formulas(OPERATIONS),
    "huber": from_keras(keras.losses.huber, delta=1.0),
    "smooth_l1": from_keras(keras.losses.huber, delta=1.0),
    "squared_error": from_keras(keras.losses.mean_squared_error),
    "absolute_error": from_keras(keras.losses.mean_absolute_error),
    "log_cosh": from_keras(keras.losses.log_cosh),
    "hinge": from_keras(keras.losses.hinge),
    "squared_hinge": from_keras(keras.losses.squared_hinge),
    "binary_cross_entropy": from_keras(keras.losses.binary_crossentropy, from_logits=True),
    "binary_focal": from_keras(keras.losses.binary_focal_crossentropy, from_logits=True, gamma=2.0),
    "cross_entropy": from_keras(keras.losses.sparse_categorical_crossentropy, from_logits=True),
}

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "log_softmax": tf.nn.log_softmax,
    "softmax": tf.nn.softmax,
    "logsumexp": lambda x: tf.reduce_logsumexp(x, axis=-1),
    "sigmoid": tf.sigmoid,
    "log_sigmoid": tf.math.log_sigmoid,
}


def peers(problem: Problem, n_threads: int) -> Iterator[Peer]:
    """Yield TensorFlow's way to answer a problem; it has as many threads as the process has processors."""
    kernel, want = problem.case.kernel, problem.case.want
    if problem.case.outputs == "reused" or kernel not in LOSSES | FUNCTIONS:
        return
    arrays = [tf.constant(array) for array in (problem.z, problem.t) if array is not None]

    @tf.function
    def answer(z: Any, *target: Any) -> tuple[Any, Any]:
        if "function" in KINDS[kernel]:
            return tf.constant(0.0), FUNCTIONS[kernel](z)
        if want == "value":
            return LOSSES[kernel](z, *target), tf.constant(0.0)
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = LOSSES[kernel](z, *target)
        return value, tape.gradient(value, z)

    yield Peer("tensorflow", "users", "fresh", lambda: answer(*arrays))
