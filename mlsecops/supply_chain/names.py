"""Typosquats: package names made to be mistaken for a well-known one."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from rapidfuzz.distance import OSA

# Packages that a data team types by hand. A name on this list is never a suspect itself.
POPULAR = tuple(
    """
    accelerate aiohttp albumentations altair anthropic asyncpg attrs azure-core bcrypt beautifulsoup4 bitsandbytes black
    bokeh boto3 botocore catboost celery certifi chardet charset-normalizer click cloudpickle colorama cryptography
    cython dash dask datasets decorator deepspeed diffusers django dvc einops fastapi faiss-cpu filelock flask fsspec
    gensim gradio grpcio gunicorn h5py httpx huggingface-hub hydra-core idna imageio importlib-metadata ipykernel
    ipython ipywidgets jax jinja2 joblib jsonschema jupyter jupyterlab keras langchain lightgbm lightning litellm
    markupsafe matplotlib mlflow mypy networkx nltk notebook numba numpy onnx onnxruntime openai opencv-python
    opencv-python-headless optuna orjson packaging pandas paramiko pillow pip plotly polars prefect prophet protobuf
    psutil psycopg2 psycopg2-binary pyarrow pydantic pygments pymongo pymysql pyparsing pyspark pytest
    python-dateutil python-dotenv pytorch-lightning pytz pyyaml ray redis requests rich ruff s3fs safetensors
    scikit-image scikit-learn scipy seaborn sentencepiece sentence-transformers sentry-sdk setuptools shap six
    spacy sqlalchemy starlette statsmodels streamlit sympy tensorboard tensorflow tokenizers torch torchaudio
    torchvision tornado tqdm transformers typer typing-extensions ultralytics urllib3 uvicorn virtualenv vllm wandb
    websockets wheel xgboost yfinance
    """.split()
)

# Signs that the eye mixes up. Package indexes allow ASCII only, but requirements files and chats do not.
_CONFUSABLE = str.maketrans("0135ііlаеорсухԁѕјν", "olesiilaeopcyxdsjv") | str.maketrans({"i": "l", "і": "l"})
_LONG = 12  # from this length on, two edits still leave a name recognizable


def skeleton(name: str) -> str:
    """Return what the eye takes in of a name: no case, no separators (PEP 503), confusable signs made equal.

    The idea of a skeleton is that of Unicode's report on confusables (UTS #39), the table is a small one of our own.
    """
    plain = unicodedata.normalize("NFKC", name).casefold().translate(_CONFUSABLE)
    return re.sub(r"[-_.\s]+", "", plain).replace("rn", "m").replace("vv", "w")


def typosquat_of(name: str, known: Iterable[str] = POPULAR) -> str | None:
    """Return the well-known package that `name` could be mistaken for, or None.

    A name is suspect when its skeleton equals a known one, has the same words in another order, or is within a few
    edits of one: optimal string alignment (insert, delete, replace, swap neighbors). Skeletons under four signs are
    granted no edit, those below twelve one, longer ones two; with four signs the first has to agree. A known name is
    never suspect, however it is written: indexes treat `Scikit_Learn` and `scikit-learn` as one name.

    Args:
        name: the name as somebody typed it, without version or extras.
        known: the names worth imitating, such as `POPULAR` and your own company's packages.
    """
    known = tuple(known)
    if _normalized(name) in _normalized_all(known):
        return None
    suspect, words = skeleton(name), _words(name)
    best, best_distance = None, None
    for candidate, shape, order in _shapes(known):
        allowed = 0 if len(shape) < 4 else 1 if len(shape) < _LONG else 2
        if len(shape) == 4 and suspect[:1] != shape[0]:
            allowed = 0  # one edit away from a word of four letters lies half the dictionary
        distance = 0 if order and order == words else OSA.distance(suspect, shape, score_cutoff=allowed)
        if distance <= allowed and (best is None or distance < best_distance):
            best, best_distance = candidate, distance
    return best


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()  # PEP 503


def _words(name: str) -> tuple[str, ...]:
    words = _normalized(name).split("-")
    return tuple(sorted(words)) if len(words) > 1 else ()


@lru_cache(maxsize=8)
def _normalized_all(known: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(_normalized, known))


@lru_cache(maxsize=8)
def _shapes(known: tuple[str, ...]) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    return tuple((name, skeleton(name), _words(name)) for name in known)
