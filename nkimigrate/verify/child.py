"""One run of one kernel, in a process of its own: ``child.py REQUEST``, a JSON file.

What came of it goes into the request's folder: ``stage``, what is being done, for the case that the process
does not come to an end; ``result.json``; and the bytes of each array. Nothing else is printed than what the
user's code prints.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from . import parts

IMPORTING, PREPARING, RUNNING = "importing the module", "making the inputs", "running it"
RESULT, STAGE = "result.json", "stage"


class Refused(Exception):
    """The run cannot be made; the text says why."""


class Run:
    """A request while it is carried out."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request
        self.folder = request["folder"]
        self.saved = 0
        self.found: dict[str, Any] = {"status": "failed", "reason": "", "notes": []}

    def stage(self, what: str) -> None:
        """Leave word of what is being done, in case the process does not come to an end."""
        with open(os.path.join(self.folder, STAGE), "w", encoding="utf-8") as file:
            file.write(what)

    def carry_out(self) -> None:
        """Fill in ``found``."""
        stage = IMPORTING
        try:
            self.stage(stage)
            function = self._function()
            self.stage(stage := PREPARING)
            inputs = self._inputs(function)
            self.stage(stage := RUNNING)
            self._run(function, inputs)
            self.found["status"] = "done"
        except Refused as error:
            self.found["reason"] = str(error)
        except SystemExit as error:
            self.found["reason"] = f"{stage}: it calls sys.exit({error.code!r})"
        except RecursionError:
            self.found["reason"] = f"{stage}: it recurses too deeply"
        except BaseException as error:
            self.found["reason"] = f"{stage}: {self._told(error)}"

    # -- what to run ----------------------------------------------------------------------------------

    def _function(self) -> Any:
        from .loading import load

        request = self.request
        self._languages()
        module, missing = load(request["root"], request["file"], request["paths"])
        if missing:
            self.found["notes"].append(f"not installed, replaced by placeholders: {', '.join(missing)}")
        found: Any = module
        for part in request["name"].split("."):
            found = getattr(found, part, None)
        if not callable(found):
            raise Refused(f"there is no function {request['name']} in {request['file']}")
        self.names = {"__builtins__": __builtins__, **self._short_names(), **vars(module)}
        return self._kernel(found)

    def _languages(self) -> None:
        """Both languages, and the names of old releases for the old side."""
        import nkisim

        nkisim.install(always=True)
        if self.request["compat"]:
            import warnings

            warnings.simplefilter("ignore", DeprecationWarning)
            import nkilib.compat  # noqa: F401

    def _short_names(self) -> dict[str, Any]:
        """What expressions of a spec file may use besides the module's own names."""
        import importlib

        import ml_dtypes
        import numpy as np

        legacy = self.request["language"] != "nki"
        root = "neuronxcc.nki" if legacy else "nki"
        nki, nl, nisa = (importlib.import_module(root + part) for part in ("", ".language", ".isa"))
        return {"np": np, "ml_dtypes": ml_dtypes, "nki": nki, "nl": nl, "nisa": nisa}

    def _kernel(self, found: Any) -> Any:
        """What is called: a kernel with its launch, or the function as it is."""
        from nkisim.kernel import Kernel, simulate

        legacy = self.request["language"] != "nki"
        if not self.request["jit"]:
            return found
        if not isinstance(found, Kernel):
            from nkisim.beta1 import jit

            found = jit(getattr(found, "__wrapped__", found)) if legacy else simulate(found)
        if legacy and self.request["grid"]:
            return found[self._grid()]
        return found[self.request["lnc"]] if not legacy and self.request["lnc"] > 1 else found

    def _grid(self) -> Any:
        from nkisim.beta1 import launch

        names = {"nc": launch.nc, "spmd_dim": launch.spmd_dim, "lnc": launch.nc(self.request["lnc"])}
        every = {**self.names, **names}
        extents = []
        for extent in self.request["grid"]:
            try:
                extents.append(eval(extent, every) if isinstance(extent, str) else extent)
            except Exception as error:
                raise Refused(f"the launch grid's `{extent}` fails: {self._told(error)}") from None
        return tuple(extents)

    # -- with what ------------------------------------------------------------------------------------

    def _inputs(self, function: Any) -> dict[str, Any]:
        import random

        import numpy as np

        from .inputs import Maker, Unusable

        request = self.request
        random.seed(request["seed"])  # expressions may draw numbers of their own
        np.random.seed(request["seed"])
        maker = Maker(request["side"], request["seed"], self.names, request["spec_folder"])
        made = {}
        for name, spec in request["inputs"].items():
            try:
                made[name] = maker.value(spec, name)
            except Unusable as error:
                raise Refused(str(error)) from None
        self.found["digests"] = {name: parts.digest(item) for name, item in made.items()}
        arrays = [array for _, array in parts.arrays(made, "") if array.size > 1]
        if arrays and all((array == array.flat[0]).all() for array in arrays):
            self.found["weak"] = "each input is constant: such inputs show little"
        if request["language"] == "nki":
            made = {name: _in_language(item) for name, item in made.items()}
        return self._bound(function, made)

    def _bound(self, function: Any, made: dict[str, Any]) -> dict[str, Any]:
        """The inputs that the function takes. Raises Refused for what it wants besides, or does not know."""
        import inspect

        try:
            parameters = inspect.signature(getattr(function, "function", function)).parameters
        except (TypeError, ValueError):
            return made
        kinds = inspect.Parameter
        self.found["parameters"] = list(parameters)
        if any(p.kind is kinds.VAR_KEYWORD for p in parameters.values()):
            taken = made
        else:
            taken = {name: item for name, item in made.items() if name in parameters}
        dropped = [name for name in made if name not in taken]
        if dropped and self.request["side"] == "old":
            raise Refused(f"{self.request['name']} has no parameter {', '.join(dropped)}")
        self.found["dropped"] = dropped
        missing = [
            name
            for name, p in parameters.items()
            if p.default is kinds.empty
            and p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)
            and name not in taken
        ]
        if missing:
            raise Refused(f"no input is given for {', '.join(missing)}")
        return taken

    # -- running --------------------------------------------------------------------------------------

    def _run(self, function: Callable[..., Any], inputs: dict[str, Any]) -> None:
        import nkisim

        from .loading import Placeholder

        arrays = dict(parts.arrays(inputs, ""))
        before = {name: array.tobytes() for name, array in arrays.items()}
        dtypes: set[str] = set()
        tracing = nkisim.trace() if self.request["trace"] else nullcontext()
        started = time.perf_counter()
        Placeholder.sealed = True
        with _allocated(dtypes), tracing as trace:
            result = function(**inputs)
        self.found["seconds"] = time.perf_counter() - started
        self.found["dtypes"] = sorted(dtypes)
        if trace is not None:
            self.found["trace"] = trace.to_dict()
        self.found["returned"] = [self._leaf(name, item) for name, item in parts.leaves(result, "result")]
        self.found["written"] = {
            name: self._leaf(name, array) for name, array in arrays.items() if array.tobytes() != before[name]
        }
        self.found["unchanged"] = {
            name: [array.dtype.name, list(array.shape), hashlib.sha256(before[name]).hexdigest()]
            for name, array in arrays.items()
            if name not in self.found["written"]
        }

    def _leaf(self, name: str, item: Any) -> dict[str, Any]:
        """An output for the result file; the bytes of an array go to a file of their own."""
        array = parts.as_array(item)
        if array is None:
            return {"name": name, "value": repr(item)}
        self.saved += 1
        file = f"{self.saved}.bin"
        with open(os.path.join(self.folder, file), "wb") as opened:
            opened.write(array.tobytes())
        return {"name": name, "file": file, "dtype": array.dtype.name, "shape": list(array.shape)}

    def _told(self, error: BaseException) -> str:
        """An error in one line: its text, and the user's line where that does not say it."""
        text = " ".join(str(error).split()) or "(no message)"
        place = self._place(error)
        kind = "" if type(error).__name__ == "SimulationError" else f"{type(error).__name__}: "
        root = self.request["root"].rstrip("/") + "/"
        told = f"{kind}{text}".replace(root, "")
        return told if not place or place in told else f"{told} ({place})"

    def _place(self, error: BaseException) -> str:
        """``file:line`` of the innermost frame in the user's tree."""
        if isinstance(error, SyntaxError) and error.filename:
            return f"{os.path.relpath(error.filename, self.request['root'])}:{error.lineno}"
        root, found, trace = self.request["root"].rstrip("/") + "/", "", error.__traceback__
        while trace is not None:
            file = trace.tb_frame.f_code.co_filename
            if file.startswith(root):
                found = f"{file.removeprefix(root)}:{trace.tb_lineno}"
            trace = trace.tb_next
        return found


def _in_language(item: Any) -> Any:
    """A function of NumPy that names an operation, by the language's name, as migrated callers pass it."""
    import nki.language as nl
    import numpy as np

    from nkimigrate.codemods.language.lowering.tokens import numpy_token

    name = getattr(item, "__name__", "")
    token = numpy_token(name) if callable(item) and getattr(np, name, None) is item else None
    return item if token is None or isinstance(item, type) else getattr(nl, token.name.removeprefix("nl."))


@contextmanager
def _allocated(dtypes: set[str]) -> Iterator[None]:
    """Collect the element types of the tensors that kernels make."""
    from nkisim.core.context import state

    def made(storage: Any, _address: Any) -> None:
        dtypes.add(storage.dtype.name)

    state.allocations.append(made)
    try:
        yield
    finally:
        state.allocations.remove(made)


def _end_with(parent: int) -> None:
    """End, with all that was started here, when nobody waits for the result any more."""
    while os.getppid() == parent:
        time.sleep(1)
    os.killpg(0, signal.SIGKILL)


def main(path: str) -> None:
    """Carry out the request in a file."""
    with open(path, encoding="utf-8") as file:
        request = json.load(file)
    threading.Thread(target=_end_with, args=[request["parent"]], daemon=True).start()
    os.chdir(request["root"])
    if request["target"]:
        os.environ["NEURON_PLATFORM_TARGET_OVERRIDE"] = request["target"]
    run = Run(request)
    run.carry_out()
    target = os.path.join(request["folder"], RESULT)
    with open(target + ".new", "w", encoding="utf-8") as file:
        json.dump(run.found, file)
    os.replace(target + ".new", target)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # threads and exit handlers of the user's code have nothing to say any more
