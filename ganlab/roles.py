"""The two players' roles."""

from __future__ import annotations

from typing import Literal

Role = Literal["generator", "discriminator"]
#: Both, in the order in which they are built and listed.
ROLES: tuple[Role, Role] = ("generator", "discriminator")
