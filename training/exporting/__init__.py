"""How a network leaves PyTorch: one module per file format, and the check of what was written."""
