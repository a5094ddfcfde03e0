"""Data-only families that the author of a scanner may read and test against."""

from __future__ import annotations

import datetime
import decimal
import pathlib
import uuid
from collections import OrderedDict

import numpy as np

from . import Corpus

CORPUS = Corpus()
REFUSED = Corpus()  # not malicious, and still not data only: a scanner must not call these safe


def fitted(path: str, positive: bool = False, regression: bool = False, **options):
    """A maker of a fitted estimator of scikit-learn, named by its import path."""

    def make():
        import importlib

        rng = np.random.default_rng(7)
        labels = np.arange(48) % 3
        features = rng.normal(size=(48, 4)) + labels[:, None]
        target = features @ [1.0, 2.0, 0.5, -1.0] if regression else labels
        module, cls = path.rsplit(".", 1)
        estimator = getattr(importlib.import_module(f"sklearn.{module}"), cls)(**options)
        return estimator.fit(np.abs(features) if positive else features, target)

    return make


# Linear models.
put = CORPUS.benign("sklearn_linear", "pickle", "joblib")
put("linear", fitted("linear_model.LinearRegression", regression=True))
put("ridge", fitted("linear_model.Ridge", regression=True), "joblib zlib")
put("lasso", fitted("linear_model.Lasso", regression=True), "pickle")
put("elastic-net-cv", fitted("linear_model.ElasticNetCV", regression=True, cv=2), "joblib")
put("logistic", fitted("linear_model.LogisticRegression"), "pickle", "joblib", "protocol 2", "gzip")
put("sgd", fitted("linear_model.SGDClassifier", random_state=0))
put("huber", fitted("linear_model.HuberRegressor", regression=True), "pickle")
put("perceptron", fitted("linear_model.Perceptron"), "joblib xz")
put("poisson", fitted("linear_model.PoissonRegressor", positive=True), "pickle")
put("bayesian-ridge", fitted("linear_model.BayesianRidge", regression=True), "joblib")
put("discriminant", fitted("discriminant_analysis.LinearDiscriminantAnalysis"))

# Trees and what is built on them.
put = CORPUS.benign("sklearn_trees", "pickle", "joblib")
put("tree", fitted("tree.DecisionTreeClassifier", max_depth=3), "pickle", "joblib", "protocol 2")
put("tree-regressor", fitted("tree.DecisionTreeRegressor", regression=True, max_depth=3))
put(
    "forest",
    fitted("ensemble.RandomForestClassifier", n_estimators=4, random_state=0),
    "pickle",
    "joblib",
    "joblib gzip",
)
put("extra-trees", fitted("ensemble.ExtraTreesRegressor", regression=True, n_estimators=3), "joblib")
put("boosting", fitted("ensemble.GradientBoostingClassifier", n_estimators=3, random_state=0))
put("boosting-regressor", fitted("ensemble.GradientBoostingRegressor", regression=True, n_estimators=3), "joblib bz2")
put("hist-boosting", fitted("ensemble.HistGradientBoostingClassifier", max_iter=3))
put("hist-boosting-regressor", fitted("ensemble.HistGradientBoostingRegressor", regression=True, max_iter=3))
put("adaboost", fitted("ensemble.AdaBoostClassifier", n_estimators=3, random_state=0), "pickle")

# Support vectors, neighbors, Bayes, neural networks, Gaussian processes.
put = CORPUS.benign("sklearn_others", "pickle", "joblib")
put("svc", fitted("svm.SVC", probability=False))
put("svr", fitted("svm.SVR", regression=True), "joblib lzma")
put("linear-svc", fitted("svm.LinearSVC"), "pickle")
put("one-class-svm", fitted("svm.OneClassSVM"), "joblib")
put("neighbors-brute", fitted("neighbors.KNeighborsClassifier", algorithm="brute"), "pickle")
put("neighbors-kd-tree", fitted("neighbors.KNeighborsClassifier", algorithm="kd_tree"))
put("neighbors-ball-tree", fitted("neighbors.KNeighborsRegressor", regression=True, algorithm="ball_tree"))
put("nearest-centroid", fitted("neighbors.NearestCentroid"), "pickle")
put("gaussian-nb", fitted("naive_bayes.GaussianNB"))
put("multinomial-nb", fitted("naive_bayes.MultinomialNB", positive=True), "pickle")
put("mlp", fitted("neural_network.MLPClassifier", hidden_layer_sizes=(4,), max_iter=5, random_state=0))
put("gaussian-process", fitted("gaussian_process.GaussianProcessRegressor", regression=True))
put("dummy", fitted("dummy.DummyClassifier"), "pickle")


# Preparation of features.
def isotonic():
    from sklearn.isotonic import IsotonicRegression

    return IsotonicRegression().fit(np.arange(10.0), np.arange(10.0) ** 2)


def columns():
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = pd.DataFrame({"years": [1.0, None, 3.0, 9.0], "country": ["NL", "US", "NL", "DE"]})
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    parts = ColumnTransformer([("n", numbers, ["years"]), ("c", OneHotEncoder(handle_unknown="ignore"), ["country"])])
    return make_pipeline(parts, Ridge()).fit(frame, [1.0, 2.0, 3.0, 4.0])


def label_encoder():
    from sklearn.preprocessing import LabelEncoder

    return LabelEncoder().fit(["NL", "US", "DE"])


put = CORPUS.benign("sklearn_features", "pickle", "joblib")
put("scaler", fitted("preprocessing.StandardScaler"), "pickle", "joblib", "protocol 0")
put("min-max", fitted("preprocessing.MinMaxScaler"), "pickle")
put("robust", fitted("preprocessing.RobustScaler"), "joblib")
put("quantiles", fitted("preprocessing.QuantileTransformer", n_quantiles=10), "pickle")
put("power", fitted("preprocessing.PowerTransformer"), "joblib")
put("polynomial", fitted("preprocessing.PolynomialFeatures"), "pickle")
put("bins", fitted("preprocessing.KBinsDiscretizer", quantile_method="averaged_inverted_cdf"), "joblib")
put("one-hot", fitted("preprocessing.OneHotEncoder"), "pickle")
put("ordinal", fitted("preprocessing.OrdinalEncoder"), "joblib")
put("target-encoder", fitted("preprocessing.TargetEncoder"), "pickle")
put("label-encoder", label_encoder)
put("imputer", fitted("impute.SimpleImputer"), "pickle")
put("knn-imputer", fitted("impute.KNNImputer"), "joblib")
put("select-k-best", fitted("feature_selection.VarianceThreshold"), "pickle")
put("isotonic", isotonic)
put("salary-pipeline", columns, "pickle", "joblib", "joblib zlib")


# Torch tensors and state dictionaries.
def tensor(build):
    def make():
        import torch

        torch.manual_seed(2)
        return build(torch)

    return make


def network(torch):
    return torch.nn.Sequential(
        torch.nn.Embedding(5, 3), torch.nn.Flatten(), torch.nn.LSTM(12, 6), torch.nn.LayerNorm(6)
    ).state_dict()


put = CORPUS.benign("torch_tensors", "torch")
for dtype in (
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "float8_e4m3fn",
    "float8_e5m2",
    "complex64",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "uint16",
    "bool",
):
    put(dtype, tensor(lambda t, dtype=dtype: t.tensor([0, 1, 1]).to(getattr(t, dtype))))
put("tensor", tensor(lambda t: t.randn(3, 4)), "torch legacy", "pickle", "joblib")
put("list-of-tensors", tensor(lambda t: [t.ones(2), t.zeros(3, 3), t.tensor(5)]))
put(
    "views-of-one-storage",
    tensor(lambda t: dict(zip("ab", t.arange(10).split(5), strict=True))),
    "torch",
    "torch legacy",
)
put("transposed", tensor(lambda t: t.arange(6).reshape(2, 3).T))
put("empty", tensor(lambda t: t.empty(0)))
put("sizes-and-dtypes", tensor(lambda t: {"size": t.Size([2, 3]), "dtype": t.float32, "device": t.device("cpu")}))

put = CORPUS.benign("torch_state", "torch", "torch legacy")
put("network", tensor(network))
put("linear", tensor(lambda t: t.nn.Linear(4, 1).state_dict()), "torch", "torch legacy", "pickle")
put("half-precision", tensor(lambda t: t.nn.Linear(4, 1).bfloat16().state_dict()))
put("tied", tensor(lambda t: (lambda w: OrderedDict(encoder=w, decoder=w))(t.ones(3))), "torch")
put("with-settings", tensor(lambda t: {"model": t.nn.Linear(2, 1).state_dict(), "lr": 1e-3, "features": ["a", "b"]}))
put("attention", tensor(lambda t: t.nn.TransformerEncoderLayer(8, 2, 16).state_dict()))

# Arrays of NumPy.
put = CORPUS.benign("numpy_arrays", "npy")
for dtype in ("f8", "f4", "f2", "i8", "u2", ">i4", "?", "c16", "S5", "U5", "M8[D]", "m8[s]"):
    put(f"dtype {dtype}", lambda dtype=dtype: np.array(["1", "0", "1"]).astype("i8").astype(dtype))
put("fortran", lambda: np.asfortranarray(np.arange(6.0).reshape(2, 3)), "npy", "pickle", "joblib")
put(
    "structured",
    lambda: np.zeros(3, [("name", "U8"), ("pay", "f8"), ("grid", "i4", (2, 2))]),
    "npy",
    "pickle",
    "joblib",
)
put("no-dimensions", lambda: np.array(3.5), "npy", "joblib")
put("nothing", lambda: np.empty((0, 3)), "npy", "joblib")
put("objects-of-plain-values", lambda: np.array(["a", 1, None, (2, 3)], dtype=object), "npy", "pickle", "joblib")
put("plain", lambda: np.arange(20.0), "pickle", "joblib", "joblib xz", "protocol 2", "gzip", "bz2", "lzma")
put("larger-than-a-frame", lambda: np.arange(200_000.0), "pickle", "joblib", "joblib zlib", "protocol 5")
put("bytes-like-opcodes", lambda: np.frombuffer(b"cos\nsystem\n(S'x'\ntR." * 9, "u1"), "npy", "pickle", "joblib")
put(
    "scalars",
    lambda: [np.float64(1.5), np.int32(3), np.bool_(True), np.str_("x"), np.datetime64("2024-01-01")],
    "pickle",
)
put("in-a-dictionary", lambda: {"a": np.arange(3), "b": [np.ones(2), "text"], 3: None}, "pickle", "joblib")

put = CORPUS.benign("numpy_archives", "npz", "npz compressed")
put("several", lambda: {"x": np.arange(5), "y": np.ones((2, 2), "f4"), "names": np.array(["a", "bc"])})
put("structured", lambda: {"t": np.zeros(2, [("a", "i4"), ("b", "f8")])})

# Frames, series and indexes of pandas.


def frame(build):
    def make():
        import pandas as pd

        return build(pd)

    return make


put = CORPUS.benign("pandas_frames", "to_pickle")
MIXED = frame(
    lambda pd: pd.DataFrame({"years": [1, 2], "pay": [1.5, 2.5], "country": ["NL", "US"], "remote": [True, False]})
)
put("mixed", MIXED, "to_pickle", "to_pickle.gz", "to_pickle.bz2", "to_pickle.xz", "to_pickle.zip", "to_pickle.tar")
put("mixed-elsewhere", MIXED, "pickle", "joblib", "joblib zlib", "protocol 2")
put("series", frame(lambda pd: pd.Series([1.0, None, 3.0], name="pay")))
put("multi-index", frame(lambda pd: pd.DataFrame({"a": range(4)}, pd.MultiIndex.from_product([["x", "y"], [1, 2]]))))
put("categories", frame(lambda pd: pd.DataFrame({"c": pd.Categorical(["a", "b", "a"], ordered=True)})))
put("category-index", frame(lambda pd: pd.Series([1, 2], pd.CategoricalIndex(["a", "b"]))))
put(
    "nullable",
    frame(
        lambda pd: pd.DataFrame(
            {"i": pd.array([1, None]), "f": pd.array([0.5, None], "Float64"), "b": pd.array([True, None])}
        )
    ),
)
put("python-strings", frame(lambda pd: pd.Series(["a", None], dtype=pd.StringDtype("python"))))
put("object-strings", frame(lambda pd: pd.Series(["a", None, 3], dtype=object)))
put("dates", frame(lambda pd: pd.DataFrame({"day": pd.to_datetime(["2024-01-01", None]), "n": [1, 2]})))
put("sparse", frame(lambda pd: pd.DataFrame({"s": pd.arrays.SparseArray([0, 0, 1])})))
put("empty", frame(lambda pd: pd.DataFrame()))
put("index", frame(lambda pd: pd.Index([3, 1, 2], name="n")), "pickle")
put("range-index", frame(lambda pd: pd.RangeIndex(5)), "pickle")
put("missing-value", frame(lambda pd: [pd.NA, {"a": pd.Interval(0, 1)}]), "pickle")

# Containers and values of Python.
put = CORPUS.benign("python_values", "pickle")
NESTED = {"name": "model", "sizes": [1, 2, 3], "nested": {"a": (1, 2.5, None, True), "b": b"\x00\xff"}, "empty": ()}
put("nested", lambda: NESTED, *(f"protocol {n}" for n in range(6)), "joblib", "gzip", "bz2", "lzma", "torch")
put("sets", lambda: [{1, 2}, frozenset({3}), bytearray(b"ab"), range(3), slice(1, None, 2)], "pickle", "protocol 2")
put("decimals", lambda: [decimal.Decimal("1.10"), uuid.UUID(int=5)])
put("dates", lambda: [datetime.date(2024, 1, 2), datetime.datetime(2024, 1, 2, 3, 4), datetime.timedelta(3)])
put("paths", lambda: [pathlib.PurePosixPath("a/b")])
put("ordered", lambda: OrderedDict(a=1, b=2), "pickle", "protocol 2")
put("recursive", lambda: (lambda loop: loop.append(loop) or loop)([1]))
put("words-of-an-attack", lambda: ["os.system", "cos\nsystem\n(S'x'\ntR.", "__reduce__", {"builtins": "exec"}])
put("long-text", lambda: "salary " * 50_000)
put("big-numbers", lambda: [2**400, -(2**64), 1e308, float("nan"), float("-inf")], "pickle", "protocol 0")

# Formats that hold no pickle.
put = CORPUS.benign("safe_formats", "safetensors")
for dtype in ("float32", "bfloat16", "int64", "bool"):
    put(dtype, tensor(lambda t, dtype=dtype: {"w": t.ones(3).to(getattr(t, dtype)), "b": t.zeros(2, 2)}))
put("network", tensor(lambda t: dict(network(t))))
put("settings", lambda: {"features": ["years_exp", "country"], "bounds": [0, 50], "seed": 7}, "json")


# Code by design: refused although nobody means harm.
def module():
    import torch

    return torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())


def scripted():
    import torch

    return torch.jit.script(module())


def cloudpickled_lambda() -> bytes:
    import cloudpickle

    return cloudpickle.dumps(lambda x: x + 1)


def transformer_with_a_function():
    import os

    from sklearn.preprocessing import FunctionTransformer

    return FunctionTransformer(os.getenv)


put = REFUSED.benign("refused", "pickle")
put("whole-module", module, "torch", "torch legacy", "pickle")
put("torchscript", scripted, "torchscript")
put("cloudpickled-lambda", cloudpickled_lambda, "raw")
put("function", lambda: [len, pathlib.Path.unlink])
put("transformer-with-a-function", transformer_with_a_function, "pickle", "joblib")
