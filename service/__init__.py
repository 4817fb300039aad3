"""The HTTP service: live answers from a bundle, each in the prediction log before it leaves."""
