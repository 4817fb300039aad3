"""Fitted scikit-learn estimators compiled to ONNX graphs."""
