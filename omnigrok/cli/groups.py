"""What every help text has: its exit statuses, and the command that was meant by a misspelt one."""

from __future__ import annotations

from typing import Any

import click

from omnigrok.spelling import did_you_mean

STATUSES = "Exit status: 0, 1 after an error, 2 where the command line is not accepted."


class Group(click.Group):
    """A group of commands; those that do not state their exit status get ``STATUSES``."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; None if there is none."""
        return with_statuses(super().get_command(ctx, cmd_name))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[Any, Any, list[str]]:
        """As click does; for a misspelt command the error names the nearest."""
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}{did_you_mean(args[0], known)}.")
        return super().resolve_command(ctx, args)


def with_statuses(command: click.Command | None) -> click.Command | None:
    """The same command, with ``STATUSES`` below its help unless it has its own."""
    if command is not None and "xit status" not in f"{command.help} {command.epilog}":
        command.epilog = STATUSES
    return command
