"""What stands between a run and its models."""

from pathlib import Path

from openstrawberry.calls import Calls
from openstrawberry.config import RunConfig
from openstrawberry.settings import Settings


def test_the_embedded_model_gets_every_request_at_once_and_a_provider_as_many_as_the_user_allows(
    tmp_path: Path,
) -> None:
    script = tmp_path / "script.yaml"
    script.write_text("turns: [a step]\n")
    ceilings = {}
    for model in ("berry", f"scripted:{script}"):
        (member,) = Calls(RunConfig(model=model, concurrency=2), Settings({}), None, None).members
        ceilings[model] = member.gate.slots
    assert ceilings["berry"] > 64  # its own queue of as many slots decides who is next
    assert ceilings[f"scripted:{script}"] == 2
