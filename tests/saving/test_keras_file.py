from __future__ import annotations

import json
import math
import pickle
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from han.backend import keras
from han.exceptions import ModelFileError
from han.model import HierarchicalAttentionNetwork
from han.saving.keras_file import build_network

SIZES = {"vocabulary_size": 20, "classes": 3}


@pytest.fixture(scope="module")
def network():
    network = HierarchicalAttentionNetwork(**SIZES, embedding_dim=5, units=4, residual=True, seed=1)
    network.build((None, None, None))
    return network


@pytest.fixture
def path(network, tmp_path):
    network.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def rewrite(path, replaced, more=()):
    """Rewrite an archive with some of its files replaced, or removed if the replacement is None, and others added."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()} | replaced
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in [*contents.items(), *more]:
            if content is not None:
                archive.writestr(name, content)


def config(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


def read(path):
    return build_network(path, 20, 3)


def edit_weights(path, edit):
    with zipfile.ZipFile(path) as archive:
        archive.extract("model.weights.h5", path.parent)
    with h5py.File(path.parent / "model.weights.h5", "r+") as weights:
        edit(weights)
    rewrite(path, {"model.weights.h5": (path.parent / "model.weights.h5").read_bytes()})


def test_a_network_is_restored(network, path):
    loaded = read(path)
    assert loaded.get_config() == network.get_config()
    for weight, expected in zip(loaded.weights, network.weights, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_a_lambda_layer_is_rejected_and_its_code_not_run(path, tmp_path):
    """Without safe mode, Keras runs the code, which shows that the file is harmful."""
    mark = tmp_path / "ran"
    code = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    harmful = keras.Sequential([keras.Input((1,)), keras.layers.Lambda(eval(f"lambda x: x if {code} else x"))])  # noqa: S307
    mark.unlink(missing_ok=True)  # building the layer runs the code once
    harmful.save(path)
    keras.saving.load_model(path, safe_mode=False)
    assert mark.exists()
    mark.unlink()
    with pytest.raises(ModelFileError, match="must contain a network of the class"):
        read(path)
    assert not mark.exists()


@pytest.mark.parametrize("where", ["argument", "registered", "class"])
def test_names_in_a_file_are_not_imported(where, path):
    harm = {
        "module": "builtins",
        "class_name": "exec",
        "registered_name": None,
        "config": {"object": "raise SystemExit"},
    }
    content = config(path)
    if where == "argument":
        content["config"]["cell"] = harm
    elif where == "registered":
        content["registered_name"] = "han>Another"
    else:
        content = harm
    rewrite(path, {"config.json": json.dumps(content)})
    messages = {
        "argument": r"must only contain arguments of a network, got cell=\{'module': 'builtins'",
        "registered": "must contain a network of the class .*, got 'han>Another'",
        "class": "must contain a network of the class .*, got 'exec'",
    }
    with pytest.raises(ModelFileError, match=messages[where]):
        read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (5, "contain a network of the class 'han>HierarchicalAttentionNetwork', got 5;"),
        ({"registered_name": "han>HierarchicalAttentionNetwork"}, "contain the arguments of a network, got NoneType"),
        (
            {"registered_name": "han>HierarchicalAttentionNetwork", "config": {"cell": ["x" * 100]}},
            rf"only contain arguments of a network, got cell=\['{'x' * 58}$",
        ),
        (
            {"registered_name": "han>HierarchicalAttentionNetwork", "config": {"more": 1}},
            "only contain arguments of a network, got more=1",
        ),
    ],
)
def test_invalid_configurations_are_rejected(content, message, path):
    rewrite(path, {"config.json": json.dumps(content)})
    with pytest.raises(ModelFileError, match=f"must {message}"):
        read(path)


def test_all_arguments_are_restored(tmp_path):
    network = HierarchicalAttentionNetwork(**SIZES, embedding_dim=5, units=4, cell="gru", l2=0.25, seed=None)
    network.build((None, None, None))
    network.save(tmp_path / "model.keras")
    assert None in network.get_config().values()
    assert read(tmp_path / "model.keras").get_config() == network.get_config()


def test_missing_and_unexpected_members_are_named(path):
    original = path.read_bytes()
    for replaced, more, found in (
        ({"config.json": None}, [], "no config.json"),
        ({"config.json": None, "metadata.json": None}, [], "no config.json"),
        ({}, [("a", b""), ("b", b"")], "'a'"),
        ({"metadata.json": None}, [("b", b"")], "'b'"),
    ):
        path.write_bytes(original)
        rewrite(path, replaced, more)
        with pytest.raises(ModelFileError, match=f"must contain exactly .*, got {found}$"):
            read(path)


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_a_pickled_payload_is_rejected_and_not_run(path, tmp_path):
    payload, mark = pickle.dumps(Payload(tmp_path / "ran")), tmp_path / "ran"
    pickle.loads(payload)  # noqa: S301
    assert mark.exists()
    mark.unlink()
    original = path.read_bytes()
    for replaced, more in (
        ({}, [("payload.pkl", payload)]),
        ({"metadata.json": None}, [("data.pkl", payload)]),
        ({"model.weights.h5": payload}, []),
        ({"config.json": payload}, []),
    ):
        path.write_bytes(original)
        rewrite(path, replaced, more)
        with pytest.raises(ModelFileError):
            read(path)
    path.write_bytes(payload)
    with pytest.raises(ModelFileError):
        read(path)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "a/../../escaped", "model.weights.h5"])  # noqa: S108
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_member_names_outside_the_folder_are_rejected(name, path, tmp_path):
    rewrite(path, {}, [(name, b"x")])
    with pytest.raises(ModelFileError, match=f"must contain exactly .*, got {name!r}$"):
        read(path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]


def test_an_archive_that_unpacks_to_too_many_bytes_is_rejected(path, monkeypatch):
    with zipfile.ZipFile(path) as archive:
        size = sum(len(archive.read(name)) for name in archive.namelist())
    monkeypatch.setattr("han.saving.keras_file.MAX_UNPACKED_BYTES", size)
    read(path)
    rewrite(path, {"metadata.json": b" " * 1_000_000})
    monkeypatch.setattr("han.saving.keras_file.MAX_UNPACKED_BYTES", 900_000)
    with pytest.raises(ModelFileError, match=r"must unpack to at most 900,000 bytes, got 1,\d\d\d,\d\d\d"):
        read(path)


def test_an_archive_may_unpack_to_8_gibibytes(path):
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    others = sum(len(content) for name, content in contents.items() if name != "metadata.json")

    def claim(size):
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
            archive.getinfo("metadata.json").file_size = size - others  # this file is never read

    claim(8 * 2**30)
    read(path)
    claim(8 * 2**30 + 1)
    with pytest.raises(ModelFileError, match="must unpack to at most 8,589,934,592 bytes, got 8,589,934,593"):
        read(path)


@pytest.mark.parametrize(
    ("name", "value"), [("vocabulary_size", 10**9), ("embedding_dim", 10**9), ("units", 10**6), ("ngrams", 10**9)]
)
def test_a_network_larger_than_its_file_is_not_built(name, value, path):
    content = config(path)
    content["config"][name] = value
    rewrite(path, {"config.json": json.dumps(content)})
    with pytest.raises(ModelFileError, match=r"too few|vocabulary_size must be 20"):
        read(path)


def test_a_network_may_be_as_large_as_its_file(path):
    numbers = []
    edit_weights(path, lambda weights: weights.visititems(lambda _, entry: numbers.append(getattr(entry, "size", 0))))
    total = sum(numbers)
    original = config(path)
    units = math.isqrt(total // 2)  # the maximum for which the recurrent kernel might fit
    few = f"got {total} numbers, which are too few"
    for name, value, message in (
        ("ngrams", total, "must contain a network, got "),
        ("ngrams", total + 1, few),
        ("units", units, "must contain a network, got "),
        ("units", units + 1, few),
    ):
        changed = {**original, "config": {**original["config"], name: value}}
        rewrite(path, {"config.json": json.dumps(changed)})
        with pytest.raises(ModelFileError, match=message):
            read(path)


def test_a_network_of_other_sizes_is_rejected(path):
    for sizes, name in (((21, 3), "vocabulary_size must be 21"), ((20, 4), "classes must be 4")):
        with pytest.raises(ModelFileError, match=name):
            build_network(path, *sizes)


def add_external_link(weights):
    weights["more"] = h5py.ExternalLink("/etc/passwd", "/")


def add_soft_link(weights):
    weights["more"] = h5py.SoftLink("/layers")


def add_external_dataset(weights):
    weights.create_dataset("more", (4,), "f4", external=[("numbers.bin", 0, 16)])


def add_strings(weights):
    weights.create_dataset("more", data=["text"], dtype=h5py.string_dtype())


def add_virtual_dataset(weights):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("numbers.h5", "numbers", (4,))
    weights.create_virtual_dataset("more", layout)


def add_groups(weights, total=1001):
    entries = []
    weights.visit(entries.append)
    for index in range(total - len(entries)):
        weights.create_group(f"group{index}")


def add_cycle(weights):
    weights["layers/again"] = weights["layers"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (add_external_link, "only contain arrays, got //more"),
        (add_soft_link, "only contain arrays, got //more"),
        (add_external_dataset, "only contain arrays, got //more"),
        (add_virtual_dataset, "only contain arrays, got //more"),
        (add_strings, "only contain arrays, got //more"),
        (add_groups, "contain at most 1000 arrays, got more"),
        (add_cycle, "contain at most 1000 arrays, got more"),
    ],
)
def test_files_must_only_contain_arrays(edit, message, path):
    edit_weights(path, edit)
    with pytest.raises(ModelFileError, match=f"must {message}"):
        read(path)


def test_a_file_may_contain_a_thousand_arrays_and_groups(path):
    edit_weights(path, lambda weights: add_groups(weights, 1000))
    read(path)


def test_weights_must_be_finite_and_of_the_right_shape(path):
    original = path.read_bytes()

    def poison(weights):
        weights["embedding/vars/0"][3, 2] = np.nan

    def reshape(weights):
        del weights["embedding/vars/0"]
        weights["embedding/vars/0"] = np.zeros((20, 6), np.float32)

    def remove(weights):
        del weights["classifier"]

    for edit, message in (
        (poison, "finite weights"),
        (reshape, "must contain a network"),
        (remove, "must contain a network"),
    ):
        path.write_bytes(original)
        edit_weights(path, edit)
        with pytest.raises(ModelFileError, match=message):
            read(path)


def test_damaged_archives_are_rejected(path):
    content = path.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    for damaged in (b"", content[:middle], flipped, b"PK\3\4" + b"\0" * 100):
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError, match=r"model\.keras"):
            read(path)
