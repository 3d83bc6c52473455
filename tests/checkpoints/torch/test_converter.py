"""The authors' checkpoints become ours and theirs again without a changed bit."""

import dataclasses
import pathlib
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax import LagLlama
from lagllama_jax.checkpoints.layout import flatten, rows, unflatten
from lagllama_jax.checkpoints.torch.archive import read_archive
from lagllama_jax.checkpoints.torch.converter import from_torch, parameters_from_torch, to_torch
from lagllama_jax.checkpoints.torch.writer import write_archive
from lagllama_jax.config import LAGS, ModelConfig
from lagllama_jax.errors import CheckpointError, ConfigError
from lagllama_jax.model.network import init_parameters
from tests.checkpoints.conftest import CHECKPOINTS, GOLDENS

LEVELS = "model.param_proj.quantile_layer.integers"

HEADS = st.sampled_from(["student_t", "negative_binomial", "implicit_quantile"])
PUBLISHED = st.builds(
    ModelConfig,
    num_layers=st.integers(1, 3),
    num_heads=st.integers(1, 3),
    head_dim=st.sampled_from([2, 4, 6]),
    context_length=st.integers(1, 64),
    max_context_length=st.integers(1, 4096),
    lags=st.sets(st.integers(1, 2000), max_size=5).map(lambda lags: (0, *sorted(lags))),
    head=HEADS,
    scaling=st.sampled_from(["robust", "mean", "std", "none"]),
    safe_scaling=st.booleans(),
    time_features=st.booleans(),
    rope=st.sampled_from(["linear", "dynamic"]),
    rope_factor=st.floats(1, 8),
    dropout=st.floats(0, 0.9),
) | st.builds(ModelConfig.tiny, head=HEADS, rope=st.sampled_from(["plain", "none"]))

SHAPES = [
    ModelConfig.tiny(head="student_t", num_heads=4, num_kv_heads=2, observed_features=True),
    ModelConfig.tiny(head="negative_binomial", scale_features="relative", num_layers=1),
    ModelConfig.tiny(head="implicit_quantile", time_features=False, num_layers=1),
]


def random_parameters(config: ModelConfig, seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    table = {row.path: random.normal(size=row.shape).astype(np.float32) for row in rows(config)}
    return unflatten(table)


def assert_bit_equal(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> None:
    assert list(left) == list(right)
    for name, tensor in left.items():
        assert tensor.dtype == right[name].dtype
        assert tensor.shape == right[name].shape
        assert tensor.tobytes() == right[name].tobytes()


def state_dict(path: pathlib.Path) -> dict[str, np.ndarray]:
    return read_archive(path, only=["state_dict"]).value["state_dict"]


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_recorded_checkpoint_goes_there_and_back(name: str, tmp_path: pathlib.Path):
    config, parameters = from_torch(GOLDENS / f"{name}.ckpt")
    to_torch(tmp_path / "back.ckpt", config, parameters)
    assert_bit_equal(state_dict(tmp_path / "back.ckpt"), state_dict(GOLDENS / f"{name}.ckpt"))
    assert from_torch(tmp_path / "back.ckpt")[0] == config


@settings(max_examples=30, deadline=None)
@given(config=PUBLISHED, seed=st.integers(0, 9))
def test_any_published_model_goes_there_and_back(
    tmp_path_factory: pytest.TempPathFactory, config: ModelConfig, seed: int
):
    path = tmp_path_factory.mktemp("export") / "model.ckpt"
    parameters = random_parameters(config, seed)
    to_torch(path, config, parameters)
    again, back = from_torch(path, reference_scaling=not config.safe_scaling)
    assert again == config
    assert_bit_equal(flatten(back), flatten(parameters))


@pytest.mark.parametrize("config", SHAPES, ids=lambda config: config.head)
def test_the_table_has_every_weight_of_the_model_and_no_other(config: ModelConfig):
    made = jax.eval_shape(lambda: init_parameters(config, jax.random.key(0)))
    leaves = jax.tree_util.tree_flatten_with_path(made)[0]
    shapes = {"/".join(key.key for key in path): leaf.shape for path, leaf in leaves}
    assert shapes == {row.path: row.shape for row in rows(config)}


def test_an_export_names_no_class_but_those_of_tensors(tmp_path: pathlib.Path):
    path = tmp_path / "model.ckpt"
    config, parameters = from_torch(GOLDENS / "iqn.ckpt")
    to_torch(path, config, parameters)
    with zipfile.ZipFile(path) as file:
        opcodes = list(pickletools.genops(file.read("archive/data.pkl")))
    assert {argument for opcode, argument, _ in opcodes if opcode.name == "GLOBAL"} == {
        "collections OrderedDict",
        "torch FloatStorage",
        "torch LongStorage",
        "torch._utils _rebuild_tensor_v2",
    }


EXPECTED: dict[str, dict[str, Any]] = {
    "robust": {},
    "mean": {"scaling": "mean"},
    "std": {"scaling": "std"},
    "none": {"scaling": "none", "time_features": False},
    "no_time_feat": {"time_features": False},
    "nope": {"rope": "none"},
    "rope_linear": {"rope": "linear", "rope_factor": 2.0, "context_length": 64},
    "rope_dynamic": {
        "rope": "dynamic",
        "rope_factor": 2.0,
        "context_length": 64,
        "max_context_length": 32,
    },
    "neg_bin": {"scaling": "mean", "head": "negative_binomial"},
    "iqn": {"head": "implicit_quantile"},
    "trained_full_state": {},
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_configuration_is_told_from_the_checkpoint(name: str):
    assert from_torch(GOLDENS / f"{name}.ckpt")[0] == ModelConfig.tiny(**EXPECTED[name])


def test_the_exact_scaling_of_the_reference_is_an_option():
    assert from_torch(GOLDENS / "robust.ckpt")[0].safe_scaling
    assert not from_torch(GOLDENS / "robust.ckpt", reference_scaling=True)[0].safe_scaling


def test_keys_and_values_keep_their_halves():
    state = state_dict(GOLDENS / "robust.ckpt")
    parameters = from_torch(GOLDENS / "robust.ckpt")[1]
    kernel = parameters["block_0"]["attention"]["key_value"]["kernel"]
    weight = state["model.transformer.h.0.attn.kv_proj.weight"]
    np.testing.assert_array_equal(kernel[:, :16], weight[:16].T)


Damage = Callable[[dict[str, Any], dict[str, Any]], Any]
EMBEDDING = "model.transformer.wte.weight"


def _set(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    return lambda state, options: state.update({name: change(state[name])})


DAMAGES: dict[str, tuple[Damage, str]] = {
    "a missing tensor": (lambda s, o: s.pop(EMBEDDING), "lacks.*wte.weight"),
    "a foreign tensor": (lambda s, o: s.update(foreign=np.ones(2)), "unexpected.*foreign"),
    "another shape": (_set(EMBEDDING, lambda x: x[:, 1:]), r"wte.weight has shape \(16, 91\)"),
    "another type": (_set(EMBEDDING, lambda x: x.astype(np.int32)), "wte.weight holds int32"),
    "not a number": (_set(EMBEDDING, lambda x: x * np.nan), "wte.weight.*not finite"),
    "no tensor": (lambda s, o: s.update({EMBEDDING: "text"}), "wte.weight is no tensor"),
    "an unknown head": (
        lambda s, o: s.update({"model.param_proj.proj.3.weight": s[EMBEDDING]}),
        "no known head",
    ),
    "a missing option": (lambda s, o: o.pop("n_layer"), "lack n_layer"),
    "a wrong option": (lambda s, o: o.update(n_head="two"), "n_head|num_heads"),
    "wrong lags": (lambda s, o: o.update(lags_seq=["Q", "M"]), "lags"),
    "no lags": (lambda s, o: o.update(lags_seq=None), "model_kwargs cannot be used"),
    "an unknown scaler": (lambda s, o: o.update(scaling="nop"), "scaling='nop'"),
    "an unknown rope": (lambda s, o: o.update(rope_scaling={"type": "yarn"}), "yarn"),
    "several variates": (lambda s, o: o.update(input_size=2), "input_size=2"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_checkpoint_is_refused_with_file_and_cause_for(kind: str, tmp_path: pathlib.Path):
    damage, message = DAMAGES[kind]
    contents = read_archive(GOLDENS / "robust.ckpt", only=["state_dict"]).value
    options = {"n_layer": 2, "n_head": 2, "n_embd_per_head": 8, "context_length": 32}
    options |= {"lags_seq": list(LAGS), "scaling": "robust", "time_feat": True}
    damage(contents["state_dict"], options)
    contents["hyper_parameters"] = {"model_kwargs": options}
    write_archive(tmp_path / "bad.ckpt", contents)
    with pytest.raises(CheckpointError, match=rf"bad\.ckpt: .*({message})"):
        from_torch(tmp_path / "bad.ckpt")


@pytest.mark.parametrize("contents", [{}, {"state_dict": {}}, {"state_dict": 1}])
def test_another_kind_of_checkpoint_is_refused(contents: dict, tmp_path: pathlib.Path):
    write_archive(tmp_path / "other.ckpt", contents)
    with pytest.raises(CheckpointError, match=r"other\.ckpt: lacks .*model_kwargs"):
        from_torch(tmp_path / "other.ckpt")


def test_an_unknown_option_is_reported(tmp_path: pathlib.Path):
    config, parameters = from_torch(GOLDENS / "robust.ckpt")
    to_torch(tmp_path / "model.ckpt", config, parameters)
    contents = read_archive(tmp_path / "model.ckpt").value
    contents["hyper_parameters"]["model_kwargs"]["gated"] = True
    write_archive(tmp_path / "model.ckpt", contents)
    with pytest.warns(UserWarning, match=r"model\.ckpt: left out unknown option\(s\) gated"):
        assert from_torch(tmp_path / "model.ckpt")[0] == config


def test_half_precision_checkpoints_are_read(tmp_path: pathlib.Path):
    config, parameters = from_torch(GOLDENS / "robust.ckpt")
    to_torch(tmp_path / "model.ckpt", config, parameters)
    contents = read_archive(tmp_path / "model.ckpt").value
    state = {name: x.astype(np.float16) for name, x in contents["state_dict"].items()}
    write_archive(tmp_path / "half.ckpt", contents | {"state_dict": state})
    again = flatten(from_torch(tmp_path / "half.ckpt")[1])
    assert {x.dtype for x in again.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(again["embedding/kernel"].T, state[EMBEDDING])


def test_the_quantile_head_s_constant_is_checked():
    config = from_torch(GOLDENS / "iqn.ckpt")[0]
    state = dict(state_dict(GOLDENS / "iqn.ckpt"))
    state[LEVELS] = state[LEVELS][::-1]
    with pytest.raises(CheckpointError, match="integers is not 0 to 63"):
        parameters_from_torch(state, config)


OWN_OPTIONS = {
    "num_kv_heads": 1,
    "attention_window": 8,
    "imputation": "loc",
    "scale_features": "relative",
    "observed_features": True,
    "squash": "arcsinh",
    "min_sigma": 1e-3,
    "variate_attention": True,
}


@pytest.mark.parametrize("name", OWN_OPTIONS)
def test_an_option_that_the_published_model_lacks_is_not_exported(
    name: str, tmp_path: pathlib.Path
):
    config = ModelConfig.tiny(**{name: OWN_OPTIONS[name]})
    with pytest.raises(ConfigError, match=f"{name}=.*cannot be exported"):
        to_torch(tmp_path / "model.ckpt", config, random_parameters(config))
    assert list(tmp_path.iterdir()) == []


def test_every_option_is_either_exported_or_refused():
    fields = {field.name for field in dataclasses.fields(ModelConfig)}
    sizes = {"num_layers", "num_heads", "head_dim", "context_length", "max_context_length"}
    kinds = {"lags", "scaling", "time_features", "dropout", "rope", "rope_factor", "head"}
    # `one_pass` is refused with `observed_features`, which it needs.
    assert fields == sizes | kinds | {"safe_scaling", "one_pass"} | OWN_OPTIONS.keys()


def test_options_that_say_the_same_in_other_words_are_exported(tmp_path: pathlib.Path):
    config = ModelConfig.tiny(num_kv_heads=2, attention_window=32)
    to_torch(tmp_path / "model.ckpt", config, random_parameters(config))
    assert from_torch(tmp_path / "model.ckpt")[0] == ModelConfig.tiny()


@settings(max_examples=20)
@given(context=st.integers(1, 96), future=st.integers(1, 200), name=st.sampled_from(CHECKPOINTS))
def test_a_fine_tuned_checkpoint_of_the_authors_is_exported_again(
    tmp_path_factory: pytest.TempPathFactory, context: int, future: int, name: str
):
    """Fine-tuning sets the window to the context and the future; the reference has no window."""
    path = tmp_path_factory.mktemp("tuned") / "tuned.ckpt"
    config, parameters = from_torch(GOLDENS / f"{name}.ckpt")
    tuned = config.replace(context_length=context, attention_window=context + future - 1)
    to_torch(path, tuned, parameters)
    again, back = from_torch(path)
    assert again == config.replace(context_length=context)
    assert_bit_equal(flatten(back), flatten(parameters))


@given(context=st.integers(2, 96), data=st.data())
def test_a_window_that_is_shorter_than_the_context_is_not_exported(
    tmp_path_factory: pytest.TempPathFactory, context: int, data: st.DataObject
):
    window = data.draw(st.integers(1, context - 1))
    config = ModelConfig.tiny(num_layers=1, context_length=context, attention_window=window)
    path = tmp_path_factory.mktemp("window") / "model.ckpt"
    with pytest.raises(ConfigError, match=f"attention_window={window} .*context_length={context}"):
        to_torch(path, config, random_parameters(config))


def test_the_first_step_of_an_export_is_that_of_the_model(tmp_path: pathlib.Path):
    """Later ones see as many tokens as the window has, which the reference cannot store."""
    config, parameters = from_torch(GOLDENS / "robust.ckpt")
    config = config.replace(context_length=48, attention_window=71)
    to_torch(tmp_path / "tuned.ckpt", config, parameters)
    exported = LagLlama.from_pretrained(tmp_path / "tuned.ckpt")
    series = np.sin(np.arange(1300) / 4) + np.arange(1300) / 400
    ours, theirs, same = (
        model.predict(series, 6, num_samples=20, **options).samples
        for model, options in (
            (LagLlama(parameters, config), {}),
            (exported, {}),
            (exported, {"attention_window": 71}),
        )
    )
    np.testing.assert_allclose(ours[..., 0], theirs[..., 0], rtol=1e-5)
    np.testing.assert_allclose(ours, same, rtol=1e-5)
    assert not np.allclose(ours[..., 1:], theirs[..., 1:], rtol=1e-3)


WRAPPED = {
    "data parallel": lambda name: f"module.{name}",
    "compiled": lambda name: f"_orig_mod.{name}",
    "both": lambda name: f"_orig_mod.module.{name}",
    "compiled within": lambda name: name.replace("model.", "model._orig_mod."),
    "parallel within": lambda name: name.replace("model.transformer", "model.transformer.module"),
}


@pytest.mark.parametrize("wrapper", WRAPPED)
@pytest.mark.parametrize("name", ["robust", "neg_bin", "iqn"])
def test_prefixes_of_wrappers_are_removed(name: str, wrapper: str, tmp_path: pathlib.Path):
    config, parameters = from_torch(GOLDENS / f"{name}.ckpt")
    to_torch(tmp_path / "plain.ckpt", config, parameters)
    contents = read_archive(tmp_path / "plain.ckpt").value
    contents["state_dict"] = {WRAPPED[wrapper](k): v for k, v in contents["state_dict"].items()}
    write_archive(tmp_path / "wrapped.ckpt", contents)
    again, back = from_torch(tmp_path / "wrapped.ckpt")
    assert again == config
    assert_bit_equal(flatten(back), flatten(parameters))
    direct = parameters_from_torch(contents["state_dict"], config)
    assert_bit_equal(flatten(direct), flatten(parameters))


def test_a_tensor_with_and_without_a_prefix_is_refused(tmp_path: pathlib.Path):
    contents = read_archive(GOLDENS / "robust.ckpt", only=["state_dict"]).value
    state = contents["state_dict"]
    state[f"module.{EMBEDDING}"] = state[EMBEDDING]
    write_archive(tmp_path / "twice.ckpt", contents | {"hyper_parameters": {"model_kwargs": {}}})
    with pytest.raises(CheckpointError, match=rf"twice\.ckpt: has the tensor {EMBEDDING} twice"):
        from_torch(tmp_path / "twice.ckpt")


@pytest.mark.parametrize("kind", [OrderedDict, dict])
def test_a_bare_state_dict_is_told_by_name_with_the_remedy(kind: Any, tmp_path: pathlib.Path):
    write_archive(tmp_path / "bare.ckpt", kind(state_dict(GOLDENS / "robust.ckpt")))
    with pytest.raises(CheckpointError, match=r"bare\.ckpt: is a bare state_dict.*model_kwargs"):
        from_torch(tmp_path / "bare.ckpt")


def test_parameters_that_do_not_fit_are_not_exported(tmp_path: pathlib.Path):
    with pytest.raises(CheckpointError, match="parameters: lacks.*block_1"):
        to_torch(
            tmp_path / "x.ckpt",
            ModelConfig.tiny(),
            random_parameters(ModelConfig.tiny(num_layers=1)),
        )
