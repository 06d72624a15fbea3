"""Currency conversion with rates of another service."""

import os

import httpx
from fastapi import FastAPI

RATES_URL = os.environ.get("RATES_URL", "http://rates.internal")
app = FastAPI()


async def current():
    async with httpx.AsyncClient(base_url=RATES_URL) as client:
        return (await client.get("/rates")).json()


@app.post("/convert")
async def convert(order: dict):
    known = await current()
    return {"amount": order["amount"] * known["rates"][order["to"]]}
