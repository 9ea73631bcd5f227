"""The Python that trains the same network on the same data: what ``downslope.minimize`` makes of it."""

from __future__ import annotations

from itertools import pairwise

from downslope.playground.rooms.network_settings import NetworkRoom
from downslope.playground.rooms.points import CLASSES, COUNT, HILLS

UPDATES = 1000
"""Updates that the Python takes; the front end writes in where it stands."""

DATA = {
    "circle": """
radii = np.concatenate([rng.uniform(0, 2.5, 250), rng.uniform(3.5, 5, 250)])
angles = rng.uniform(0, 2 * np.pi, 500)
points = np.column_stack([radii * np.sin(angles), radii * np.cos(angles)])
noisy = points + 5 * NOISE * rng.uniform(-1, 1, (500, 2))
target = np.hypot(noisy[:, 0], noisy[:, 1]) < 2.5""",
    "xor": """
points = rng.uniform(-5, 5, (500, 2))
points += np.where(points > 0, 0.3, -0.3)
noisy = points + 5 * NOISE * rng.uniform(-1, 1, (500, 2))
target = noisy[:, 0] * noisy[:, 1] >= 0""",
    "gauss": """
target = np.repeat([1.0, 0.0], 250)
center = np.where(target > 0, 2.0, -2.0)[:, None]
points = center + rng.normal(0, np.sqrt(0.5 + 7 * NOISE), (500, 2))""",
    "spiral": """
along = np.tile(np.arange(250) / 250, 2)
target = np.repeat([1.0, 0.0], 250)
angles = 1.75 * along * 2 * np.pi + np.where(target > 0, 0, np.pi)
points = 5 * along[:, None] * np.column_stack([np.sin(angles), np.cos(angles)])
points += NOISE * rng.uniform(-1, 1, (500, 2))""",
    "plane": """
points = rng.uniform(-6, 6, (500, 2))
target = (points + 6 * NOISE * rng.uniform(-1, 1, (500, 2))).sum(axis=1) / 10""",
    "hills": f"""
hills = np.array({[list(each) for each in HILLS]})
points = rng.uniform(-6, 6, (500, 2))
noisy = points + 6 * NOISE * rng.uniform(-1, 1, (500, 2))
far = np.linalg.norm(noisy[:, None, :] - hills[None, :, :2], axis=2)
values = hills[:, 2] * np.clip(1 - far / 2, 0, 1)
target = values[np.arange(500), np.abs(values).argmax(axis=1)]""",
}
"""The data sets of ``points``, written out; a test holds each to it."""
COLUMNS = {
    "x": "x", "y": "y", "x2": "x**2", "y2": "y**2", "xy": "x * y", "sinx": "np.sin(x)", "siny": "np.sin(y)",
}  # fmt: skip
DRAWN = {
    "zeros": "np.zeros((inputs, units))",
    "constant": "np.full((inputs, units), 0.1)",
    "normal": "rng.normal(0, 0.05, (inputs, units))",
    "uniform": "rng.uniform(-0.05, 0.05, (inputs, units))",
    "glorot": "rng.uniform(-1, 1, (inputs, units)) * np.sqrt(6 / (inputs + units))",
    "he": "rng.normal(0, np.sqrt(2 / inputs), (inputs, units))",
    "lecun": "rng.normal(0, np.sqrt(1 / inputs), (inputs, units))",
    "orthogonal": "orthogonal(rng.normal(size=(inputs, units)))",
}
"""The starts of ``models.network.starts``, written out."""
UNIT = {
    "linear": "x", "sigmoid": "jax.nn.sigmoid(x)", "tanh": "jnp.tanh(x)", "relu": "jnp.maximum(x, 0)",
    "leaky-relu": "jnp.where(x > 0, x, 0.01 * x)", "gelu": "jax.nn.gelu(x)", "silu": "jax.nn.silu(x)",
    "softplus": "jax.nn.softplus(x)",
}  # fmt: skip
ORTHOGONAL = """

def orthogonal(drawn):
    factor, upper = np.linalg.qr(drawn if drawn.shape[0] >= drawn.shape[1] else drawn.T)
    signed = factor * np.sign(np.diag(upper))
    return signed if drawn.shape[0] >= drawn.shape[1] else signed.T

"""


def code(
    settings: NetworkRoom, names: tuple[str, ...], hidden: tuple[int, ...], rows: int, batch: int,
    given: dict[int, float],
) -> str:  # fmt: skip
    """Return Python that draws the same data and the same start, and takes the same updates in the same order."""
    uses_jax = settings.activation in ("sigmoid", "gelu", "silu", "softplus")
    return "\n".join(
        [
            *(["import jax"] if uses_jax else []), "import jax.numpy as jnp", "import numpy as np", "",
            "import downslope as ds", "", f"UPDATES = {UPDATES}", f"NOISE = {settings.noise!r}", "",
            _data(settings, names, rows), *_start(settings, names, hidden, given), *_network(settings),
            *_descent(settings, batch),
        ]
    )  # fmt: skip


def _data(settings: NetworkRoom, names: tuple[str, ...], rows: int) -> str:
    columns = ", ".join(COLUMNS[name] for name in names)
    return (
        f"# The data: {COUNT} points in a random order, the first {rows} of them to learn from.\n"
        f"rng = np.random.default_rng({settings.data_seed}){DATA[settings.data]}\n"
        f"order = rng.permutation({COUNT})\n"
        "x, y = points[order].T\n"
        f"features = np.column_stack([{columns}]).astype(np.float32)\n"
        "target = target[order].astype(np.float32)\n"
        f"train, test = (features[:{rows}], target[:{rows}]), (features[{rows}:], target[{rows}:])\n"
    )


def _start(
    settings: NetworkRoom, names: tuple[str, ...], hidden: tuple[int, ...], given: dict[int, float]
) -> list[str]:
    drawn = DRAWN[settings.start] if hidden else DRAWN["zeros"]
    lines = [
        f"# The start: {settings.start if hidden else 'zeros'}, biases 0.",
        f"rng = np.random.default_rng([0, {settings.start_seed}])",
        f"sizes = {[len(names), *hidden, 1]}",
        "layers = []",
        "for inputs, units in zip(sizes, sizes[1:]):",
        f"    weights = {drawn}",
        "    layers.append((weights.astype(np.float32), np.zeros(units, np.float32)))",
    ]
    if hidden and settings.start == "orthogonal":
        lines.insert(0, ORTHOGONAL.strip("\n") + "\n\n")
    for place, number in sorted(given.items()):
        lines.append(_set_by_hand(place, number, [len(names), *hidden, 1]))
    return lines


def _set_by_hand(place: int, number: float, sizes: list[int]) -> str:
    """Return the line that sets one weight or bias, by its place in all of them."""
    for layer, (inputs, units) in enumerate(pairwise(sizes)):
        if place < inputs * units:
            return f"layers[{layer}][0][{place // units}, {place % units}] = {number!r}"
        place -= inputs * units
        if place < units:
            return f"layers[{layer}][1][{place}] = {number!r}"
        place -= units
    message = f"there is no place {place}"
    raise IndexError(message)


def _network(settings: NetworkRoom) -> list[str]:
    each = "jnp.logaddexp(0.0, score) - y * score" if settings.data in CLASSES else "(score - y) ** 2"
    penalty = ""
    if settings.l1:
        penalty += f" + {settings.l1!r} * sum(jnp.abs(weights).sum() for weights, _ in layers)"
    if settings.l2:
        penalty += f" + {0.5 * settings.l2!r} * sum((weights**2).sum() for weights, _ in layers)"
    return [
        "", "",
        "def scores(layers, x):",
        "    for weights, bias in layers[:-1]:",
        "        x = x @ weights + bias",
        *([] if settings.activation == "linear" else [f"        x = {UNIT[settings.activation]}"]),
        "    weights, bias = layers[-1]",
        "    return (x @ weights + bias)[:, 0]",
        "", "",
        "def mean_loss(layers, examples):",
        "    x, y = examples",
        "    score = scores(layers, x)",
        f"    return ({each}).mean()",
        "", "",
        "def loss(layers, batch):",
        f"    return mean_loss(layers, batch){penalty}",
        "", "",
    ]  # fmt: skip


def _descent(settings: NetworkRoom, batch: int) -> list[str]:
    momentum = f", momentum={settings.momentum!r}" if settings.rule in ("momentum", "nesterov") else ""
    return [
        "# The same updates, from the same start and in the same order, as in the playground.",
        f'found = ds.minimize(loss, layers, train, method="mini-batch", rule="{settings.rule}",',
        f"                    learning_rate={settings.rate!r}{momentum}, schedule=\"constant\",",
        f"                    batch_size={batch}, updates=UPDATES, seed={settings.data_seed})",
        "layers = found.params",
        'print(f"after {found.updates} updates: training loss {mean_loss(layers, train):.6f}, "',
        '      f"test loss {mean_loss(layers, test):.6f}")',
        "",
    ]  # fmt: skip
