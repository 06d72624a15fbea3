"""What a visitor looked at, kept in redis."""

import json
import os

import redis
from flask import Flask, jsonify

app = Flask(__name__)
client = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://redis.internal:6379/0"))


def seen(visitor):
    found = client.get(f"seen:{visitor}")
    return sorted(json.loads(found), key=lambda one: one["at"]) if found else []


@app.get("/seen/<int:visitor>")
def show(visitor):
    return jsonify(seen=seen(visitor))
