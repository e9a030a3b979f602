import json


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
