"""Letters, written by a queue."""

import os

from celery import Celery

app = Celery("shop", broker=os.environ.get("BROKER", "memory://"), backend="cache+memory://")


def greeting(person):
    return f"Dear {person['title']} {person['name'].split()[-1]}"


@app.task(name="shop.letter")
def letter(order, language="en"):
    people = order.pop("people")
    return [greeting(person) for person in people]
