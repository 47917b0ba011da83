"""Ask: a model, a strategy, a question; its steps as they come, and the verdict."""

from typing import Any

import streamlit as st

from openstrawberry.config import RunConfig, load_config
from openstrawberry.errors import StrawberryError
from openstrawberry.ui.choices import (
    Option,
    keys_wanted,
    options_of,
    refuse_what_is_not_for_guests,
    strategy_names,
)
from openstrawberry.ui.frame import Place, findings, offered
from openstrawberry.ui.looks import plain, say
from openstrawberry.ui.session import Conversation
from openstrawberry.ui.views.talk import draw, draw_end

QUESTION = "How many r's are in strawberry?"
MORE = 10  # turns that "continue" adds unless told otherwise
EVERY = 0.4  # seconds between two looks at a conversation


def page(place: Place) -> None:
    """Draws it."""
    st.title("Ask")
    talk: Conversation | None = st.session_state.get("talk")
    if talk is None:
        _form(place)
    else:
        _conversation(talk)


def _form(place: Place) -> None:
    with st.container(border=True):
        question = st.text_area("Question", QUESTION, key="ask-question", height=90)
        wide, narrow = st.columns([2, 1])
        model = wide.selectbox(
            "Model", offered(place), key="ask-model", accept_new_options=True,
            help="Those that answer now; any other can be typed as provider:name.",
        )  # fmt: skip
        answer = narrow.text_input("Right answer, if known", "3", key="ask-answer")
        first, second, third = st.columns([2, 1, 1])
        strategy = first.selectbox("Strategy", strategy_names(), key="ask-strategy")
        samples = second.number_input("Ask so many times", 1, 100, 1, key="ask-samples")
        turns = third.number_input("Turns at most", 1, 1_000_000, None, key="ask-turns", placeholder="as usual")
        with st.expander("Options of the strategy"):
            chosen = _options(strategy)
        with st.expander("Model settings and keys"):
            flags = _settings()
            _keys(place)
        asked = st.button("Ask", type="primary", key="go", width="stretch")
    if asked:
        _begin(place, question, answer, turns, {
            **flags, "model": model or "berry", "strategy": strategy, "samples": samples,
            "concurrency": samples, "set": chosen, "home": place.home,
        })  # fmt: skip


def _begin(place: Place, question: str, answer: str, turns: int | None, flags: dict[str, Any]) -> None:
    try:
        if not question.strip():
            say("There is no question: write one.")
            return
        config: RunConfig = load_config(None, flags)
        if place.public:
            refuse_what_is_not_for_guests(config.model)
        settings = place.settings
    except StrawberryError as error:
        say(str(error))
        return
    st.session_state["talk"] = Conversation(config, settings, question.strip(), answer.strip() or None, turns)
    st.rerun()


def _conversation(talk: Conversation) -> None:
    view = talk.view()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if view.running:
            st.button("Stop", on_click=talk.stop, type="primary", key="stop")
        if view.more:
            more = st.number_input("More turns", 1, 10_000, MORE, key="more", width=120)
            st.button("Continue", on_click=talk.go_on, args=(int(more),), type="primary", key="continue")
        st.button("New question", on_click=_restart, key="restart")

    def live() -> None:
        now = talk.view()
        draw(talk, now)
        if not now.running and view.running:
            st.rerun()

    st.fragment(live, run_every=EVERY if view.running else None)()
    if not view.running:
        draw_end(view)


def _restart() -> None:
    talk: Conversation | None = st.session_state.pop("talk", None)
    if talk is not None:
        talk.close()
    for key in ("sample", "more"):
        st.session_state.pop(key, None)


def _options(strategy: str) -> dict[str, Any]:
    """What was changed from the default."""
    chosen: dict[str, Any] = {}
    columns = st.columns(2)
    for place, option in enumerate(options_of(strategy)):
        with columns[place % 2]:
            value = _field(option, f"ask-{strategy}-{option.name}")
        if value != option.default and not (value is None and not option.optional):
            chosen[option.name] = value
    return chosen


def _field(option: Option, key: str) -> Any:
    about = plain(option.description) or None
    if option.kind == "bool":
        return st.checkbox(option.title, bool(option.default), key=key, help=about)
    if option.kind == "choice":
        names = [*option.choices]
        at = names.index(option.default) if option.default in names else None
        return st.selectbox(option.title, names, index=at, key=key, help=about)
    if option.kind in ("int", "float"):
        whole = option.kind == "int"
        cast = int if whole else float
        least, most = (None if edge is None else cast(edge) for edge in (option.least, option.most))
        value = None if option.default is None else cast(option.default)
        return st.number_input(
            option.title, least, most, value, step=1 if whole else 0.1, key=key, help=about, placeholder="unset",
            format="%d" if whole else "%.2f",
        )  # fmt: skip
    if not isinstance(option.default, str | None):
        return option.default  # a list or a mapping: for --set and YAML files
    return st.text_input(option.title, option.default or "", key=key, help=about) or option.default


def _settings() -> dict[str, Any]:
    one, two, three = st.columns(3)
    return {
        "max_tokens": one.number_input(
            "Longest reply, in tokens", 1, 1_000_000, None, key="ask-max-tokens", placeholder="as usual"
        ),
        "budget_usd": two.number_input(
            "Spend at most, in dollars", 0.01, None, None, key="ask-budget", placeholder="no limit"
        ),
        "seed": three.number_input("Seed", 0, 2**31, 0, key="ask-seed"),
    }


def _keys(place: Place) -> None:
    """Keys live in this visit, and are shown as set or not, never as themselves."""
    wanted = keys_wanted(findings(place))
    with st.form("key", clear_on_submit=True, border=False):
        one, two, three = st.columns([1, 2, 1], vertical_alignment="bottom")
        provider = one.selectbox("Key for", sorted(wanted))
        key = two.text_input("Key, for this visit only", type="password", autocomplete="off")
        if three.form_submit_button("Use it", width="stretch") and key.strip() and provider:
            st.session_state.setdefault("keys", {})[wanted[provider]] = key.strip()
            st.session_state.pop("findings", None)
            st.rerun()
    typed: dict[str, str] = st.session_state.get("keys", {})
    if typed:
        st.text("Set for this visit: " + ", ".join(sorted(typed)))
        st.button("Forget them", on_click=_forget, key="forget")


def _forget() -> None:
    st.session_state.pop("keys", None)
    st.session_state.pop("findings", None)
