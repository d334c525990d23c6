"""Damaged and synthetic inputs for all code that reads users' files and options.

Each module lists `Case`s: input strategies and the function that reads them. `python -m benchmarks.fuzz`
counts the outcomes of many thousand inputs; `tests/test_fuzz.py` runs a few of each case in CI.
"""
