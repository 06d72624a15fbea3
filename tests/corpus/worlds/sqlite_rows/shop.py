"""Tickets in a SQLite file."""

import os
import sqlite3

from flask import Flask, jsonify

app = Flask(__name__)
STATES = {"open": 1, "closed": 2}


def weight(number):
    database = sqlite3.connect(os.environ.get("TICKETS", "/var/lib/tickets.db"))
    state, labels = database.execute("select state, labels from ticket where id = ?", (number,)).fetchone()
    return STATES[state] + len(labels)


@app.get("/tickets/<int:number>")
def ticket(number):
    return jsonify(weight=weight(number))
