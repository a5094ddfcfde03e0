"""A package by name: IPython 7, as in Colab, brings along another one that is called tests."""
