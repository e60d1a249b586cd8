"""Inference in processes that were forked after TensorFlow was initialised.

A fork does not copy TensorFlow's threads, so TensorFlow operations in the child would hang. Instead, the child starts a
helper: a new Python process with a copy of the network, which answers requests through pipes. Texts are split in the
child and sent as word ids, so the user's functions need not be picklable.

This module does not import TensorFlow; the helper imports it when it receives a network.
"""

from __future__ import annotations

import os
import pickle  # only for messages between a process and its own helper
import subprocess
import sys
import traceback
from collections.abc import Callable
from multiprocessing import spawn
from threading import Lock
from typing import IO, Any, Concatenate, ParamSpec, Protocol, TypeVar
from weakref import WeakKeyDictionary, finalize

from han.exceptions import ForkedProcessError

P = ParamSpec("P")
T = TypeVar("T")

ADVICE = (
    'start processes with "spawn" (multiprocessing.get_context("spawn")) instead, or fork before TensorFlow is used'
)
# Ctrl-C is left to the parent. The helper gets the parent's sys.path; until it is set, -P prevents modules in the
# current folder from shadowing the standard library.
BOOTSTRAP = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = sys.argv[1:]; "
    "from han.inference.forked import serve; serve()"
)
LENGTH = 8  # bytes of the length before each message


class NetworkSource(Protocol):
    """A network that can be sent to a helper."""

    def builder(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Return a picklable function and its arguments that build the network in another process."""


def was_forked() -> bool:
    """Return whether this process was forked after TensorFlow was initialised."""
    return _state.forked


def refuse(action: str) -> None:
    """Raise a ForkedProcessError if this process was forked after TensorFlow was initialised.

    Parameters
    ----------
    action : str
        Name of the rejected function, for the error message: "HANClassifier.fit".
    """
    if _state.forked:
        raise ForkedProcessError(
            f"{action} cannot run in this process (pid {os.getpid()}): it was forked after TensorFlow was initialised, "
            f"and a fork does not copy TensorFlow's threads; {ADVICE}"
        )


def ask(function: Callable[Concatenate[Any, P], T], network: NetworkSource, *args: P.args, **kwargs: P.kwargs) -> T:
    """Return `function(network, *args, **kwargs)`, run in the network's helper, which the first call starts.

    Parameters
    ----------
    function : callable
        A function defined at the top level of a module.
    network : CompiledNetwork or StoredNetwork
        The helper keeps the weights of the first call, because a forked process cannot train.
    *args, **kwargs
        Picklable arguments.

    Raises
    ------
    ForkedProcessError
        If the helper cannot be started, or exits without an answer.
    Exception
        Any exception that `function` raises.
    """
    with _state.lock:
        helper = _state.helpers.get(network)
        if helper is None or helper.ended:
            helper = _state.helpers[network] = Helper(network)
            # Stops the helper when the network is garbage-collected or Python exits.
            finalize(network, helper.close)
    result: T = helper.ask(function, args, kwargs)
    return result


class Helper:
    """A process that runs functions on a copy of a network, one at a time.

    It exits when its standard input is closed: by `close`, or when the process that started it exits or is killed.

    Parameters
    ----------
    network : CompiledNetwork or StoredNetwork
    """

    def __init__(self, network: NetworkSource) -> None:
        self.ended = False
        self.lock = Lock()
        path = [folder for folder in sys.path if isinstance(folder, str)]
        # No GPU: its memory belongs to the parent already, and each of many processes may start a helper.
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
        # Where Python is embedded in another program, multiprocessing.set_executable sets the interpreter.
        command = [os.fsdecode(spawn.get_executable() or "python"), "-P", "-c", BOOTSTRAP, *path]
        # Unbuffered, because a fork would copy the buffers and write their content again.
        self.process = subprocess.Popen(  # noqa: S603
            command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        self.builder: tuple[Callable[..., Any], tuple[Any, ...]] | None = network.builder()

    def ask(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return `function(network, *args, **kwargs)`."""
        with self.lock:
            if self.builder is not None:
                self._exchange(self.builder)
                self.builder = None
            return self._exchange((function, args, kwargs))

    def _exchange(self, message: Any) -> Any:
        """Send a message and return the answer."""
        try:
            _send(self._pipe(self.process.stdin), message)
            succeeded, answer = _receive(self._pipe(self.process.stdout))
        except (EOFError, OSError) as error:
            self.close()
            raise ForkedProcessError(
                f"the helper process of this forked process (pid {os.getpid()}) ended with exit code "
                f"{self.process.returncode} and no answer; see its standard error for the reason. To avoid helper "
                f"processes, {ADVICE}"
            ) from error
        except BaseException:  # such as Ctrl-C: a late answer would be mistaken for the next one
            self.process.kill()
            self.close()
            raise
        if not succeeded:
            raise answer
        return answer

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        if pipe is None or pipe.closed:
            raise EOFError
        return pipe

    def close(self) -> None:
        """Stop the process and wait until it has exited."""
        if not self.ended:
            self.detach()
            self.process.wait()

    def detach(self) -> None:
        """Close the pipes in this process."""
        self.ended = True
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


class _State:
    """The state of this process.

    Attributes
    ----------
    forked : bool
        Whether this process, or an ancestor, was forked after TensorFlow was initialised.
    helpers : WeakKeyDictionary
        The helper of each network.
    lock : Lock
        Guards `helpers`.
    """

    def __init__(self, forked: bool = False) -> None:
        self.forked = forked
        self.helpers: WeakKeyDictionary[Any, Helper] = WeakKeyDictionary()
        self.lock = Lock()


_state = _State()


def _after_fork() -> None:
    """Reset the state in a forked process."""
    global _state
    inherited, _state = _state, _State(_state.forked or _tensorflow_initialised())
    for helper in list(inherited.helpers.values()):
        # The helper belongs to the parent; an open pipe here would keep it alive after the parent exits.
        helper.detach()
        # Keeps Python from warning about, or waiting for, a process that is not a child of this one.
        helper.process.returncode = 0


def _tensorflow_initialised() -> bool:
    """Return whether TensorFlow has started its threads, which happens at the first operation, not at import."""
    module = sys.modules.get("tensorflow.python.eager.context")
    if module is None:
        return False
    try:
        context = module.context_safe()
        return context is not None and context._context_handle is not None
    except AttributeError:  # no public API; if in doubt, a slow helper is better than a hang
        return True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def serve() -> None:
    """Run as a helper: build the network of the first message, then answer requests until the input is closed."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # Printed text must not be mixed with the answers.
    os.dup2(2, 1)
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
    network: Any = None
    try:
        while True:
            message = _receive(requests)
            try:
                if network is None:
                    build, arguments = message
                    network, answer = build(*arguments), None
                else:
                    function, args, kwargs = message
                    answer = function(network, *args, **kwargs)
            except Exception as error:
                _send(answers, (False, _picklable(error)))
            else:
                _send(answers, (True, answer))
    except (EOFError, BrokenPipeError):
        # Skips the slow shutdown of Python and TensorFlow.
        os._exit(0)


def _picklable(error: Exception) -> Exception:
    """Add the traceback to an error as a note; return a ForkedProcessError if the error cannot be pickled."""
    trace = "".join(traceback.format_exception(error))
    try:
        error.add_note(f"In the helper process:\n{trace}")
        pickle.loads(pickle.dumps(error))  # noqa: S301 some errors can be pickled but not unpickled
    except Exception:
        return ForkedProcessError(f"the helper process failed:\n{trace}")
    return error


def _send(pipe: IO[bytes], message: Any) -> None:
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    remaining = memoryview(len(content).to_bytes(LENGTH, "little") + content)
    while remaining:
        remaining = remaining[pipe.write(remaining) :]
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Any:
    length = int.from_bytes(_read(pipe, LENGTH), "little")
    return pickle.loads(_read(pipe, length))  # noqa: S301


def _read(pipe: IO[bytes], size: int) -> bytes:
    parts = []
    while size:
        parts.append(pipe.read(size))
        if not parts[-1]:
            raise EOFError
        size -= len(parts[-1])
    return b"".join(parts)
