"""A pipeline as data: the threats that follow from it, what they cost in a year, which controls to buy, and a gate.

``threats``  flows that cross a trust boundary, and what may go wrong on each
``risk``     the loss of a year, as a distribution
``choose``   the best controls under a budget
``policy``   which rules a pipeline's manifest breaks
"""
