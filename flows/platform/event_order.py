"""Prefect's order of events, with a shorter wait for an event that never comes.

The server holds an event back until it has seen the one that it follows, for up to 15 minutes. A server that has just started has
seen none: what becomes of the runs that were at work would be told to people, and acted on, a quarter of an hour late. Prefect
3.8.8 has no setting for that time, but one for this module: `PREFECT_SERVER_EVENTS_CAUSAL_ORDERING`.
"""

from datetime import timedelta

from prefect.server.events.ordering import memory
from prefect.server.events.ordering.memory import CausalOrdering

__all__ = ["CausalOrdering"]

# An event and the one it follows are sent by the same process within seconds; a busy machine delays both.
memory.PRECEDING_EVENT_LOOKBACK = timedelta(minutes=1)  # type: ignore[attr-defined]
