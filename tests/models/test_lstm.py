"""The LSTM of Figure 4: torch's nn.LSTM, stacked; both engines; parameters, norms and refusals."""

import itertools
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, grad_and_value, stack_module_state, vmap

from omnigrok.errors import BadInput
from omnigrok.models import find_model, lstm, lstm_function, lstm_packed, lstm_stacked
from omnigrok.models.lstm import LSTM, build
from omnigrok.run import Run

SIZES = {"vocabulary": 20, "embedding": 5, "hidden": 7}
loss_of = nn.functional.binary_cross_entropy_with_logits
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-10}


@pytest.fixture(autouse=True)
def few_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["packed", "stacked"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Short chunks, so that a review crosses several; float32 with either engine."""
    monkeypatch.setattr(lstm_packed, "CHUNK", 4)
    monkeypatch.setattr(lstm_stacked, "CHUNK", 4)
    if request.param == "stacked":
        monkeypatch.setattr(lstm_packed, "available", lambda _: False)
    elif not lstm_packed.available(torch.zeros(1)):
        pytest.skip("torch was built without oneDNN")
    return str(request.param)


def make_run(**network: object) -> Run:
    return Run(
        task="imdb",
        model="lstm",
        seed=0,
        n_train=10,
        steps=1,
        lr=1e-3,
        loss="binary_cross_entropy",
        network=network,
    )


def reference(model: LSTM, tokens: Tensor) -> Tensor:
    """The same network by torch's own nn.LSTM."""
    return model.fc(model.lstm(model.embedding(tokens.long()))[0][:, -1]).squeeze(-1)


def reviews(batch: int, steps: int, *stack: int) -> Tensor:
    """Left-padded tokens of every length from nothing to everything."""
    tokens = torch.randint(1, 21, (*stack, batch, steps), dtype=torch.int16)
    lengths = torch.randint(0, steps + 1, (*stack, batch, 1))
    return torch.where(torch.arange(steps) < steps - lengths, 0, tokens).to(torch.int16)


def relative(value: Tensor, wanted: Tensor) -> float:
    value, wanted = value.detach(), wanted.detach()
    return float((value - wanted).norm() / wanted.norm().clamp(min=1e-30))


def single_gradients(
    model: LSTM, tokens: Tensor, targets: Tensor, network: Callable[[LSTM, Tensor], Tensor]
) -> dict[str, Tensor]:
    model.zero_grad()
    loss_of(network(model, tokens), targets).backward()
    return {
        name: parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }


def stacked_gradients(
    models: list[LSTM], tokens: Tensor, targets: Tensor
) -> tuple[dict[str, Tensor], Tensor]:
    parameters, _ = stack_module_state(models)  # type: ignore[arg-type]
    detached = {name: parameter.detach() for name, parameter in parameters.items()}
    return vmap(grad_and_value(lambda p, x, y: loss_of(functional_call(models[0], p, (x,)), y)))(
        detached, tokens, targets
    )


def test_registry_and_compile_switch() -> None:
    assert find_model("lstm") is lstm
    assert lstm.COMPILE is False


def test_parameters_and_norms_of_the_published_network() -> None:
    model = build(make_run(hidden=256))
    squares = {
        name: float(parameter.detach().square().sum())
        for name, parameter in model.named_parameters()
    }
    assert sum(parameter.numel() for parameter in model.parameters()) == 920_385
    assert sum(squares.values()) ** 0.5 == pytest.approx(255.0, abs=1)
    assert squares["embedding.weight"] ** 0.5 == pytest.approx(252.8, abs=1)
    assert sum(
        v for name, v in squares.items() if name.startswith("lstm.")
    ) ** 0.5 == pytest.approx(33.4, abs=0.2)


def test_default_is_the_papers_hidden_size() -> None:
    model = build(make_run())
    assert (model.lstm.hidden_size, model.lstm.num_layers, model.embedding.weight.shape) == (
        128,
        2,
        (1001, 64),
    )


def test_initialization_is_torchs_in_torchs_order() -> None:
    torch.manual_seed(3)
    model = build(make_run(**SIZES))
    torch.manual_seed(3)
    theirs = nn.ModuleList(
        [nn.Embedding(21, 5), nn.LSTM(5, 7, 2, batch_first=True), nn.Linear(7, 1)]
    )
    for ours, wanted in zip(model.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(ours, wanted)


@pytest.mark.parametrize("name", ["vocabulary", "embedding", "hidden", "layers"])
@pytest.mark.parametrize("value", [0, -1, 2.0, True, "many"])
def test_refusals(name: str, value: object) -> None:
    with pytest.raises(
        BadInput, match=rf"lstm: network\.{name} = .* is not accepted; a whole number of 1 or more"
    ):
        build(make_run(**{name: value}))


def test_other_refusals() -> None:
    with pytest.raises(BadInput, match="carry = 1 is not accepted; true or false"):
        build(make_run(carry=1))
    with pytest.raises(
        BadInput,
        match="lstm: unknown option 'width' in network; accepted: vocabulary, embedding, hidden",
    ):
        build(make_run(width=5))


def test_the_vocabulary_is_the_datas() -> None:
    given = make_run().replace(data={"vocabulary": 30})
    assert build(given).embedding.num_embeddings == 31
    assert build(given.replace(network={"vocabulary": 30})).embedding.num_embeddings == 31
    assert build(make_run(vocabulary=20)).embedding.num_embeddings == 21
    assert build(make_run()).embedding.num_embeddings == 1001
    with pytest.raises(
        BadInput, match=r"network\.vocabulary = 20 is not accepted; data\.vocabulary is 30"
    ):
        build(given.replace(network={"vocabulary": 20}))


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("steps", [1, 4, 9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_torchs_lstm(engine: str, dtype: torch.dtype, steps: int, layers: int) -> None:
    model = build(make_run(**SIZES, layers=layers)).to(dtype)
    tokens, targets = reviews(6, steps), torch.randint(0, 2, (6,)).to(dtype)
    assert relative(model(tokens), reference(model, tokens)) < TOLERANCE[dtype]
    ours, theirs = (
        single_gradients(model, tokens, targets, network)
        for network in (lambda m, x: m(x), reference)
    )
    assert list(ours) == list(theirs)
    for name, wanted in theirs.items():
        assert relative(ours[name], wanted) < 2 * TOLERANCE[dtype], name


@pytest.mark.parametrize(
    "lengths",
    [[9, 9, 9], [0, 0, 0], [1, 1, 1], [0, 9, 0], [9, 4, 5, 1, 0, 8], [5], [0]],
    ids=["full", "empty", "one word", "extremes", "mixed", "one review", "one empty review"],
)
def test_every_way_of_joining_the_chain(engine: str, lengths: list[int]) -> None:
    model = build(make_run(**SIZES))
    tokens = torch.randint(1, 21, (len(lengths), 9))
    tokens[torch.arange(9) < 9 - torch.tensor(lengths).unsqueeze(1)] = 0
    targets = torch.ones(len(lengths))
    ours, theirs = (
        single_gradients(model, tokens, targets, network)
        for network in (lambda m, x: m(x), reference)
    )
    assert max(relative(ours[name], wanted) for name, wanted in theirs.items()) < 3e-6


def test_zeros_inside_a_review_are_steps_like_any_other(engine: str) -> None:
    """Only leading padding is shared; the network does not rely on where the data set puts its
    zeros.
    """
    model = build(make_run(**SIZES))
    tokens = torch.randint(0, 2, (8, 9)) * torch.randint(1, 21, (8, 9))
    assert relative(model(tokens), reference(model, tokens)) < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stack_of_three_equals_single_networks(engine: str, dtype: torch.dtype) -> None:
    models = [build(make_run(**SIZES)).to(dtype) for _ in range(3)]
    tokens, targets = reviews(6, 9, 3), torch.randint(0, 2, (3, 6)).to(dtype)
    gradients, losses = stacked_gradients(models, tokens, targets)
    for r, model in enumerate(models):
        single = single_gradients(model, tokens[r], targets[r], lambda m, x: m(x))
        assert relative(losses[r], loss_of(model(tokens[r]), targets[r])) < TOLERANCE[dtype]
        for name, wanted in single.items():
            assert relative(gradients[name][r], wanted) < 3 * TOLERANCE[dtype], name


def test_parameters_that_require_a_gradient_make_no_difference(engine: str) -> None:
    """As stack_module_state gives them, and torch.optim wants them."""
    models = [build(make_run(**SIZES)) for _ in range(2)]
    tokens, targets = reviews(6, 9, 2), torch.randint(0, 2, (2, 6)).float()
    wanted, _ = stacked_gradients(models, tokens, targets)
    parameters, _ = stack_module_state(models)  # type: ignore[arg-type]
    assert all(parameter.requires_grad for parameter in parameters.values())
    found = vmap(grad(lambda p, x, y: loss_of(functional_call(models[0], p, (x,)), y)))(
        parameters, tokens, targets
    )
    for name, gradient in found.items():
        assert torch.equal(gradient, wanted[name]), name


def test_a_replica_does_not_feel_its_neighbours(engine: str) -> None:
    models = [build(make_run(**SIZES)) for _ in range(3)]
    tokens, targets = reviews(6, 9, 3), torch.randint(0, 2, (3, 6)).float()
    whole, _ = stacked_gradients(models, tokens, targets)
    pair, _ = stacked_gradients(models[1:], tokens[1:], targets[1:])
    for name in whole:
        assert relative(whole[name][1:], pair[name]) < 1e-6, name


def test_shared_tokens_and_shared_parameters(engine: str) -> None:
    models = [build(make_run(**SIZES)) for _ in range(2)]
    parameters, _ = stack_module_state(models)  # type: ignore[arg-type]
    tokens = reviews(6, 9)
    shared = vmap(lambda p: functional_call(models[0], p, (tokens,)))(parameters)
    assert relative(shared, torch.stack([model(tokens) for model in models])) < 1e-6
    batches = reviews(6, 9, 3)
    mapped = vmap(models[0])(batches)
    assert relative(mapped, torch.stack([models[0](batch) for batch in batches])) < 1e-6


def test_other_orders_of_transforms(engine: str) -> None:
    """Gradient of a stack's summed loss, by torch.func and by plain backward."""
    models = [build(make_run(**SIZES)) for _ in range(2)]
    tokens, targets = reviews(6, 9, 2), torch.randint(0, 2, (2, 6)).float()
    wanted, _ = stacked_gradients(models, tokens, targets)
    parameters, _ = stack_module_state(models)  # type: ignore[arg-type]
    leaves = {name: parameter.detach().requires_grad_() for name, parameter in parameters.items()}

    def total(stack: dict[str, Tensor]) -> Tensor:
        return vmap(lambda p, x, y: loss_of(functional_call(models[0], p, (x,)), y))(
            stack, tokens, targets
        ).sum()

    total(leaves).backward()
    by_func = grad(total)({name: leaf.detach() for name, leaf in leaves.items()})
    for name, leaf in leaves.items():
        assert leaf.grad is not None
        assert relative(leaf.grad, wanted[name]) < 1e-6, name
        assert relative(by_func[name], wanted[name]) < 1e-6, name


def test_nested_stacks(engine: str) -> None:
    models = [build(make_run(**SIZES)) for _ in range(2)]
    parameters, _ = stack_module_state(models)  # type: ignore[arg-type]
    tokens = reviews(4, 9, 2, 3)
    outputs = vmap(lambda p, xs: vmap(lambda x: functional_call(models[0], p, (x,)))(xs))(
        parameters, tokens
    )
    for r, k in itertools.product(range(2), range(3)):
        assert relative(outputs[r, k], models[r](tokens[r, k])) < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_carried_state_is_torchs(engine: str, dtype: torch.dtype) -> None:
    """Two batches one after the other, as the authors train: the second starts from the first one's
    last state, without gradient.
    """
    model = build(make_run(**SIZES, carry=True).replace(n_train=18, batch_size=6)).to(dtype)
    assert model.state is not None
    targets = torch.randint(0, 2, (6,)).to(dtype)
    hidden = None
    for tokens in reviews(6, 9, 2):
        x, hidden = model.lstm(model.embedding(tokens.long()), hidden)
        hidden = tuple(part.detach() for part in hidden)
        theirs = model.fc(x[:, -1]).squeeze(-1)
        model.zero_grad()
        loss_of(theirs, targets).backward()
        wanted = {
            name: parameter.grad.clone()
            for name, parameter in model.named_parameters()
            if parameter.grad is not None
        }
        logits, carried = model(tokens)
        assert relative(logits, theirs) < 2 * TOLERANCE[dtype]
        ours = single_gradients(model, tokens, targets, lambda m, x: m(x)[0])
        assert (
            max(relative(ours[name], value) for name, value in wanted.items())
            < 5 * TOLERANCE[dtype]
        )
        assert relative(carried["state"], torch.stack(hidden)) < 2 * TOLERANCE[dtype]
        assert not carried["state"].requires_grad
        model.state.copy_(carried["state"])


def test_carried_state_of_a_stack(engine: str) -> None:
    run = make_run(**SIZES, carry=True).replace(n_train=18, batch_size=6)
    models = [build(run) for _ in range(3)]
    parameters, buffers = stack_module_state(models)  # type: ignore[arg-type]
    buffers["state"] = torch.randn_like(buffers["state"])
    tokens = reviews(6, 9, 3)

    def step(
        p: dict[str, Tensor], b: dict[str, Tensor], x: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        logits, carried = functional_call(models[0], (p, b), (x,))
        return logits.square().mean(), carried

    gradients, carried = vmap(grad(step, has_aux=True))(
        {k: v.detach() for k, v in parameters.items()}, buffers, tokens
    )
    for r in range(3):
        part = {name: value[r].detach() for name, value in parameters.items()}
        single, end = grad(step, has_aux=True)(part, {"state": buffers["state"][r]}, tokens[r])
        assert relative(carried["state"][r], end["state"]) < 1e-6
        assert max(relative(gradients[name][r], value) for name, value in single.items()) < 5e-6


def test_batches_of_another_size_start_from_zero_and_leave_the_state_alone(engine: str) -> None:
    torch.manual_seed(1)
    model = build(make_run(**SIZES, carry=True).replace(n_train=18, batch_size=6))
    torch.manual_seed(1)
    plain = build(make_run(**SIZES))
    assert model.carries == ("state",)
    assert plain.carries == ()
    assert not dict(plain.named_buffers())
    assert model.state is not None
    model.state.fill_(0.5)
    tokens = reviews(4, 9)
    logits, carried = model(tokens)
    assert relative(logits, plain(tokens)) < 1e-6
    assert torch.equal(carried["state"], model.state)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_evaluation_keeps_nothing(
    engine: str, monkeypatch: pytest.MonkeyPatch, mode: Callable[[], object]
) -> None:
    models = [build(make_run(**SIZES)) for _ in range(2)]
    tokens = reviews(6, 9, 2)
    wanted = torch.stack([model(part) for model, part in zip(models, tokens, strict=True)])
    module = lstm_function.engine(wanted)
    notes = []

    def spy(*arguments: object) -> tuple[Tensor, Tensor, list[Tensor]]:
        last, end, kept = original(*arguments)
        notes.append(len(kept))
        return last, end, kept

    original = module.forward
    monkeypatch.setattr(module, "forward", spy)
    parameters, _ = stack_module_state(models)  # type: ignore[arg-type]
    with mode():  # type: ignore[attr-defined]
        outputs = vmap(lambda p, x: functional_call(models[0], p, (x,)))(parameters, tokens)
    assert notes == [0]
    assert relative(outputs, wanted) < 1e-6


def test_evaluation_in_slabs(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lstm_function, "SLAB", 3)
    models = [
        build(make_run(**SIZES, carry=True).replace(n_train=8, batch_size=8)) for _ in range(2)
    ]
    parameters, buffers = stack_module_state(models)  # type: ignore[arg-type]
    tokens = reviews(8, 9, 2)
    for scale in (0.0, 1.0):
        buffers["state"] = scale * torch.randn_like(buffers["state"])
        call = vmap(lambda p, b, x: functional_call(models[0], (p, b), (x,)))
        with torch.no_grad():
            logits, carried = call(parameters, buffers, tokens)
        wanted, kept = call(parameters, buffers, tokens)
        assert relative(logits, wanted) < 1e-6
        assert relative(carried["state"], kept["state"]) < 1e-6


def test_second_derivatives_are_refused(engine: str) -> None:
    model = build(make_run(**SIZES))
    (first,) = torch.autograd.grad(
        model(reviews(2, 5)).sum(), [model.lstm.weight_hh_l0], create_graph=True
    )
    with pytest.raises((NotImplementedError, RuntimeError)):
        first.sum().backward()


def test_engine_by_device_and_precision() -> None:
    assert lstm_function.engine(torch.zeros(1, dtype=torch.float64)) is lstm_stacked
    expected = lstm_packed if torch.backends.mkldnn.is_available() else lstm_stacked
    assert lstm_function.engine(torch.zeros(1)) is expected


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_nothing(threads: int) -> None:
    models = [build(make_run(**SIZES)) for _ in range(3)]
    tokens, targets = reviews(6, 60, 3), torch.randint(0, 2, (3, 6)).float()
    wanted, _ = stacked_gradients(models, tokens, targets)
    torch.set_num_threads(threads)
    found, _ = stacked_gradients(models, tokens, targets)
    assert torch.get_num_threads() == threads
    assert all(torch.equal(found[name], wanted[name]) for name in wanted if name.startswith("lstm"))


def test_threads_are_restored_after_an_error() -> None:
    def fail(_: int) -> None:
        raise ValueError("a replica failed")

    torch.set_num_threads(2)
    with pytest.raises(ValueError, match="a replica failed"):
        lstm_packed.side_by_side(fail, 3)
    assert torch.get_num_threads() == 2


def test_plan_orders_reviews_by_their_first_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lstm_packed, "CHUNK", 4)
    tokens = torch.tensor(
        [[0, 0, 0, 0, 0, 3], [0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 1], [0, 0, 0, 2, 1, 1]]
    )
    order, counts = lstm_packed.plan(tokens, False)
    assert order.tolist() == [2, 3, 0, 1]
    assert counts == [2, 4]
    order, counts = lstm_packed.plan(tokens, True)
    assert order.tolist() == [0, 1, 2, 3]
    assert counts == [4, 4]


def test_join_and_leave_are_adjoint() -> None:
    state, gradient = torch.randn(1, 3, 2), torch.randn(1, 6, 2)
    joined = lstm_packed.join(state, 2, 5, 9)
    assert torch.equal(joined[0, 2:], state[0, 2:].expand(4, -1))
    assert torch.equal(joined[0, :2], state[0, :2])
    assert float((joined * gradient).sum()) == pytest.approx(
        float((state * lstm_packed.leave(gradient, 2, True)).sum()), rel=1e-5
    )


def test_a_few_steps_learn_the_sign_of_a_word() -> None:
    """Reviews with token 1 are positive: a planted rule that the network finds, so that gradients
    point downhill.
    """
    model = LSTM(vocabulary=4, embedding=8, hidden=16, layers=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    tokens = torch.randint(2, 5, (60, 12))
    targets = (torch.arange(60) % 2).float()
    tokens[torch.arange(60) % 2 == 1, 6] = 1
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = loss_of(model(tokens), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.6
    assert losses[-1] < 0.1
