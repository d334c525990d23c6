"""OpenImages30k: 100 classes of OpenImages as chosen by wsoleval, with masks for validation and test."""
