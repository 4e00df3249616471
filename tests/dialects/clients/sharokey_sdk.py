"""Calls of the PyPI package sharokey, in the environment it is installed in.

stdin: {"api_url", "token", "calls": [[method, arguments, options], ...]}; stdout: for each call what it returned, or
{"error": the exception's class, "says": its text}.
"""

import asyncio
import json
import sys

import sharokey


async def main() -> None:
    given = json.load(sys.stdin)
    client = sharokey.SharokeyClient(token=given["token"], api_url=given["api_url"])
    outcomes = []
    for method, arguments, options in given["calls"]:
        try:
            outcomes.append(await getattr(client, method)(*arguments, **options))
        except Exception as error:
            outcomes.append({"error": type(error).__name__, "says": str(error)})
    json.dump(outcomes, sys.stdout)


asyncio.run(main())
