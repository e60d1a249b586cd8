"""Work for a network in a process that was forked after TensorFlow had begun to work.

TensorFlow's threads are not there in such a process, and whatever waits for them waits for ever. So a forked process
hands the work to a helper: a new Python, which holds a copy of the network and is asked through a pipe. Texts are
split where they are, and what is sent is numbers; functions of the user's need not be pickled.

Nothing here imports TensorFlow: the helper does, when it is sent a network.
"""

from __future__ import annotations

import os
import pickle  # only between a process and the helper that it started
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

WHAT_TO_DO = (
    'start processes by "spawn" instead (multiprocessing.get_context("spawn")), or fork before TensorFlow is used'
)
# Ctrl-C is for the process that waits. Modules are to be found where it finds them; -P keeps those of the current
# folder from being taken for Python's own before that is known.
BEGINNING = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = sys.argv[1:]; "
    "from han.inference.forked import serve; serve()"
)
LENGTH = 8  # bytes that say how long a message is


class NetworkSource(Protocol):
    """A network that a helper can be given."""

    def builder(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Return a function of a module, and its arguments, that make the network in another process."""


def was_forked() -> bool:
    """Return whether this process was forked after TensorFlow had begun to work."""
    return _state.forked


def refuse(action: str) -> None:
    """Raise a ForkedProcessError if this process was forked after TensorFlow had begun to work.

    Parameters
    ----------
    action : str
        What cannot be done, as "HANClassifier.fit".
    """
    if _state.forked:
        raise ForkedProcessError(
            f"{action} cannot run in this process (pid {os.getpid()}): it was forked after TensorFlow had begun to "
            f"work in its parent, and TensorFlow's threads did not come along; {WHAT_TO_DO}"
        )


def ask(function: Callable[Concatenate[Any, P], T], network: NetworkSource, *args: P.args, **kwargs: P.kwargs) -> T:
    """Return `function(network, ...)`, computed by the network's helper, which is started at the first call.

    Parameters
    ----------
    function : callable
        Of a module of `han`.
    network : HierarchicalAttentionNetwork or StandIn
        Its weights are those that it had at the first call: a forked process cannot train.
    *args, **kwargs
        What can be pickled.

    Raises
    ------
    ForkedProcessError
        If there can be no helper, or it ends before it answers.
    Exception
        What `function` raises.
    """
    with _state.lock:
        helper = _state.helpers.get(network)
        if helper is None or helper.ended:
            helper = _state.helpers[network] = Helper(network)
            # Ends it when the network goes, or Python does.
            finalize(network, helper.close)
    result: T = helper.ask(function, args, kwargs)
    return result


class Helper:
    """A process that holds a copy of a network and runs functions on it, one at a time.

    It ends when its standard input does: with `close`, or with the process that started it, however that ends.

    Parameters
    ----------
    network : HierarchicalAttentionNetwork or StandIn
    """

    def __init__(self, network: NetworkSource) -> None:
        self.ended = False
        self.lock = Lock()
        path = [folder for folder in sys.path if isinstance(folder, str)]
        # A graphics card's memory is the parent's already, and there may be a helper for each of many processes.
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
        # Where Python is within another program, multiprocessing.set_executable says where it is alone.
        command = [os.fsdecode(spawn.get_executable() or "python"), "-P", "-c", BEGINNING, *path]
        # Without buffers, whose content a process forked from this one would write once more.
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
                f"the helper process that works for this forked one (pid {os.getpid()}) ended with exit code "
                f"{self.process.returncode} and no answer; what it wrote to standard error may say why. To do without "
                f"it, {WHAT_TO_DO}"
            ) from error
        except BaseException:  # as Ctrl-C: the answer may yet come, and would be taken for the next one
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
        """Let the process end, and wait until it has."""
        if not self.ended:
            self.leave()
            self.process.wait()

    def leave(self) -> None:
        """Close this process's ends of the pipes."""
        self.ended = True
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


class _State:
    """What this process knows of itself.

    Attributes
    ----------
    forked : bool
        Whether TensorFlow had begun to work in a process that this one was forked from.
    helpers : weak dictionary of Helper
        One for each network that work was done for here.
    lock : Lock
        Held while a helper is looked for.
    """

    def __init__(self, forked: bool = False) -> None:
        self.forked = forked
        self.helpers: WeakKeyDictionary[Any, Helper] = WeakKeyDictionary()
        self.lock = Lock()


_state = _State()


def _after_fork() -> None:
    """Take note that this process is a forked one."""
    global _state
    left, _state = _state, _State(_state.forked or _tensorflow_has_worked())
    for helper in list(left.helpers.values()):
        # It is the parent's, and must see its input end when the parent ends, not later.
        helper.leave()
        # What Python would warn of, or wait for, is no child of this process.
        helper.process.returncode = 0


def _tensorflow_has_worked() -> bool:
    """Return whether TensorFlow has started its threads: at its first operation, not when it is imported."""
    module = sys.modules.get("tensorflow.python.eager.context")
    if module is None:
        return False
    try:
        context = module.context_safe()
        return context is not None and context._context_handle is not None
    except AttributeError:  # there is no public way to ask; in doubt, a helper is slow, and a hang is for ever
        return True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def serve() -> None:
    """Be a helper: make the network that is sent, then answer until the input ends."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What is printed here must not get among the answers.
    os.dup2(2, 1)
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
    network: Any = None
    try:
        while True:
            message = _receive(requests)
            try:
                if network is None:
                    make, arguments = message
                    network, answer = make(*arguments), None
                else:
                    function, args, kwargs = message
                    answer = function(network, *args, **kwargs)
            except Exception as error:
                _send(answers, (False, _portable(error)))
            else:
                _send(answers, (True, answer))
    except (EOFError, BrokenPipeError):
        # Nobody is there to see Python and TensorFlow clear up, and it takes a while.
        os._exit(0)


def _portable(error: Exception) -> Exception:
    """Return an error as it can be sent, with a note of where it happened."""
    trace = "".join(traceback.format_exception(error))
    try:
        error.add_note(f"In the helper process:\n{trace}")
        pickle.loads(pickle.dumps(error))  # noqa: S301 a check that it comes out again
    except Exception:
        return ForkedProcessError(f"the helper process failed:\n{trace}")
    return error


def _send(pipe: IO[bytes], message: Any) -> None:
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    left = memoryview(len(content).to_bytes(LENGTH, "little") + content)
    while left:
        left = left[pipe.write(left) :]
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
