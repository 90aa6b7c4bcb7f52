"""The checks of sums.yaml."""

from omnigrok.audit import Case, claim
from omnigrok.stats import mean_in_region


@claim("sums.learned")
def test_learned(case: Case) -> None:
    losses = case.grid().per_seed(lambda curves: float(curves[case["column"]][case["when"]]))
    case.judge([mean_in_region("test loss", losses, case.region("loss"))])
