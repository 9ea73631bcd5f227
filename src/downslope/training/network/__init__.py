"""Training a network: race the learning rates, descend in batches, keep the weights that were best held out."""
