"""Export of networks to files that do not need this package: StableHLO and ONNX."""
