"""Damaged and made-up inputs for everything that reads users' files and options.

A reader's module lists `Case`s: what to feed and the function to feed it to. `python -m benchmarks.fuzz`
counts what becomes of many thousand inputs; `tests/test_fuzz.py` feeds a few of each case in CI.
"""
