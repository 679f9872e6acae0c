"""Small C++ kernels, compiled on the machine that runs them, and nothing that needs them."""
