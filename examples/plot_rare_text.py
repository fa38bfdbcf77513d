"""
Text: twenty classes, one of them rare
======================================

Messages to a help desk are to be sorted into 20 topics by their words. The messages are made: each topic has words of
its own and shares the many others, and the topics are of very different size, so that one message in 300 is about the
rarest. Words are hashed into 1024 columns, as is done where no list of words is kept.

A linear model is trained with cross-entropy, with cross-entropy whose class weights balance the topics, and with focal
loss. It is looked at on other messages: how many are sorted right (accuracy), how many of each topic on average
(balanced accuracy), is the rarest topic found (its average precision), and are the probabilities good (log loss)?
"""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.metrics import accuracy_score, average_precision_score, balanced_accuracy_score

import fastloss as fl
from fastloss.sklearn import LossClassifier, log_loss

N_TOPICS, N_WORDS = 20, 2000
rng = np.random.default_rng(0)

# %%
# The messages
# ------------
# Frequencies of words fall as in natural language (Zipf's law). A topic makes 30 words of its own more frequent.

shares = 0.7 ** np.arange(N_TOPICS) + 0.012
shares /= shares.sum()
common = 1 / np.arange(1, N_WORDS + 1)
frequencies = np.tile(common / common.sum(), (N_TOPICS, 1))
for topic in range(N_TOPICS):
    own = rng.choice(np.arange(50, N_WORDS), 30, replace=False)
    frequencies[topic, own] += 0.006
frequencies /= frequencies.sum(axis=1, keepdims=True)


def messages(n):
    """Return n messages and their topics."""
    topics = rng.choice(N_TOPICS, n, p=shares)
    words = [rng.choice(N_WORDS, rng.integers(5, 25), p=frequencies[topic]) for topic in topics]
    return [" ".join(f"word{word}" for word in message) for message in words], topics


texts, topics = messages(3000)
new_texts, new_topics = messages(5000)
hashed = HashingVectorizer(n_features=1024, alternate_sign=False)
X, X_new = hashed.transform(texts), hashed.transform(new_texts)
rare = N_TOPICS - 1
counts = np.bincount(topics, minlength=N_TOPICS)
print(f"from {counts.max()} to {counts.min()} messages of a topic; an example: {texts[0][:60]}...")

# %%
# The losses
# ----------
# Each at the best of four penalties, by log loss on messages of its own.

tune_texts, tune_topics = messages(1000)
X_tune = hashed.transform(tune_texts)
losses = {
    "cross-entropy": fl.CrossEntropy(),
    "balanced": fl.CrossEntropy(class_weight=counts.mean() / counts),
    "focal, gamma 2": fl.Focal(gamma=2.0),
}
models = {}
for name, loss in losses.items():
    fits = [LossClassifier(loss=loss, alpha=alpha).fit(X, topics) for alpha in (3e-4, 1e-4, 3e-5, 1e-5)]
    models[name] = min(fits, key=lambda model: log_loss(tune_topics, model.predict_proba(X_tune)))

print(f"\n{'':16}{'alpha':>8}{'accuracy':>10}{'balanced':>10}{'rarest: AP':>12}{'log loss':>10}")
recall = {}
for name, model in models.items():
    predicted, probability = model.predict(X_new), model.predict_proba(X_new)
    row = [
        accuracy_score(new_topics, predicted),
        balanced_accuracy_score(new_topics, predicted),
        average_precision_score(new_topics == rare, probability[:, rare]),
        log_loss(new_topics, probability),
    ]
    recall[name] = [np.mean(predicted[new_topics == topic] == topic) for topic in range(N_TOPICS)]
    print(f"{name:16}{model.alpha:>8.0e}{row[0]:>10.3f}{row[1]:>10.3f}{row[2]:>12.3f}{row[3]:>10.3f}")

# %%
# What came out
# -------------
# Balancing is a choice about decisions: rare topics are found more often, at the price of frequent ones taken for
# rare. Whether that is a gain depends on what a missed message costs, and the same shift can be made afterwards, with
# the probabilities of plain cross-entropy. `predict_proba` of the balanced loss takes its weights back.
#
# Focal loss is better than cross-entropy in no column. (The average precision of the rarest topic rests on about 18
# messages, and its differences say little.)

figure, axes = plt.subplots(figsize=(5.6, 4.2), layout="constrained")
for name, values in recall.items():
    axes.semilogx(counts, values, "o-", label=name)
axes.set(xlabel="messages of the topic in training", ylabel="share of new ones that are found", ylim=(0, 1.02))
axes.legend(frameon=False)

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
figure.savefig(folder / "rare_text.png", dpi=100)
print(f"\nplot: {folder / 'rare_text.png'}")
