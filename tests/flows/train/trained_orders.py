"""Orders with some text of their files replaced, and a candidate that is tried on them."""

from flows.steps.train.trials import attempts
from penumbra.training.evaluation.evaluate import TrialJob

BOOSTED = """return HistGradientBoostingClassifier(
        categorical_features=columns.categorical, max_iter=20, max_leaf_nodes=6, random_state=1
    )"""
IMPORT = "from sklearn.ensemble import HistGradientBoostingClassifier"


def try_boosting(run):
    (result,) = attempts.run_lane(run.matrices, [TrialJob("boosting")], run.plan.split)
    return result
