"""The system under attack: a model that predicts a developer's yearly salary.

``dataset``   survey rows in, checked bytes first; cleaning and features (pandas only)
``model``     the network, its training and its predictions (torch)
``storage``   the same model saved the dangerous way and the safe way

Importing this package imports none of the three.
"""
