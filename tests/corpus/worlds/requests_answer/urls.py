from django.urls import path
from shipping import ship

urlpatterns = [path("ship", ship)]
