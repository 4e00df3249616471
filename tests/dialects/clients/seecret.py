"""Seecret.it's documented Python sample, field for field but for the address, and its other operations in its manner.

stdin: {"url", "token", "calls": [members, ...]}; the members null stand for the sample's own. stdout: for each call its
status and answer.
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


def call(url: str, token: str, members: dict[str, object]) -> requests.Response:
    return requests.post(url, headers={"Authorization": f"Bearer {token}"}, data=members, timeout=20)


given = json.load(sys.stdin)
where = (given["url"], given["token"])
answers = [sample(*where) if each is None else call(*where, each) for each in given["calls"]]
json.dump([[each.status_code, each.json()] for each in answers], sys.stdout)
