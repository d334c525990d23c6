"""The network as a file that needs none of this package: StableHLO and ONNX."""
