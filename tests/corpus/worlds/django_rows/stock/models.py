from django.db import models


class Item(models.Model):
    unit = models.CharField(max_length=10)
    size = models.IntegerField()
