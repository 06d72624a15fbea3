"""Telling people by apprise: one address, one message. Apart, for importing it takes a second."""

from __future__ import annotations

import logging

import apprise

from store.errors import Unavailable


def send(address: str, title: str, text: str) -> None:
    """Send a message. Raises Unavailable, without the address, which holds a secret."""
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its warnings name addresses
    out = apprise.Apprise()
    if not out.add(address):
        raise Unavailable("apprise does not know such an address; its documentation lists those it does")
    if not out.notify(title=title, body=text, body_format=apprise.NotifyFormat.TEXT):
        raise Unavailable("the service did not take the message", retry=True)
