"""The weather for a delivery, from another service."""

import os

import aiohttp
from fastapi import FastAPI

WEATHER_URL = os.environ.get("WEATHER_URL", "http://weather.internal")
app = FastAPI()


async def wind(place):
    async with aiohttp.ClientSession() as session, session.get(f"{WEATHER_URL}/{place}") as answer:
        return (await answer.json())["wind"]["speed"]


@app.get("/deliveries/{place}")
async def delivery(place: str):
    return {"by_drone": await wind(place) < 8}
