class RobustTracker: pass
