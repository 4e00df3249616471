"""Seecret.it's documented Python sample, unchanged except for the URL, and its other operations in the same style.

stdin: {"url", "token", "calls": [members, ...]}; null stands for the sample's own members, "json" for the sample that
sends JSON. stdout: the status and JSON
of each response.
"""

import json
import sys

import requests


def sample(url: str, token: str) -> requests.Response:
    return requests.post(
        url,
        headers={"Authorization": f"Bearer {token}"},
        data={
            "operation": "create_seecret",
            "lang": "en",
            "seecret": "VPN password: s3cr3t!",
            "number_view": 1,
        },
        timeout=20,
    )


def json_sample(url: str, token: str) -> requests.Response:
    """The sample of its page for developers, at `URL.php`."""
    return requests.post(
        f"{url}.php",
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        json={"operation": "create_seecret", "content": "Password2026!", "expiration": "24h", "views": 1},
        timeout=20,
    )


def call(url: str, token: str, members: dict[str, object]) -> requests.Response:
    return requests.post(url, headers={"Authorization": f"Bearer {token}"}, data=members, timeout=20)


job = json.load(sys.stdin)
server = (job["url"], job["token"])
samples = {None: sample, "json": json_sample}
responses = [call(*server, item) if isinstance(item, dict) else samples[item](*server) for item in job["calls"]]
json.dump([[response.status_code, response.json()] for response in responses], sys.stdout)
