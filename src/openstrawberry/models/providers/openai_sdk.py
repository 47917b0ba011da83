"""Opens models through the official `openai` SDK: OpenAI itself, Azure, and everyone who speaks OpenAI's protocol."""

from collections.abc import Mapping
from typing import cast

import httpx2
import openai

from openstrawberry.errors import SetupError
from openstrawberry.models.provider import Opening
from openstrawberry.models.providers.endpoint import Endpoint
from openstrawberry.models.providers.faults import faults_of
from openstrawberry.models.providers.http_options import http_options
from openstrawberry.models.providers.openai_shaped import OpenAIShapedModel

AZURE_API_VERSION = "2024-10-21"
_PATH = "/chat/completions"
_NO_KEY = "none"  # the SDK insists on one; servers without keys ignore it


def open_openai(opening: Opening) -> OpenAIShapedModel:
    """A model at `opening.base_url`."""
    client = openai.AsyncOpenAI(
        api_key=opening.key or _NO_KEY,
        base_url=opening.base_url,
        organization=opening.variables.get("OPENAI_ORG_ID", ""),
        project=opening.variables.get("OPENAI_PROJECT_ID", ""),
        max_retries=0,
        default_headers=_headers(opening),
        http_client=_http(opening),
    )
    return OpenAIShapedModel(opening, Endpoint(client, openai, httpx2, _PATH, faults_of(opening)))


def open_azure(opening: Opening) -> OpenAIShapedModel:
    """A deployment of an Azure resource; the resource's address stands where others have a base URL."""
    if not opening.base_url:
        raise SetupError(
            "azure needs the address of your resource: set AZURE_OPENAI_ENDPOINT=https://NAME.openai.azure.com "
            "in the environment or in .env."
        )
    version = opening.variables.get("OPENAI_API_VERSION") or opening.variables.get("AZURE_OPENAI_API_VERSION")
    client = openai.AsyncAzureOpenAI(
        api_key=opening.key,
        azure_endpoint=opening.base_url,
        azure_deployment=opening.name,
        api_version=version or AZURE_API_VERSION,
        organization="",
        project="",
        max_retries=0,
        default_headers=_headers(opening),
        http_client=_http(opening),
    )
    underlying = opening.variables.get("AZURE_OPENAI_MODEL_NAME", "")
    return OpenAIShapedModel(opening, Endpoint(client, openai, httpx2, _PATH, faults_of(opening)), underlying)


def _headers(opening: Opening) -> Mapping[str, str]:
    """The user's own headers; what the SDK would add for OpenAI alone is left out elsewhere."""
    had = {
        "OpenAI-Organization": opening.variables.get("OPENAI_ORG_ID"),
        "OpenAI-Project": opening.variables.get("OPENAI_PROJECT_ID"),
    }
    unset = {name: openai.Omit() for name, value in had.items() if not value}
    return cast(Mapping[str, str], {**unset, **opening.options.headers})


def _http(opening: Opening) -> httpx2.AsyncClient:
    return openai.DefaultAsyncHttpxClient(**http_options(httpx2, opening.options))
