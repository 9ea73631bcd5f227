"""Expressions such as ``x**4 - 3*x**2 + x + y**2``, read without running them.

Python's own parser makes a tree of the text; a walk over the tree lets through numbers, variables, the operations
and functions listed here, and nothing else, and builds a SymPy expression from them, as it was written. No text is
ever evaluated. Constants are worked out in floats on the side, and none may grow past ``LARGEST``; SymPy simplifies
nothing by itself, so that an expression costs no more than its length.
"""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import sympy

from downslope.errors import OptionError, nearest
from downslope.models.surface.surface import SIDE, Surface
from downslope.records.figures import count
from downslope.words import NOTHING, Sentence, say

Array = jax.Array
Term = Any
"""A SymPy expression."""

LONGEST, DEEPEST, MOST_VARIABLES = 1000, 120, 20
"""Characters, parts within parts, and variables of an expression."""
LARGEST, HIGHEST_POWER = 1e100, 64
"""Size of a constant, and of a power that is a number."""

VARIABLE = re.compile(r"[A-Za-z][0-9]{0,2}")
"""A letter, or a letter and a number: x, y, x1, x12."""
CONSTANTS: dict[str, tuple[Term, float]] = {"pi": (sympy.pi, math.pi), "e": (sympy.E, math.e)}


class Known(NamedTuple):
    """A function that may be called: what SymPy, JAX and plain floats call it, and its fewest arguments."""

    symbolic: Any
    compiled: Callable[..., Any]
    plain: Callable[..., Any]
    least: int = 1


FUNCTIONS: dict[str, Known] = {
    "sin": Known(sympy.sin, jnp.sin, math.sin), "cos": Known(sympy.cos, jnp.cos, math.cos),
    "tan": Known(sympy.tan, jnp.tan, math.tan), "asin": Known(sympy.asin, jnp.arcsin, math.asin),
    "acos": Known(sympy.acos, jnp.arccos, math.acos), "atan": Known(sympy.atan, jnp.arctan, math.atan),
    "sinh": Known(sympy.sinh, jnp.sinh, math.sinh), "cosh": Known(sympy.cosh, jnp.cosh, math.cosh),
    "tanh": Known(sympy.tanh, jnp.tanh, math.tanh), "exp": Known(sympy.exp, jnp.exp, math.exp),
    "log": Known(sympy.log, jnp.log, math.log), "sqrt": Known(sympy.sqrt, jnp.sqrt, math.sqrt),
    "abs": Known(sympy.Abs, jnp.abs, abs),
    "min": Known(sympy.Min, lambda *parts: reduce(jnp.minimum, parts), min, 2),
    "max": Known(sympy.Max, lambda *parts: reduce(jnp.maximum, parts), max, 2),
}  # fmt: skip
"""The functions by name; min and max take two arguments or more, the others one."""
ALLOWED = say(
    "use numbers, variables such as x, y or x1, + - * / **, parentheses, pi, e and {functions}",
    functions=", ".join(FUNCTIONS),
)

NOT_ALLOWED = say("is not allowed")

_COMPILED: dict[Any, Callable[..., Any]] = {
    sympy.Add: lambda *parts: reduce(operator.add, parts), sympy.Mul: lambda *parts: reduce(operator.mul, parts),
    **{each.symbolic: each.compiled for name, each in FUNCTIONS.items() if name != "sqrt"},
}  # fmt: skip
_OPERATIONS: dict[type, Callable[[float, float], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}  # fmt: skip


class Read(NamedTuple):
    """A part of an expression that has been read; number: its value where it has no variable."""

    term: Term
    number: float | None


def expression_surface(text: str) -> Surface:
    """Return the surface that an expression says, its variables in alphabetical order.

    Raises OptionError, saying where and what is allowed, for anything but numbers, variables, the operations and
    the functions of this module, and for an expression too long, too deep, or not finite.
    """
    term, variables = parse(text)
    return Surface(text.strip(), variables, text.strip(), to_jax(term, variables), ((-SIDE, SIDE),) * len(variables))


def parse(text: str) -> tuple[Term, tuple[str, ...]]:
    """Return an expression as a SymPy one, and its variables in order (x2 before x10); raises OptionError."""
    if len(text) > LONGEST:
        message = say(
            "the expression has {characters} characters, but at most {most} are read; shorten it",
            characters=count(len(text)),
            most=count(LONGEST),
        )
        raise OptionError(message)
    reader = _Reader(text)
    term, _ = reader.read()
    variables = sorted(reader.variables, key=lambda name: (name[0], int(name[1:] or 0)))
    if not variables:
        message = say('the expression "{shown}" has no variable; name one, such as x', shown=reader.shown)
        raise OptionError(message)
    if len(variables) > MOST_VARIABLES:
        message = say(
            "the expression has {variables} variables, but at most {most} are read",
            variables=len(variables),
            most=MOST_VARIABLES,
        )
        raise OptionError(message)
    return term, tuple(variables)


class _Reader:
    """Walks over the tree of one text, and notes the variables it meets."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self.variables: set[str] = set()

    @property
    def shown(self) -> str:
        """The text, or how it begins."""
        return _shortened(self.text, 60)

    def read(self) -> Read:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)  # such as "3(x)", which is refused below
                tree = ast.parse(self.text, mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            place = getattr(error, "offset", None)
            where = (
                say(" near character {place}", place=place)
                if isinstance(place, int) and 0 < place <= len(self.text) + 1
                else ""
            )
            message = say(
                'the expression "{shown}" does not read as one{where}; {allowed}',
                shown=self.shown,
                where=where,
                allowed=ALLOWED,
            )
            raise OptionError(message) from error
        return self._part(tree.body, 0)

    def _part(self, node: ast.expr, depth: int) -> Read:
        if depth > DEEPEST:
            message = say("the expression has more than {most} parts within parts; write it flatter", most=DEEPEST)
            raise OptionError(message)
        if isinstance(node, ast.Constant):
            return self._number(node)
        if isinstance(node, ast.Name):
            return self._name(node)
        if isinstance(node, ast.UnaryOp):
            return self._signed(node, depth)
        if isinstance(node, ast.BinOp):
            return self._operation(node, depth)
        if isinstance(node, ast.Call):
            return self._call(node, depth)
        raise self._refused(node)

    def _number(self, node: ast.Constant) -> Read:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._refused(node)
        if not abs(value) <= LARGEST:
            raise self._refused(node, say("is larger than {most}", most=f"{LARGEST:g}"))
        return Read(sympy.Integer(value) if isinstance(value, int) else sympy.Float(value), float(value))

    def _name(self, node: ast.Name) -> Read:
        if node.id in CONSTANTS:
            return Read(*CONSTANTS[node.id])
        if VARIABLE.fullmatch(node.id):
            self.variables.add(node.id)
            return Read(sympy.Symbol(node.id, real=True), None)
        raise self._refused(node, say("is no variable{nearest}", nearest=_near(node.id)))

    def _signed(self, node: ast.UnaryOp, depth: int) -> Read:
        if not isinstance(node.op, ast.USub | ast.UAdd):
            raise self._refused(node)
        inner = self._part(node.operand, depth + 1)
        if isinstance(node.op, ast.UAdd):
            return inner
        term = sympy.Mul(sympy.Integer(-1), inner.term, evaluate=False)
        return Read(term, None if inner.number is None else -inner.number)

    def _operation(self, node: ast.BinOp, depth: int) -> Read:
        operation = _OPERATIONS.get(type(node.op))
        if operation is None:
            power = say("; a power is **") if isinstance(node.op, ast.BitXor) else NOTHING
            raise self._refused(node, say("is not an operation here{power}", power=power))
        left, right = self._part(node.left, depth + 1), self._part(node.right, depth + 1)
        power = right.number if isinstance(node.op, ast.Pow) else None
        if power is not None and not abs(power) <= HIGHEST_POWER:
            raise self._refused(node, say("has a power above {most}", most=HIGHEST_POWER))
        return Read(_joined(node.op, left.term, right.term), self._worked_out(node, operation, (left, right)))

    def _call(self, node: ast.Call, depth: int) -> Read:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in FUNCTIONS:
            raise self._refused(node, say("calls no function known here{nearest}", nearest=_near(name)))
        function, given = FUNCTIONS[name], len(node.args)
        if node.keywords or any(isinstance(each, ast.Starred) for each in node.args):
            raise self._refused(node, say("must list its arguments plainly"))
        if given < function.least or (given > 1 and function.least == 1):
            needed = say("needs one argument") if function.least == 1 else say("needs two arguments or more")
            raise self._refused(node, needed)
        parts = [self._part(each, depth + 1) for each in node.args]
        number = self._worked_out(node, function.plain, parts)
        return Read(function.symbolic(*(each.term for each in parts), evaluate=False), number)

    def _worked_out(self, node: ast.expr, work: Callable[..., Any], parts: Any) -> float | None:
        """Return the value of a part without variables, None for one with; raises OptionError where it has none."""
        numbers = [each.number for each in parts]
        if None in numbers:
            return None
        try:
            value = work(*numbers)
        except OverflowError:
            value = math.inf
        except (ValueError, ZeroDivisionError) as error:
            raise self._refused(node, say("is not a number")) from error
        if isinstance(value, complex):
            raise self._refused(node, say("is not a real number"))
        if not abs(value) <= LARGEST:
            raise self._refused(node, say("is larger than {most}", most=f"{LARGEST:g}"))
        return value

    def _refused(self, node: ast.expr, why: Sentence = NOT_ALLOWED) -> OptionError:
        """Return the error for a part of the text: what, where, and what is allowed."""
        part = ast.get_source_segment(self.text, node) or self.text
        before = self.text.splitlines()[node.lineno - 1].encode()[: node.col_offset]
        place = len(before.decode(errors="replace")) + 1
        shown = _shortened(part, 40)
        return OptionError(
            say(
                'in the expression "{whole}", "{part}" at character {place} {why}; {allowed}',
                whole=self.shown,
                part=shown,
                place=place,
                why=why,
                allowed=ALLOWED,
            )
        )


def _joined(sign: ast.operator, left: Term, right: Term) -> Term:
    """Return two terms joined by + - * / or **, as they are written."""
    if isinstance(sign, ast.Sub):
        right = sympy.Mul(sympy.Integer(-1), right, evaluate=False)
    if isinstance(sign, ast.Div):
        right = sympy.Pow(right, sympy.Integer(-1), evaluate=False)
    if isinstance(sign, ast.Pow):
        return sympy.Pow(left, right, evaluate=False)
    kind = sympy.Add if isinstance(sign, ast.Add | ast.Sub) else sympy.Mul
    return kind(left, right, evaluate=False)


def _near(name: str) -> Sentence:
    hint = nearest(name, FUNCTIONS) if name else NOTHING
    return hint if "nearest" in hint else NOTHING


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def to_jax(term: Term, variables: tuple[str, ...]) -> Callable[[Array], Array]:
    """Return a SymPy expression as a function of a vector (d,) of its variables, of JAX operations only."""
    places = {sympy.Symbol(name, real=True): index for index, name in enumerate(variables)}

    def function(vector: Array) -> Array:
        met: dict[Term, Any] = {symbol: vector[index] for symbol, index in places.items()}
        return jnp.asarray(_evaluated(term, met), vector.dtype)

    return function


def _evaluated(term: Term, met: dict[Term, Any]) -> Any:
    """Return the value of a term; equal parts are computed once."""
    if term not in met:
        if not term.args:
            met[term] = float(term)
        elif term.is_Pow:
            met[term] = _raised(_evaluated(term.base, met), term.exp, met)
        else:
            met[term] = _COMPILED[term.func](*(_evaluated(each, met) for each in term.args))
    return met[term]


def _raised(base: Any, power: Term, met: dict[Term, Any]) -> Any:
    number = _evaluated(power, met)
    if not isinstance(number, float):
        return jnp.power(base, number)
    if number == 0.5:
        return jnp.sqrt(base)
    return base ** int(number) if number.is_integer() else jnp.power(base, number)
