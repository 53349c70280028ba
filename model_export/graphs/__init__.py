"""What a network's parts look like in ONNX, in float32 or in int8."""
