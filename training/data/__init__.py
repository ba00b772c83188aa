"""Training data: COCO-video files, cut-outs, synthetic sequences, and the dataset mixing them."""
