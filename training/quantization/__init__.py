"""INT8 models from exported ones: what `python -m training.quantize` is made of."""
