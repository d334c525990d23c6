"""A checkpoint in use: loading, localization in images."""
