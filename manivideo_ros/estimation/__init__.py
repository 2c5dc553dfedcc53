"""The hand estimator that measures generated frames: palm detection, landmarks, their crops."""
