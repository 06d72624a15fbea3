"""The embedded model: explainable features, a sparse logistic regression, and the bounds that its threshold
can carry. Pure Python; the weights are a text file that people can read."""
