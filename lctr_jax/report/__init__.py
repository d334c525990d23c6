"""Figures and pages from the results of evaluation and prediction."""
