"""Sequences of photographed people who walk, with exact joints: the truth for pose tracking.

`people` are cut-outs whose joints the teacher is sure of, `figure` bends them at these joints,
`gait` says how, `sequence` puts them into a scene, and

    python -m training.data.articulated --data ../shared/data --output DIR

writes the sequences of `scenarios` in the COCO-video format.
"""
