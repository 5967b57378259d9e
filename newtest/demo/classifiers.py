"""Sixteen classifiers of different kinds, trained once on the demo's training scans."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from newtest.errors import MissingExtra

__all__ = ["train_classifiers"]


def train_classifiers(
    pixels: npt.NDArray[np.float64], digit: npt.NDArray[np.int64], *, seed: int
) -> dict[str, tuple[str, Any]]:
    """Train on (n, 64) pixels and (n,) digits: name -> (kind, fitted scikit-learn classifier), strongest kinds last.

    Some are weak on purpose: a line of accuracies needs a range. Raises MissingExtra without scikit-learn.
    """
    try:
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
        from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
        from sklearn.feature_selection import VarianceThreshold
        from sklearn.linear_model import LogisticRegression, RidgeClassifier
        from sklearn.naive_bayes import BernoulliNB, GaussianNB
        from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
        from sklearn.neural_network import MLPClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import Binarizer, StandardScaler
        from sklearn.svm import SVC
        from sklearn.tree import DecisionTreeClassifier
    except ImportError as error:
        raise MissingExtra("scikit-learn", "demo") from error
    untrained: dict[str, tuple[str, Any]] = {
        "tree, depth 4": ("tree", DecisionTreeClassifier(max_depth=4, random_state=seed)),
        "tree, depth 6": ("tree", DecisionTreeClassifier(max_depth=6, random_state=seed)),
        "tree": ("tree", DecisionTreeClassifier(random_state=seed)),
        "forest, 5 trees": ("tree", RandomForestClassifier(5, random_state=seed)),
        "forest": ("tree", RandomForestClassifier(200, random_state=seed)),
        "extra trees": ("tree", ExtraTreesClassifier(200, random_state=seed)),
        "naive Bayes, black and white": ("Bayes", make_pipeline(Binarizer(threshold=8), BernoulliNB())),
        "naive Bayes, Gaussian": ("Bayes", GaussianNB(var_smoothing=1e-2)),
        "nearest centroid": ("linear", make_pipeline(VarianceThreshold(), NearestCentroid())),
        "ridge": ("linear", RidgeClassifier()),
        "linear discriminant": ("linear", LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")),
        "logistic regression": ("linear", make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))),
        "15 nearest neighbours": ("neighbours", KNeighborsClassifier(15)),
        "1 nearest neighbour": ("neighbours", KNeighborsClassifier(1)),
        "perceptron, 32 units": ("network", MLPClassifier((32,), max_iter=600, random_state=seed, tol=1e-3)),
        "support vectors": ("kernel", SVC(C=10, gamma=0.001)),
    }
    return {name: (kind, model.fit(pixels, digit)) for name, (kind, model) in untrained.items()}
