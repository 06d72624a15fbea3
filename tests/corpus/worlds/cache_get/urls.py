from baskets import show
from django.urls import path

urlpatterns = [path("basket/<int:number>", show)]
