import pytest

from lrtool import optimizers, schedules
from lrtool.config.document import parse_document
from lrtool.config.load import validate
from lrtool.config.writing.template import template
from lrtool.errors import UsageError
from lrtool.tasks import datasets, models


def built(**kinds):
    text, missing = template(
        "t", **{"model": "mlp", "data": "digits", "optimizer": "sgd", "schedule": "cosine", **kinds}
    )
    return text, missing


@pytest.mark.parametrize(
    ("section", "kind"),
    [("model", kind) for kind in models.KINDS.kinds if kind != "use"]
    + [("data", kind) for kind in datasets.KINDS.kinds if kind != "use"]
    + [("optimizer", kind) for kind in optimizers.KINDS.kinds if kind != "use"]
    + [("schedule", kind) for kind in schedules.KINDS.kinds],
)
def test_the_template_of_every_kind_is_a_config_once_filled_in(section, kind):
    text, missing = built(**{section: kind})
    for key in missing:
        assert f"{key.split('.')[1]}: …" in text
    text = text.replace("name: …", "name: MNIST").replace("…", "x.csv")
    config = validate(parse_document(text, "t.yaml"))
    assert getattr(config, section).kind == kind


def test_ones_own_model_data_and_optimizer_stand_as_targets():
    own = {"model": "my_model.py:Net", "data": "my_data.py:load", "optimizer": "my_opt.py:Ranger"}
    text, missing = built(**own)
    config = validate(parse_document(text, "t.yaml"))
    assert ({name: getattr(config, name).use for name in own}, missing) == (own, [])


def test_comments_say_what_each_field_means():
    text, _ = built()
    assert "# Samples per update." in text and "# Peak learning rate" in text


def test_an_unknown_kind_is_an_error_with_the_nearest_name():
    with pytest.raises(UsageError, match="did you mean 'digits'"):
        built(data="digit")


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ({"optimizer": "use"}, "optimizer: 'use' is not a target; write for example my_optimizer.py:Name"),
        ({"model": "use"}, "model: 'use' is not a target; write for example my_model.py:Name"),
        ({"data": ":load"}, "data: ':load' is not a target; write for example my_data.py:Name"),
    ],
)
def test_what_cannot_be_written_out_is_refused(kinds, words):
    with pytest.raises(UsageError) as caught:
        built(**kinds)
    assert words in str(caught.value)
