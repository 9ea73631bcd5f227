"""Downslope trains models by gradient descent and shows how the loss went down."""
