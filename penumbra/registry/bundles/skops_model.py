"""Models that can't be compiled: the fitted estimator as a skops archive, which names the types that it consists of.

The archive is untrusted content and doesn't decide which types may be loaded; the list here does. skops by itself
trusts scikit-learn's public estimators, numpy and Python's plain types.
"""

from pathlib import Path
from typing import Any

from penumbra.core.text.installation import describe_installation
from penumbra.registry.bundles.manifest import BrokenBundle

TRUSTED_TYPES = (
    "functools.partial",
    "numpy.dtype",
    "penumbra.patterns.cascade.Cascade",
    "penumbra.patterns.class_padding.PaddedClasses",
    "penumbra.patterns.hard_negatives.HardNegatives",
    "penumbra.patterns.reframing.Reframed",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "scipy.interpolate._bsplines.BSpline",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.feature_selection._mutual_info.mutual_info_classif",
    "sklearn.feature_selection._mutual_info.mutual_info_regression",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.DotProduct",
    "sklearn.gaussian_process.kernels.ExpSineSquared",
    "sklearn.gaussian_process.kernels.Exponentiation",
    "sklearn.gaussian_process.kernels.Matern",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.gaussian_process.kernels.RationalQuadratic",
    "sklearn.gaussian_process.kernels.Sum",
    "sklearn.gaussian_process.kernels.WhiteKernel",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils.validation.check_array",
)


def is_skops_archive(model: bytes) -> bool:
    """Tell a skops archive, which is a zip file, from an ONNX model.

    Args:
        model: The model's bytes.

    Returns:
        True for a skops archive.
    """
    return model[:2] == b"PK"


def load_skops_model(archive: Path) -> Any:
    """Load a fitted estimator.

    Args:
        archive: The skops archive.

    Returns:
        The scikit-learn estimator.

    Raises:
        BrokenBundle: The archive is damaged, it holds a type that isn't trusted, or scikit-learn and skops aren't
            installed.
    """
    try:
        from skops.io import get_untrusted_types
        from skops.io import load as load_archive
    except ImportError as error:
        raise BrokenBundle(
            f"{archive}: this model could not be compiled and needs scikit-learn and skops where it is served "
            f"({error}): {describe_installation('train')}"
        ) from None
    try:
        if untrusted := set(get_untrusted_types(file=archive)) - set(TRUSTED_TYPES):
            names = ", ".join(sorted(untrusted))
            raise BrokenBundle(
                f"{archive}: holds {names}, which penumbra/registry/bundles/skops_model.py doesn't list as trusted"
            )
        return load_archive(archive, trusted=list(TRUSTED_TYPES))
    except BrokenBundle:
        raise
    except Exception as error:  # a damaged archive raises whatever its parts raise
        raise BrokenBundle(f"{archive}: {error}") from None
