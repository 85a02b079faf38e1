"""YAML from outside."""

from __future__ import annotations

import pytest
import yaml

from winogen.common.yaml_text import read_yaml


def test_plain_values():
    text = "a: 1\nb: [x, {c: 2.5}]\nbase: &base {d: 1, e: 2}\nother: {<<: *base, e: 3}\n"
    assert read_yaml(text) == yaml.safe_load(text)
    assert read_yaml(text)["other"] == {"d": 1, "e": 3}  # what is merged may be changed


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "x: {a: 1, b: 2, a: 1}\n", "- {a: 1, 'a': 2}\n"])
def test_a_key_that_is_there_twice(text):
    with pytest.raises(yaml.YAMLError, match="the key 'a' is there twice"):
        read_yaml(text)


def test_equal_keys_of_different_mappings():
    assert read_yaml("- {a: 1}\n- {a: 2}\n") == [{"a": 1}, {"a": 2}]


def test_what_is_none():
    with pytest.raises(yaml.YAMLError):
        read_yaml("!!python/object/apply:os.system [true]")
    with pytest.raises(ValueError, match="nested too deep"):
        read_yaml("[" * 20_000)
