"""What is measured of a network, or of any function, before and along its training: curvature, noise, stop points."""
