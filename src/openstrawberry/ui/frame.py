"""What surrounds the pages: their names, their look, and what a visit keeps (`st.session_state`).

A visit keeps the conversation that is asked, the keys that were typed, and what doctor found; nothing of it is written.
"""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from openstrawberry.doctor import Finding, examine
from openstrawberry.errors import StrawberryError
from openstrawberry.settings import Settings
from openstrawberry.ui.choices import models_offered
from openstrawberry.ui.looks import STYLE, say

KEPT = "ask-"  # widgets whose key begins so stay as they are while another page is looked at


@dataclass(frozen=True)
class Place:
    """Where the page stands: the folder of its runs, and whether strangers come by (see `space.py`)."""

    home: Path
    public: bool = False

    @property
    def settings(self) -> Settings:
        """The environment, with the keys that were typed over it; in public only the latter."""
        typed: dict[str, str] = st.session_state.get("keys", {})
        return (Settings({}) if self.public else Settings.load()).over(typed)


def show(place: Place) -> None:
    """Draws the page that is looked at."""
    from openstrawberry.ui.views import ask, compare, runs

    st.set_page_config(page_title="strawberry", page_icon="🍓", layout="wide", initial_sidebar_state="collapsed")
    st.html(f"<style>{STYLE}</style>")
    for key in [str(key) for key in st.session_state if str(key).startswith(KEPT)]:
        st.session_state[key] = st.session_state[key]
    pages = [
        st.Page(lambda: ask.page(place), title="Ask", url_path="ask", default=True),
        st.Page(lambda: runs.page(place), title="Runs", url_path="runs"),
        st.Page(lambda: compare.page(place), title="Compare", url_path="compare"),
    ]
    chosen = st.navigation(pages, position="hidden")
    with st.container(horizontal=True, vertical_alignment="center", key="top", gap="small"):
        st.html('<span class="brand">strawberry</span>', width="content")
        for page in pages:
            st.page_link(page, width="content")
    chosen.run()


def offered(place: Place) -> list[str]:
    """The models that answer; strangers are offered only what they may ask."""
    return models_offered(one for one in findings(place) if one.provider.key_needed or not place.public)


def findings(place: Place) -> list[Finding]:
    """What doctor finds, once a visit and again when a key was typed; nothing is spent."""
    if "findings" not in st.session_state:
        with st.spinner("Looking which models answer"):
            try:
                found = asyncio.run(examine(place.settings, call=False))
            except StrawberryError as error:
                say(str(error))
                found = []
        st.session_state["findings"] = found
    known: list[Finding] = st.session_state["findings"]
    return known


def own_folder() -> Path:
    """A folder for this visit alone."""
    if "folder" not in st.session_state:
        st.session_state["folder"] = Path(tempfile.mkdtemp(prefix="strawberry-"))
    folder: Path = st.session_state["folder"]
    return folder
