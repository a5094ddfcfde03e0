"""Data-only families set aside: never shown to the author of a scanner before it was finished."""

from __future__ import annotations

import datetime
from collections import Counter, OrderedDict, defaultdict, deque
from fractions import Fraction

import numpy as np

from . import Corpus

CORPUS = Corpus()


def points() -> tuple[np.ndarray, np.ndarray]:
    """Sixty points in four dimensions and three classes, always the same."""
    rng = np.random.default_rng(11)
    labels = np.arange(60) % 3
    return rng.normal(size=(60, 4)) + labels[:, None], labels


def fitted(path: str, **options):
    """A fitted estimator of scikit-learn, named by its import path."""

    def make():
        import importlib

        module, cls = path.rsplit(".", 1)
        features, labels = points()
        return getattr(importlib.import_module(f"sklearn.{module}"), cls)(**options).fit(np.abs(features), labels)

    return make


# Groups, components and densities.
put = CORPUS.benign("sklearn_unsupervised", "pickle", "joblib")
put("pca", fitted("decomposition.PCA", n_components=2))
put("incremental-pca", fitted("decomposition.IncrementalPCA", n_components=2), "joblib")
put("truncated-svd", fitted("decomposition.TruncatedSVD", n_components=2, random_state=0))
put("nmf", fitted("decomposition.NMF", n_components=2, random_state=0), "pickle")
put("fast-ica", fitted("decomposition.FastICA", n_components=2, random_state=0), "joblib zlib")
put("kernel-pca", fitted("decomposition.KernelPCA", n_components=2, kernel="rbf"), "joblib")
put("latent-dirichlet", fitted("decomposition.LatentDirichletAllocation", n_components=2, random_state=0), "pickle")
put("kmeans", fitted("cluster.KMeans", n_clusters=3, n_init=1, random_state=0))
put("minibatch-kmeans", fitted("cluster.MiniBatchKMeans", n_clusters=3, n_init=1, random_state=0), "joblib")
put("agglomerative", fitted("cluster.AgglomerativeClustering"), "pickle")
put("dbscan", fitted("cluster.DBSCAN"), "joblib gzip")
put("gaussian-mixture", fitted("mixture.GaussianMixture", n_components=2, random_state=0))
put("isolation-forest", fitted("ensemble.IsolationForest", n_estimators=3, random_state=0), "joblib")
put("local-outlier-factor", fitted("neighbors.LocalOutlierFactor", novelty=True), "pickle")
put("elliptic-envelope", fitted("covariance.EllipticEnvelope", random_state=0), "joblib xz")
put("kernel-density", fitted("neighbors.KernelDensity"), "pickle")
put("isomap", fitted("manifold.Isomap", n_neighbors=20), "joblib")


# Estimators made of estimators.
def composed(build):
    def make():
        features, labels = points()
        return build().fit(features, labels)

    return make


def _grid():
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    return GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2)


def _stack():
    from sklearn.ensemble import StackingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    return StackingClassifier([("knn", KNeighborsClassifier(3))], LogisticRegression(), cv=2)


def _vote():
    from sklearn.ensemble import VotingClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.tree import DecisionTreeClassifier

    return VotingClassifier([("nb", GaussianNB()), ("tree", DecisionTreeClassifier(max_depth=2))], voting="soft")


def _calibrated():
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.svm import LinearSVC

    return CalibratedClassifierCV(LinearSVC(), method="isotonic", cv=2)


def _one_vs_rest():
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    return OneVsRestClassifier(LogisticRegression())


def _bagged():
    from sklearn.ensemble import BaggingClassifier
    from sklearn.tree import DecisionTreeClassifier

    return BaggingClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=3, random_state=0)


def _selected():
    from sklearn.feature_selection import RFE
    from sklearn.linear_model import LogisticRegression

    return RFE(LogisticRegression(), n_features_to_select=2)


def _target_scaled():
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    return TransformedTargetRegressor(Ridge(), transformer=StandardScaler())


put = CORPUS.benign("sklearn_composed", "pickle", "joblib")
put("grid-search", composed(_grid))
put("stacking", composed(_stack))
put("voting", composed(_vote))
put("calibrated", composed(_calibrated), "joblib")
put("one-vs-rest", composed(_one_vs_rest), "pickle")
put("bagging", composed(_bagged), "joblib bz2")
put("rfe", composed(_selected), "pickle")
put("target-scaled", composed(_target_scaled), "joblib")


# Text.
def text(path: str, **options):
    words = ["salary python remote", "salary sql office", "python sql data remote", "java office"]

    def make():
        import importlib

        module = importlib.import_module("sklearn.feature_extraction.text")
        return getattr(module, path)(**options).fit(words)

    return make


def _dict_vectorizer():
    from sklearn.feature_extraction import DictVectorizer

    return DictVectorizer().fit([{"country": "NL", "years": 3}, {"country": "US", "years": 9}])


put = CORPUS.benign("sklearn_text", "pickle", "joblib")
put("tfidf", text("TfidfVectorizer"))
put("tfidf-ngrams", text("TfidfVectorizer", ngram_range=(1, 2), stop_words="english"), "joblib zlib")
put("counts", text("CountVectorizer", binary=True), "pickle")
put("hashing", text("HashingVectorizer", n_features=64), "pickle")
put("dict", _dict_vectorizer, "joblib")


# Sparse matrices and arrays.
def sparse(kind: str, form: str):
    def make():
        import scipy.sparse

        matrix = scipy.sparse.random(8, 6, 0.3, random_state=0, format="coo")
        return getattr(scipy.sparse, f"{form}_{kind}")(matrix)

    return make


put = CORPUS.benign("scipy_sparse", "pickle")
for form in ("csr", "csc", "coo", "bsr", "lil", "dok", "dia"):
    put(f"{form}-matrix", sparse("matrix", form))
    put(f"{form}-array", sparse("array", form), "joblib")
put("saved-csr", sparse("matrix", "csr"), "save_npz")


# Time in pandas.
def frame(build):
    def make():
        import pandas as pd

        return build(pd)

    return make


put = CORPUS.benign("pandas_time", "to_pickle")
put("datetime-index", frame(lambda pd: pd.Series(range(4), pd.date_range("2024-01-01", periods=4))))
put("time-zone", frame(lambda pd: pd.Series(range(4), pd.date_range("2024", periods=4, tz="Europe/Amsterdam"))))
put("utc", frame(lambda pd: pd.Series(range(4), pd.date_range("2024", periods=4, tz="UTC", freq="h"))))
put("period-index", frame(lambda pd: pd.Series(range(4), pd.period_range("2024-01", periods=4, freq="M"))))
put("timedelta-index", frame(lambda pd: pd.Series(range(4), pd.timedelta_range("1h", periods=4))), "joblib")
put("business-days", frame(lambda pd: pd.DataFrame({"a": range(4)}, pd.bdate_range("2024", periods=4))), "to_pickle.gz")
put(
    "timestamps", frame(lambda pd: [pd.Timestamp("2024-01-02 03:04"), pd.Timestamp("2024", tz="UTC"), pd.NaT]), "pickle"
)
put("timedeltas", frame(lambda pd: {"a": pd.Timedelta("1 day"), "b": pd.Period("2024-05", "M")}), "pickle")
put("interval-index", frame(lambda pd: pd.Series(range(3), pd.interval_range(0, 3))))


# State of random generators, masked arrays, and other NumPy classes.
put = CORPUS.benign("numpy_objects", "pickle", "joblib")
put("generator", lambda: np.random.default_rng(3))
put("random-state", lambda: np.random.RandomState(3))
put("philox", lambda: np.random.Generator(np.random.Philox(4)), "pickle")
put("seed-sequence", lambda: np.random.SeedSequence(5), "pickle")
put("masked", lambda: np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0]))
put("record-array", lambda: np.rec.array([(1, 2.0), (3, 4.0)], dtype=[("a", "i4"), ("b", "f8")]), "pickle")
put("matrix", lambda: np.asmatrix([[1, 2], [3, 4]]), "pickle")
put("polynomial", lambda: np.polynomial.Polynomial([1, 2, 3]), "pickle")
put("dtypes", lambda: [np.dtype("f4"), np.dtype([("a", "i4")]), np.dtype("datetime64[ns]")], "pickle")


# Checkpoints as training loops write them.
def checkpoint():
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    model(torch.ones(3, 4)).sum().backward()
    optimizer.step()
    schedule.step()
    return {
        "epoch": 3,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "best": float("inf"),
        "rng": torch.get_rng_state(),
        "history": defaultdict(list, loss=[1.0, 0.5]),
    }


def tensor(build):
    def make():
        import torch

        torch.manual_seed(1)
        return build(torch)

    return make


put = CORPUS.benign("torch_checkpoints", "torch", "torch legacy")
put("training", checkpoint)
put("sgd", tensor(lambda t: t.optim.SGD([t.nn.Parameter(t.ones(2))], lr=0.1, momentum=0.9).state_dict()), "torch")
put("parameters", tensor(lambda t: {"w": t.nn.Parameter(t.randn(3)), "b": t.nn.Buffer(t.ones(1))}))
put("sparse-coo", tensor(lambda t: t.eye(4).to_sparse()))
put("sparse-csr", tensor(lambda t: t.eye(4).to_sparse_csr()), "torch")
put("quantized", tensor(lambda t: t.quantize_per_tensor(t.randn(4), 0.1, 3, t.quint8)), "torch")
put("requires-grad", tensor(lambda t: t.randn(3, requires_grad=True)))
put("embedding-bag", tensor(lambda t: OrderedDict(t.nn.EmbeddingBag(5, 3).state_dict())), "torch")


# Containers of the standard library.
put = CORPUS.benign("stdlib_values", "pickle")
WHEN = datetime.datetime(2024, 5, 6, 7, 8, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
put("datetimes", lambda: [WHEN, WHEN.date(), WHEN.timetz(), datetime.timedelta(days=1), datetime.UTC])
put("counter", lambda: Counter("mlsecops"), "protocol 2", "joblib")
put("deque", lambda: deque([1, (2, "x")], maxlen=5))
put("nested-defaultdict", lambda: defaultdict(list, {"a": [1], "b": []}), "protocol 3")
put("fraction", lambda: [Fraction(3, 7), complex(1, -2), 2**200, -(2**70)], "protocol 0", "protocol 5")
