"""GET /health, /livez, /readyz: how the API is. Cheap: nothing is asked of Redis."""

from typing import Any

from fastapi import APIRouter

from producer.parts import Parts


def router(parts: Parts) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(tags=["health"])

    @routes.get("/health")
    async def health() -> dict[str, Any]:
        """Give the state in numbers."""
        publisher = parts.publisher
        return {
            "status": "degraded" if reasons(parts) else "ok",
            "redis": "connected" if publisher.connected else "away",
            "models": {served.model: served.version for served in parts.serving.production.values()},
            "queued": publisher.queued,
            "spooled": {"events": publisher.spool.events, "bytes": publisher.spool.bytes},
            "published": publisher.published,
            "resent": publisher.sender.resent,
            "ring": {"bytes": publisher.sender.ring.bytes, "shortened": publisher.sender.ring.shortened},
            "dropped": dict(publisher.dropped),
            "damaged": publisher.spool.damaged,
            "adopted": publisher.spool.adopted,
        }

    @routes.get("/livez")
    async def livez() -> dict[str, str]:
        """Answer, which is all that is asked."""
        return {"status": "alive"}

    @routes.get("/readyz")
    async def readyz() -> dict[str, Any]:
        """Tell whether all is well; without Redis the API is degraded and still serves, so this is 200 too."""
        found = reasons(parts)
        return {"status": "degraded" if found else "ready", "reasons": found}

    return routes


def reasons(parts: Parts) -> list[str]:
    """Say what is degraded."""
    found = [fault.reason for fault in parts.serving.faults.values()]
    if not parts.serving.production:
        found.append("No model is loaded.")
    if not parts.publisher.connected:
        found.append("Redis does not answer; events are spooled until it does.")
    elif parts.publisher.refused:
        found.append("Redis refuses events; they are spooled until it takes them.")
    if parts.publisher.spool.fault == "full":
        found.append("The spool is full; events are kept in memory, and dropped when the queue is full.")
    elif parts.publisher.spool.fault == "error":
        found.append("The spool cannot be written; events are kept in memory, and dropped when the queue is full.")
    return found
