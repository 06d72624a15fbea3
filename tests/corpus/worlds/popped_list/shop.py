"""Batches of parcels, taken from a list until it is empty."""

from flask import Flask, jsonify, request

app = Flask(__name__)
LIMIT = 30


def load(parcels):
    """The vans, each full; a parcel that is too heavy for any is a mistake of the caller's."""
    vans, room = [[]], LIMIT
    while parcels:
        parcel = parcels.pop(0)
        if parcel["kilos"] > room:
            vans.append([])
            room = LIMIT
        room -= parcel["kilos"]
        vans[-1].append(parcel["id"])
    return {"vans": vans, "spare": LIMIT // len([van for van in vans if van and len(van) < 3][1:])}


@app.post("/loads")
def show():
    return jsonify(load([{"id": at, "kilos": kilos} for at, kilos in enumerate(request.get_json()["kilos"])]))
