"""Shared by the reading routes: the choice of the model."""

from driftgauge.producer.parts import Parts
from driftgauge.shared.contract.keys import MODEL_NAME


async def chosen_models(parts: Parts, model: str | None) -> set[str]:
    """Return the models that a list is about: all that exist, or the one that is asked for.

    Raises
    ------
    Problem
        404 if there is no such model.
    """
    return (
        await parts.subscriptions.models() if model is None else {await known_model(parts, model)}
    )


async def known_model(parts: Parts, model: str | None) -> str:
    """Return the model that a reading request means: one that is served here, or that exists in
    Redis.

    Raises
    ------
    Problem
        404 if there is no such model, 422 if one must be named.
    """
    if model is None or model in parts.serving.production:
        return parts.serving.choose(model).model
    if MODEL_NAME.fullmatch(model) and await parts.reader.sismember(parts.keys.models, model):
        return model
    return parts.serving.choose(model).model  # raises, naming the models
