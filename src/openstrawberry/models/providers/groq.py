"""Groq: OpenAI's protocol through Groq's own SDK."""

import groq
import httpx

from openstrawberry.models.provider import Opening
from openstrawberry.models.providers.endpoint import Endpoint
from openstrawberry.models.providers.faults import faults_of
from openstrawberry.models.providers.http_options import http_options
from openstrawberry.models.providers.openai_shaped import OpenAIShapedModel

_PREFIX = "/openai/v1"


def open_groq(opening: Opening) -> OpenAIShapedModel:
    """A model at Groq. A base URL that already ends in the SDK's own prefix is accepted too."""
    options = opening.options
    client = groq.AsyncGroq(
        api_key=opening.key,
        base_url=opening.base_url.rstrip("/").removesuffix(_PREFIX),
        max_retries=0,
        default_headers=options.headers,
        http_client=groq.DefaultAsyncHttpxClient(**http_options(httpx, options)),
    )
    endpoint = Endpoint(client, groq, httpx, "/chat/completions", faults_of(opening), prefix=_PREFIX)
    return OpenAIShapedModel(opening, endpoint)
