"""The compiled loop over networks, by JAX: gradients by back-propagation, steps by Optax."""
