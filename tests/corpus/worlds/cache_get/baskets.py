"""Baskets in the cache."""

from django.core.cache import cache
from django.http import JsonResponse


def count(number):
    basket = cache.get(f"basket:{number}") or {}
    return sum(basket.values())


def show(request, number):
    return JsonResponse({"count": count(number)})
