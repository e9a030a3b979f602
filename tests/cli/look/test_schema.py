import json
from pathlib import Path

import pytest

from lrtool.config.document import read_document


def test_the_schema_is_one_json_document_with_every_section(cli):
    code, out, err = cli("schema")
    schema = json.loads(out)
    assert code == 0 and err == ""
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {"extends", "model", "data", "optimizer", "schedule", "train", "range_test"} <= set(schema["properties"])


def test_every_reference_leads_somewhere(cli):
    text = cli("schema")[1]
    definitions = json.loads(text)["$defs"]
    named = {part.split('"')[0] for part in text.split("#/$defs/")[1:]}
    assert named and named <= set(definitions)


def test_the_schema_of_sweeps_admits_every_sweep_that_is_shipped(cli):
    schema = json.loads(cli("schema", "--sweep")[1])
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(schema)
    claims = sorted((Path(__file__).parents[3] / "configs" / "claims").glob("*.yaml"))
    assert len(claims) >= 5
    for path in claims:
        # Read as lrtool reads it: 1e-3 is a number.
        assert [each.message for each in validator.iter_errors(read_document(path).data)] == []
    assert list(validator.iter_errors({"base": "c.yaml", "gird": {}}))


def test_the_schema_of_sweeps_knows_both_ways_of_pruning_in_short(cli):
    schema = json.loads(cli("schema", "--sweep")[1])
    options = schema["properties"]["prune"]["anyOf"]
    assert {"asha", "halving"} in [set(option.get("enum", ())) for option in options]
    # `{factor: 2}` fits both kinds.
    assert not any("oneOf" in option for option in options)
