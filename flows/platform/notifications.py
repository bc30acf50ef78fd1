"""Who is told what a run found, and that one failed: automations of the Prefect server, for the channels of the environment.

They run on the server, so that a worker that died is told of as well. The words are in `notifications.yaml`.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from prefect.blocks.core import Block
from prefect.blocks.notifications import SlackWebhook
from prefect.blocks.webhook import Webhook

SLACK, WEBHOOK, MAIL = "LABELSWEEP_NOTIFY_SLACK", "LABELSWEEP_NOTIFY_WEBHOOK", "LABELSWEEP_NOTIFY_MAIL"
_JSON = {"Content-Type": "application/json"}

Action = dict[str, Any]


def make_notifications(file: Path) -> tuple[list[Action], list[str]]:
    """Save a block for each channel; return the automations to install, and the names of those to remove.

    Args:
        file: `notifications.yaml`.
    """
    channels = _list_channels()
    found = yaml.safe_load(file.read_text(encoding="utf-8"))["notifications"]
    if not channels:
        return [], [values["name"] for values in found]
    return [_make_automation(values, channels) for values in found], []


def _list_channels() -> list[Callable[[Mapping[str, str]], Action]]:
    """Return for each channel what makes an action of a notification."""
    channels = []
    if slack := os.environ.get(SLACK):
        channels.append(_post_to(_save(Webhook(url=slack, headers=_JSON), "slack"), _format_for_slack))
    if webhook := os.environ.get(WEBHOOK):
        channels.append(_post_to(_save(Webhook(url=webhook, headers=_JSON), "webhook"), _format_everything))
    if mail := os.environ.get(MAIL):
        # Prefect has no block for a mail server. This one sends to any address of Apprise, and the server needs nothing of ours.
        channels.append(_mail_to(_save(SlackWebhook(url=mail), "mail")))
    return channels


def _save(block: Block, name: str) -> str:
    return str(block.save(f"labelsweep-{name}", overwrite=True))


def _post_to(
    block: str, payload: Callable[[Mapping[str, str]], str]
) -> Callable[[Mapping[str, str]], Action]:
    return lambda values: {"type": "call-webhook", "block_document_id": block, "payload": payload(values)}


def _mail_to(block: str) -> Callable[[Mapping[str, str]], Action]:
    return lambda values: {
        "type": "send-notification",
        "block_document_id": block,
        "subject": values["subject"],
        "body": values["body"],
    }


def _format_for_slack(values: Mapping[str, str]) -> str:
    """Return the template of what Slack's incoming webhooks take, Mattermost's and Rocket.Chat's too."""
    return _capture_rendered(values) + '{"text": {{ ("*" ~ subject ~ "*\\n" ~ body) | tojson }}}'


def _format_everything(values: Mapping[str, str]) -> str:
    """Return the template of everything that a program may want to know."""
    return (
        _capture_rendered(values)
        + '{"event": {{ event.event | tojson }}, "id": {{ event.id | string | tojson }}, '
        '"subject": {{ subject | tojson }}, "text": {{ body | tojson }}, "data": {{ event.payload | tojson }}}'
    )


def _capture_rendered(values: Mapping[str, str]) -> str:
    """Return a template that keeps the rendered subject and body, so that they can be quoted as JSON."""
    return "".join(f"{{% set {name} %}}{values[name]}{{% endset %}}" for name in ("subject", "body"))


def _make_automation(
    values: Mapping[str, Any], channels: list[Callable[[Mapping[str, str]], Action]]
) -> Action:
    trigger = {key: values[key] for key in ("expect", "match", "match_related") if key in values}
    return {
        "name": values["name"],
        "description": values["description"],
        # Prefect 3.8.8 delivered one event of a flow run four times (seen on SQLite): once a minute is enough for a run.
        "trigger": {
            "type": "event",
            "posture": "Reactive",
            "threshold": 1,
            "within": 60,
            "for_each": ["prefect.resource.id"],
            **trigger,
        },
        "actions": [channel(values) for channel in channels],
    }
