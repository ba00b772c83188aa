"""Constants of the robust tracker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tuning:
    """Constants of the method, chosen on many sequences together; not meant for users.

    Attributes:
        cost_limit: dearest match of the first round; `association.box_costs` and what is added.
        low_cost_limit: the same for low scores; tighter, as more of them are false.
        low_score_life: seconds for which a track is reported, and continued by low scores, since
            its last good one: longer ones are a bag, a pole or the half of somebody else.
        good_margin: a score is good if it is that much above the track threshold: false objects
            that stand still keep just above it.
        offset_noise: standard deviation of learned offsets in sizes of the object; weighs them
            against the motion model.
        offset_drift: how much that grows per second between the images: networks learn short
            gaps and say too little about long ones.
        height_ratio: least ratio of two heights that may belong to one object; half a person
            is visible behind a car.
        score_cost: what a difference of 1 between the scores of track and detection adds to a
            cost: of two people passing each other the hidden one keeps the low score.
        class_cost: what another class adds to a cost: detectors take a car for a truck now and
            then, and in exactly the same place.
        turn_cost: what a step straight against a track's velocity adds to a cost: two people
            who meet go on as they came. After OC-SORT (arXiv 2203.14360, section 4.2).
        turn_scale: velocity, sizes per second, and step, sizes, from which on that counts in
            full; the direction of less is noise.
        sure_score: score from which on a box is measured as well as the best; those of half
            hidden objects jump between what is seen and what is guessed.
        weak_noise: how much the standard deviation of a measurement grows towards score 0, as a
            multiple. After NSA Kalman in GIAOTracker (arXiv 2202.11983, section 3.2).
        weak_smoothing: how fast the published centre goes over from the measured to the filtered
            one below `sure_score`; 2 = at half of it.
        duplicate_overlap: IoU with an object already tracked in this image above which a
            detection starts no track, as it is a second one of the same object.
        same_box_overlap: the same for another class: one peak under two names.
        hidden_time: seconds for which a lost track is reported while a seen one covers it: in
            three of four cases it is there, and half a second later in one of two.
        hidden_overlap: IoU of its predicted box with a seen one from which on it is covered.
        sure_margin: a new track is reported at once if its score is that much above the birth
            threshold, else after its second detection; this drops one-image flicker.
        use_offsets, use_low_scores, use_camera, coast: switches for measuring what each part is
            worth; the other parts are switched off by a value of 0 (`low_score_life`: of
            infinity).
    """

    cost_limit: float = 1.0
    low_cost_limit: float = 0.7
    low_score_life: float = 1.0
    good_margin: float = 0.05
    offset_noise: float = 0.2
    offset_drift: float = 1.0
    height_ratio: float = 0.5
    score_cost: float = 0.5
    class_cost: float = 0.4
    turn_cost: float = 0.4
    turn_scale: float = 0.3
    sure_score: float = 0.6
    weak_noise: float = 5.0
    weak_smoothing: float = 2.0
    duplicate_overlap: float = 0.5
    same_box_overlap: float = 0.8
    hidden_time: float = 0.45
    hidden_overlap: float = 0.3
    sure_margin: float = 0.1
    use_offsets: bool = True
    use_low_scores: bool = True
    use_camera: bool = True
    coast: bool = True
