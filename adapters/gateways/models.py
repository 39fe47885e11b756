"""The language models that settings give."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

from adapters.config import BadSetting, Settings
from adapters.gateways.language_model import OpenAIModel
from adapters.gateways.model_choice import MissingModel, Named
from adapters.gateways.offline_partner import OfflinePartner
from core.ports import LanguageModel


def language_model(settings: Settings) -> LanguageModel:
    """The model that is configured; without a key the offline partner. Raises BadSetting."""
    if settings.openai_api_key is None:
        return OfflinePartner()
    if importlib.util.find_spec("openai") is None:
        raise BadSetting(("OPENAI_API_KEY: the package openai is not installed; pip install 'callboard[openai]'",))
    key, model = settings.openai_api_key.reveal(), settings.openai_model
    if settings.openai_base_url is None:
        return OpenAIModel(key, model=model)
    return OpenAIModel(key, settings.openai_base_url, model)


def models_of(settings: Settings) -> Named:
    """The models that forks may name: the offline partner, and with a key all of the API that is configured."""

    def named(name: str) -> LanguageModel:
        if name == OfflinePartner().name:
            return OfflinePartner()
        if settings.openai_api_key is None:
            return MissingModel(name, f"there is no language model {name[:80]!r} without OPENAI_API_KEY")
        return language_model(replace(settings, openai_model=name))

    return named
