"""What the questions of lab H2a draw from."""

from __future__ import annotations

PUBLIC = (
    "numpy pandas scipy scapy torch torchvision requests matplotlib scikit-learn tensorflow transformers safetensors "
    "fastapi pydantic uvicorn joblib xgboost lightgbm pillow huggingface-hub python-dateutil cryptography sqlalchemy "
    "beautifulsoup4 jinja2 typing-extensions charset-normalizer opencv-python sentence-transformers prometheus-client"
).split()

HONEST = (
    "statsmodels geopandas pandera torchmetrics torchaudio numexpr seaborn plotly networkx pyarrow polars duckdb "
    "openpyxl lxml httpx aiohttp flask django celery redis boto3 paramiko fabric ansible sympy cython numba spacy "
    "gensim nltk optuna hydra-core mlflow dvc wandb gradio streamlit altair bokeh shapely rasterio folium"
).split()


def drawn_digest(r) -> str:
    return f"{r.getrandbits(256):064x}"
