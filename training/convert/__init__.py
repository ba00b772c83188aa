"""Turns the usual annotation formats into the COCO-format files that training reads.

`python -m training.convert FORMAT ... --output FILE`; see `training.data.coco_reader` for the
fields. What must not be learnt (`DontCare`, crowds, persons on vehicles) becomes an annotation
with `iscrowd` 1, which is read as an ignored region of its class.
"""
