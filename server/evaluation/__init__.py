"""Measuring the product on labelled data. `labels` alone reads the labels, after everything has been run."""
