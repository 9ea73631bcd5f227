"""Hashed sparse logistic regression on text: reading, steps, and the loss on rows held out, against two peers.

The text is synthetic: words drawn by Zipf's law, each with a weight of its own, and a label drawn by the logistic of
the mean weight of a document's words. It is written once in Vowpal Wabbit's format, with one namespace, and
all three read the same tokens into the same number of buckets.

Vowpal Wabbit runs as its own driver does: ``--noop`` reads and does not learn; a pass past parsing is what further
passes over its warm cache take. Of both peers the settings with the lowest loss on the held-out rows are taken, and
of ours the best penalty of a few and the one that a fit chooses by itself, each on its own line.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.results import Figure, seconds

BITS = 20
ROWS, HELD, WORDS, LENGTH = 100_000, 20_000, 100_000, 60
ZIPF = 1.05
"""Exponent of the law: the word of rank r is drawn as often as ``r ** -ZIPF``."""
RATES = ("0.1", "0.5", "2")
PASSES = (1, 3, 10)
ALPHAS = (1e-5, 1e-4, 1e-3, 1e-2)
PENALTIES = ("auto", 1e-5, 1e-4, 1e-3, 1e-2)
MORE = 8
"""Further passes over which the time of one is taken."""


@dataclass(frozen=True)
class Texts:
    """The text files: train and held; documents and labels (n,) of each, for scikit-learn."""

    train: Path
    held: Path
    documents: tuple[list[str], list[str]]
    labels: tuple[NDArray[Any], NDArray[Any]]


def zipf_texts(folder: Path, rows: int = ROWS, held: int = HELD, seed: int = 0) -> Texts:
    """Write the synthetic text, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    chances = np.arange(1, WORDS + 1) ** -ZIPF
    steps = np.cumsum(chances / chances.sum())
    weights = rng.normal(0, 1, WORDS)
    words = np.array([f"w{each}" for each in rng.permutation(WORDS)])
    found: list[tuple[Path, list[str], NDArray[Any]]] = []
    for name, count in (("train", rows), ("held", held)):
        drawn = np.minimum(np.searchsorted(steps, rng.random((count, LENGTH))), WORDS - 1)
        score = weights[drawn].mean(axis=1) * np.sqrt(LENGTH)
        label = np.where(rng.random(count) < 1 / (1 + np.exp(-2 * score)), 1, -1)
        documents = [" ".join(row) for row in words[drawn].tolist()]
        path = folder / f"zipf-{name}-{count}.vw"
        path.write_text("".join(f"{one} |t {told}\n" for one, told in zip(label, documents, strict=True)))
        found.append((path, documents, label))
    (train, first, ones), (test, second, others) = found
    return Texts(train, test, (first, second), (ones, others))


def log_loss(scores: NDArray[Any], labels: NDArray[Any]) -> float:
    """Return the mean log loss of scores (n,) for labels -1 and 1."""
    return float(np.logaddexp(0, -labels * scores).mean())


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# --- downslope


def read_ours(path: Path) -> Any:
    """Return the examples of a file, hashed, as a fit reads them."""
    from downslope.data.features import prepare
    from downslope.data.sources import read
    from downslope.records import Spec

    return prepare(read(path), Spec(target="label", hash_bits=BITS, holdout=0)).train


def steps_ours(examples: Any) -> Callable[[], object]:
    """Return what takes one pass of steps over examples, in a fresh order."""
    from downslope.data.batches import order
    from downslope.engines.sparse_training import SparseTraining
    from downslope.losses import make_loss
    from downslope.models.linear import Objective, Point

    objective = Objective(make_loss("log"), 0.0, 1.0 / examples.rows, True)
    training = SparseTraining.start(examples, objective, Point.zeros(examples.features, 1), np.inf)
    rates = np.full(-(-examples.rows // 8), 0.25)
    turn = iter(range(1_000_000))

    def one_pass() -> None:
        training.advance(examples, order(examples.rows, 0, next(turn)), 0, examples.rows, 8, rates)

    return one_pass


def loss_ours(texts: Texts, method: str, l2: Any) -> float:
    """Return the held-out loss of one fit."""
    import downslope

    run = downslope.fit(texts.train, method=method, l2=l2, hash_bits=BITS, holdout=0, runs=None)
    model: Any = run.model
    return log_loss(model.scores(texts.held)[:, 0], texts.labels[1])


# --- Vowpal Wabbit


def _vw(options: str) -> None:
    from vowpalwabbit import Workspace

    Workspace(f"--quiet -b {BITS} --loss_function logistic {options}").finish()


def read_vw(path: Path) -> None:
    """Read a file and learn nothing."""
    _vw(f"--noop -d {path}")


def pass_vw(path: Path) -> float:
    """Return the seconds of one pass over the warm cache: more passes against fewer."""
    cache = f"-d {path} --cache_file {path}.cache --holdout_off"
    few = _seconds(lambda: _vw(f"{cache} --passes 2"))
    many = _seconds(lambda: _vw(f"{cache} --passes {2 + MORE}"))
    return (many - few) / MORE


def loss_vw(texts: Texts, rate: str, passes: int) -> float:
    """Return the held-out loss of one setting."""
    model, told = texts.train.with_suffix(".model"), texts.train.with_suffix(".predicted")
    cache = f"--cache_file {texts.train}.cache --holdout_off --passes {passes}" if passes > 1 else ""
    _vw(f"-d {texts.train} -l {rate} {cache} -f {model}")
    _vw(f"-t -i {model} -d {texts.held} -p {told}".replace("--loss_function logistic", ""))
    return log_loss(np.loadtxt(told), texts.labels[1])


# --- scikit-learn


def read_sklearn(documents: list[str]) -> Any:
    """Return the hashed counts of documents."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hasher = HashingVectorizer(n_features=1 << BITS, norm=None, lowercase=False, token_pattern=r"\S+")
    return hasher.transform(documents)


def sgd(alpha: float, passes: int) -> Any:
    """Return the trainer of one setting."""
    from sklearn.linear_model import SGDClassifier

    return SGDClassifier(loss="log_loss", alpha=alpha, max_iter=passes, tol=None, average=True, random_state=0)


def _best(losses: dict[str, float]) -> tuple[str, float]:
    return min(losses.items(), key=lambda each: each[1])


def figures(folder: Path, repeats: int = 3, rows: int = ROWS, held: int = HELD) -> tuple[list[Figure], list[str]]:
    """Return the claims about text, and what stands behind them."""
    from downslope.data.sources import read

    texts = zipf_texts(folder, rows, held)
    read_ours(texts.held)
    examples = read_ours(texts.train)
    one_pass = steps_ours(examples)
    one_pass()
    _vw(f"-d {texts.train} --cache_file {texts.train}.cache --passes 2 --holdout_off")
    hashed = read_sklearn(texts.documents[0])
    names = ("read", "fit read", "read vw", "read sk", "pass", "pass vw", "pass sk")
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(repeats):  # one after the other in turn, so that what disturbs one disturbs all
        times["read"].append(_seconds(lambda: read(texts.train)))
        times["fit read"].append(_seconds(lambda: read_ours(texts.train)))
        times["read vw"].append(_seconds(lambda: read_vw(texts.train)))
        times["read sk"].append(_seconds(lambda: read_sklearn(texts.documents[0])))
        times["pass"].append(_seconds(lambda: [one_pass() for _ in range(MORE)]) / MORE)
        times["pass vw"].append(pass_vw(texts.train))
        times["pass sk"].append(_seconds(lambda: sgd(1e-5, 2).fit(hashed, texts.labels[0])) / 2)
    took = {name: statistics.median(each) for name, each in times.items()}
    mine = {f"l2 {l2}": loss_ours(texts, "auto", l2) for l2 in PENALTIES}
    unseen = read_sklearn(texts.documents[1])
    theirs = {
        f"Vowpal Wabbit, rate {rate}, {passes} passes": loss_vw(texts, rate, passes)
        for rate in RATES
        for passes in PASSES
    } | {
        f"SGDClassifier, alpha {alpha:g}, {passes} passes": log_loss(
            sgd(alpha, passes).fit(hashed, texts.labels[0]).decision_function(unseen), texts.labels[1]
        )
        for alpha in ALPHAS
        for passes in PASSES
    }
    told = theirs | {f"downslope, {name}": value for name, value in mine.items()}
    notes = [f"Text, held-out log loss, {name}: {value:.4f}" for name, value in sorted(told.items())]
    return _claims(took, mine, theirs, texts, rows), notes


def _claims(
    took: dict[str, float], mine: dict[str, float], theirs: dict[str, float], texts: Texts, rows: int
) -> list[Figure]:
    title = f"hashed log loss, synthetic Zipf text, {rows:,} x 2^{BITS}"
    (name, best), (method, loss) = _best(theirs), _best(mine)
    size = texts.train.stat().st_size / 1e6
    found: list[Figure] = []
    for peer, key, wanted in (("Vowpal Wabbit, warm cache", "pass vw", 2.0), ("SGDClassifier", "pass sk", 1.0)):
        claim, ours = f"{title}, examples a second past parsing", f"{rows / took['pass']:,.0f}"
        found.append(Figure(claim, ours, f"{rows / took[key]:,.0f}", peer, took[key] / took["pass"], wanted))
    for claim, mine_key in (("reading", "read"), ("reading, as a fit does: columns, scale and names", "fit read")):
        for peer, key in (("Vowpal Wabbit --noop", "read vw"), ("HashingVectorizer", "read sk")):
            told, theirs_told = seconds(took[mine_key]), seconds(took[key])
            ratio = took[key] / took[mine_key]
            found.append(Figure(f"{title}, {claim}, {size:.0f} MB", told, theirs_told, peer, ratio, 1.0))
    for setting, value in ((method, loss), ("nothing set", mine["l2 auto"])):
        claim = f"{title}, held-out loss, {setting}"
        found.append(Figure(claim, f"{value:.4f}", f"{best:.4f}", name, value / best, 1.0, False, " of it"))
    return found


if __name__ == "__main__":
    found, told = figures(Path(sys.argv[1]), *(int(each) for each in sys.argv[2:]))
    for each in found:
        print(f"{each.claim}: {each.ours} against {each.theirs} ({each.compared}), {each.ratio:.3g}{each.unit}")
    print(*told, sep="\n")
