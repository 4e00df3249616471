"""The parameter type of every command-line option that takes a duration."""

import click

from seclink.config.durations import parse_duration


class DurationType(click.ParamType[int]):
    """A number of seconds, written like 90s, 15m, 24h, 7d or 2w."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


DURATION = DurationType()
