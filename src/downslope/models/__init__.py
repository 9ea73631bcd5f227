"""What is trained: a linear model of a target."""
