"""Calls of the PyPI package sharokey, in the environment that it is installed in.

stdin: {"api_url", "token", "calls": [[method, arguments, options], ...]}; stdout: the result of each call, or
{"error": the exception's class, "message": its text}.
"""

import asyncio
import json
import sys

import sharokey


async def main() -> None:
    job = json.load(sys.stdin)
    client = sharokey.SharokeyClient(token=job["token"], api_url=job["api_url"])
    outcomes = []
    for method, arguments, options in job["calls"]:
        try:
            outcomes.append(await getattr(client, method)(*arguments, **options))
        except Exception as error:
            outcomes.append({"error": type(error).__name__, "message": str(error)})
    json.dump(outcomes, sys.stdout)


asyncio.run(main())
