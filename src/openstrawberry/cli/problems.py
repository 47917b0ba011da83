"""`strawberry problems SOURCE`: what would be asked."""

from itertools import islice
from typing import Annotated

import typer

from openstrawberry.cli import options as o


def command(
    source: Annotated[
        str, typer.Argument(help="A file, hub:NAME, gym:NAME, builtin:NAME or a preset.")
    ] = "builtin:demo",
    limit: Annotated[int, typer.Option(min=1, help="Show the first N.")] = 20,
    seed: o.Seed = None,
    verifier: o.VerifierName = None,
    question_column: o.QuestionColumn = None,
    answer_column: o.AnswerColumn = None,
    skip_bad_rows: o.SkipBadRows = None,
    json: o.Json = None,
) -> None:
    """Show the problems of a source: question, answer, how answers are checked, difficulty."""
    from openstrawberry.cli.render import show_problems
    from openstrawberry.problems.load import load_problems

    skipped: list[str] = []
    found = load_problems(
        source,
        question_column=question_column,
        answer_column=answer_column,
        verifier=verifier,
        seed=seed or 0,
        skip_bad_rows=bool(skip_bad_rows),
        on_bad_row=skipped.append,
    )
    if json:
        for problem in islice(found, limit):
            print(problem.model_dump_json())
    else:
        show_problems(source, list(islice(found, limit)), more=next(found, None) is not None, skipped=skipped)
