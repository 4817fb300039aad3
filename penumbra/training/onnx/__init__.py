"""Compiler from fitted scikit-learn estimators to ONNX models that give the same numbers, in double precision."""
