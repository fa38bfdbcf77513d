"""Data as people have them, of seeded generators: each in a small form for every run of the tests, and a full one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Data:
    """Rows to train on, rows that are held out, and what the targets are."""

    kind: str  # "two classes", "classes", "counts", "amounts" (>= 0, many zeros) or "numbers"
    X: Any
    y: np.ndarray
    X_test: Any
    y_test: np.ndarray
    weight: np.ndarray | None = None
    weight_test: np.ndarray | None = None

    @property
    def form(self) -> str:
        """How the features lie in memory: "dense", "sparse" or "frame"."""
        return "dense" if isinstance(self.X, np.ndarray) else "frame" if hasattr(self.X, "iloc") else "sparse"

    @classmethod
    def split(cls, kind: str, X: Any, y: np.ndarray, n: int, weight: np.ndarray | None = None) -> Data:
        """Train on the first `n` rows."""
        rows = X.iloc if hasattr(X, "iloc") else X
        weights = (None, None) if weight is None else (weight[:n], weight[n:])
        return cls(kind, rows[:n], y[:n], rows[n:], y[n:], *weights)


def _documents(full: bool, n_topics: int, dtype: Any, seed: int) -> tuple[Any, np.ndarray, int]:
    """Frequencies of words, weighted as TF-IDF has them, in rows of length 1; the topics; rows to train on."""
    from scipy import sparse

    rng = np.random.default_rng(seed)
    n, n_words, length = (20_000, 50_000, 120) if full else (400, 2000, 50)
    topic = rng.integers(n_topics, size=n + n // 4)
    # Zipf's law for the language, and for the words that a topic has more often than others.
    rank = np.minimum(rng.zipf(1.3, size=(len(topic), length)), n_words) - 1
    of_topic = np.minimum(rng.zipf(1.5, size=rank.shape) * n_topics + topic[:, None], n_words - 1)
    words = np.where(rng.random(rank.shape) < 0.15, of_topic, rank)
    rows = np.repeat(np.arange(len(topic)), length)
    counts = sparse.csr_matrix((np.ones(words.size), (rows, words.ravel())), shape=(len(topic), n_words))
    inverse = np.log((1 + len(topic)) / (1 + np.asarray((counts > 0).sum(axis=0)).ravel())) + 1
    X = counts.multiply(inverse).tocsr()
    X = sparse.diags(1 / np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())) @ X
    return X.astype(dtype).tocsr(), topic, n


def text(full: bool, seed: int = 0) -> Data:
    """20,000 documents of four topics, 50,000 words; the topics are strings."""
    X, topic, n = _documents(full, 4, np.float64, seed)
    names = np.array(["baseball", "crypt", "medicine", "space"])
    return Data.split("classes", X, names[topic], n)


def reviews(full: bool, seed: int = 1) -> Data:
    """The same in float32 with two classes, which are bool."""
    X, topic, n = _documents(full, 2, np.float32, seed)
    return Data.split("two classes", X, topic == 1, n)


def genes(full: bool, seed: int = 2) -> Data:
    """The expression of 60,000 genes in 200 samples of three subtypes; many genes are silent in all samples."""
    rng = np.random.default_rng(seed)
    n, n_genes = (200, 60_000) if full else (80, 1500)
    subtype = rng.choice(3, p=[0.6, 0.25, 0.15], size=2 * n)
    level = rng.gamma(0.5, 4.0, size=n_genes) * (rng.random(n_genes) < 0.7)
    counts = rng.poisson(np.exp(rng.normal(0, 0.5, size=(2 * n, n_genes))) * level)
    X = np.log1p(counts)
    markers = rng.choice(n_genes, size=(3, 40), replace=False)
    for k in range(3):
        X[np.ix_(subtype == k, markers[k])] += 1.0
    return Data.split("classes", X, np.array(["basal", "her2", "luminal"])[subtype], n)


def _policies(full: bool, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Features, years of exposure, numbers of claims; rows to train on."""
    rng = np.random.default_rng(seed)
    n = 100_000 if full else 4000
    size = n + n // 2
    age, bonus = rng.integers(18, 90, size=size), np.minimum(50 + rng.exponential(15, size=size), 350)
    density = np.exp(rng.uniform(0, 10, size=size))
    region, brand, fuel = rng.integers(22, size=size), rng.integers(11, size=size), rng.integers(2, size=size)
    # All levels of each, which sum to 1 like an intercept.
    levels = [np.eye(k)[code] for k, code in ((22, region), (11, brand), (2, fuel))]
    X = np.column_stack([age, bonus, density, rng.integers(4, 15, size=size), *levels])
    effect = rng.normal(0, 0.3, size=22)[region] + 0.2 * fuel
    rate = 0.08 * np.exp(effect + 0.02 * (bonus - 60) + 0.05 * np.log(density) + 1.2 * (age < 25))
    exposure = rng.uniform(0.02, 1.0, size=size)
    return X, exposure, rng.poisson(rate * exposure), n


def claims(full: bool, seed: int = 3) -> Data:
    """Claims a year of car insurances: nineteen of twenty are zero; weighed by exposure."""
    X, exposure, counts, n = _policies(full, seed)
    return Data.split("counts", X, counts / exposure, n, exposure)


def premiums(full: bool, seed: int = 4) -> Data:
    """What the claims cost a year, zero or hundreds to tens of thousands; weighed by exposure."""
    X, exposure, counts, n = _policies(full, seed)
    sizes = np.random.default_rng(seed + 100).gamma(np.maximum(counts, 1) * 1.5, 1200.0)
    return Data.split("amounts", X, np.where(counts > 0, sizes, 0.0) / exposure, n, exposure)


def fraud(full: bool, seed: int = 5) -> Data:
    """Payments, one of a thousand of which is a fraud (1, the others 0)."""
    rng = np.random.default_rng(seed)
    n = 200_000 if full else 10_000
    is_fraud = np.zeros(n + n // 2, int)
    for part in (slice(0, n), slice(n, None)):
        of_part = is_fraud[part]
        of_part[rng.choice(len(of_part), len(of_part) // 1000, replace=False)] = 1
    X = rng.normal(size=(len(is_fraud), 15))
    X[:, 0] += 4.0 * is_fraud
    X[:, 1] -= 4.0 * is_fraud
    amount = np.exp(rng.normal(3 + is_fraud, 1.5))
    seconds = np.sort(rng.uniform(0, 172_800, size=len(is_fraud)))
    return Data.split("two classes", np.column_stack([seconds, X, amount]), is_fraud, n)


def products(full: bool, seed: int = 6) -> Data:
    """Embeddings in float32 of 1000 classes, numbers that are not consecutive; the rarest has one or two rows."""
    rng = np.random.default_rng(seed)
    n_classes, n = (1000, 20_000) if full else (30, 800)
    share = 1 / np.arange(1, n_classes + 1) ** 0.7
    train = np.r_[np.arange(n_classes), rng.choice(n_classes, size=n - n_classes, p=share / share.sum())]
    code = np.r_[rng.permutation(train), rng.choice(n_classes, size=n // 2, p=share / share.sum())]
    centres = rng.normal(size=(n_classes, 32))
    X = (centres[code] + rng.normal(0, 0.8, size=(len(code), 32))).astype(np.float32)
    return Data.split("classes", X, 1000 + 7 * code, n)


def prices(full: bool, seed: int = 7) -> Data:
    """Prices of houses from tens of thousands to millions, of columns as they are measured."""
    rng = np.random.default_rng(seed)
    n = 50_000 if full else 2000
    size = n + n // 2
    area, year = np.exp(rng.normal(7.5, 0.4, size=size)), rng.integers(1900, 2021, size=size)
    rooms, latitude = rng.integers(1, 8, size=size), rng.normal(47.56, 0.14, size=size)
    noise = rng.normal(0, 0.2, size=size)
    price = area * 150 * np.exp(2 * (latitude - 47.56) + 0.002 * (year - 1970) + 0.03 * rooms + noise)
    return Data.split("numbers", np.column_stack([area, year, rooms, latitude]), price.round(-2), n)


def _customers(full: bool, seed: int) -> tuple[Any, np.ndarray, int]:
    """A frame with categories, texts of few values and missing numbers; a score; rows to train on."""
    import pandas

    rng = np.random.default_rng(seed)
    n = 50_000 if full else 2000
    size = n + n // 2
    months = rng.exponential(24, size=size).round()
    charge = rng.normal(65, 30, size=size).clip(18)
    contract = rng.choice(["monthly", "one year", "two years"], p=[0.55, 0.25, 0.2], size=size)
    payment = rng.choice(["card", "cheque", "transfer"], size=size)
    score = 0.02 * (charge - 65) - 0.03 * (months - 24) + 1.2 * (contract == "monthly") + 0.5 * (payment == "cheque")
    X = pandas.DataFrame(
        {
            "months": np.where(rng.random(size) < 0.1, np.nan, months),
            "charge": np.where(rng.random(size) < 0.05, np.nan, charge).astype(np.float32),
            "calls": pandas.array(rng.poisson(2, size=size)),
            "contract": pandas.Categorical(contract),
            "payment": pandas.Categorical(np.where(rng.random(size) < 0.1, None, payment)),
        },
        index=rng.permutation(size),
    )
    return X, score, n


def churn(full: bool, seed: int = 8) -> Data:
    """Customers who left, "yes" or "no"."""
    X, score, n = _customers(full, seed)
    left = np.random.default_rng(seed + 100).random(len(X)) < 1 / (1 + np.exp(1.5 - score))
    return Data.split("two classes", X, np.where(left, "yes", "no").astype(object), n)


def spending(full: bool, seed: int = 9) -> Data:
    """What customers spend, in hundreds."""
    X, score, n = _customers(full, seed)
    return Data.split("numbers", X, 300 + 80 * score + 40 * np.random.default_rng(seed + 100).normal(size=len(X)), n)


GENERATORS: dict[str, Callable[[bool], Data]] = {
    each.__name__: each for each in (text, reviews, genes, claims, premiums, fraud, products, prices, churn, spending)
}


def folds_lacking_a_class(seed: int = 10) -> tuple[np.ndarray, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Features, labels of four classes, and folds whose first lacks the rarest class in the rows to train on."""
    rng = np.random.default_rng(seed)
    labels = np.array(["common", "frequent", "often", "rare"])
    codes = rng.choice(3, size=300)
    codes[:6] = 3
    X = rng.normal(size=(300, 4)) + np.eye(4)[codes] * 2
    parts = np.split(np.arange(300), 3)
    return X, labels[codes], [(np.setdiff1d(np.arange(300), part), part) for part in parts]
