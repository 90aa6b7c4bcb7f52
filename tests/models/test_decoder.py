from __future__ import annotations

import pytest
import torch

from omnigrok.data import addition
from omnigrok.errors import BadInput
from omnigrok.models import decoder, mlp
from omnigrok.run import Run


def run(model: str = "decoder", data: object = None, **network: object) -> Run:
    options = {"activation": "relu", **network}
    if model == "decoder":
        options = {"hidden": [8, 8], **options}
    return Run(
        task="addition",
        model=model,
        seed=0,
        n_train=45,
        steps=1,
        lr=1e-3,
        data=data or {},
        network=options,
    )


@pytest.mark.parametrize(("representation", "ends"), [("scalar", (1, 30)), ("planar", (2, 30))])
def test_the_ends_follow_from_the_data(representation, ends):
    model = decoder.build(run(data={"representation": representation}))
    assert (model[0].in_features, model[-1].out_features) == ends


def test_it_is_the_mlp_with_the_ends_written_out():
    torch.manual_seed(3)
    first = decoder.build(run(data={"target_dim": 5}))
    torch.manual_seed(3)
    second = mlp.build(run("mlp", widths=[1, 8, 8, 5]))
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )


def test_the_data_set_accepts_it(tmp_path):
    wide = run("mlp", data={"unseen": False}, widths=[1, 8, 8, 30])
    assert torch.equal(
        addition.split(run(data={"unseen": False}), tmp_path).pool.inputs[0],
        addition.split(wide, tmp_path).pool.inputs[0],
    )


@pytest.mark.parametrize(
    ("data", "network", "message"),
    [
        ({}, {"hidden": None}, r"hidden = None is not accepted; a list of values, each a whole"),
        ({}, {"hidden": [0]}, r"decoder: network.hidden = \(0,\) is not accepted"),
        ({}, {"widths": [1, 8, 30]}, "unknown option 'widths' in network; accepted: hidden"),
        ({"representation": "x"}, {}, "representation = 'x'"),
    ],
)
def test_errors(data, network, message):
    with pytest.raises(BadInput, match=message):
        decoder.build(run(data=data, **network))
